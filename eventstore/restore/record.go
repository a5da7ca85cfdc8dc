package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/durable"
)

// RecordName is the name of the file in a data directory that records a restore.
const RecordName = "restore.json"

// Record is the outcome of a restore. It lies in the data directory from the first step
// on.
type Record struct {
	Whole    bool      `json:"whole"` // everything is restored; otherwise nothing is served from the directory
	Target   string    `json:"target"`
	Begun    time.Time `json:"begun"`
	Backup   time.Time `json:"backup"`    // time of the backup
	Cluster  bool      `json:"cluster"`   // the streams are in a cluster
	NoErased bool      `json:"no_erased"` // an operator confirmed that nobody was erased since
	Orgs     []Org     `json:"orgs"`
}

// Waiting lists the orgs that are not served because nobody has accepted their loss.
func (r *Record) Waiting() []Org {
	return slices.DeleteFunc(slices.Clone(r.Orgs), func(o Org) bool { return !o.Waits() })
}

// ErrUnfinished says that a restore into a data directory has not finished.
var ErrUnfinished = errors.New("a restore has not come to its end")

// Check returns the record of a data directory, nil when there is none. It fails with
// ErrUnfinished when nothing may be served.
func Check(data string) (*Record, error) {
	r, err := read(data)
	if err != nil || r == nil {
		return nil, err
	}
	if !r.Whole {
		return r, fmt.Errorf("%s: %w: what is there is not whole; run again: gatehouse restore %s --data %s, which starts over", data, ErrUnfinished, r.Target, data)
	}
	return r, nil
}

func read(data string) (*Record, error) {
	text, err := os.ReadFile(filepath.Join(data, RecordName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	r := &Record{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("restore: read %s: %w", filepath.Join(data, RecordName), err)
	}
	return r, nil
}

// write replaces the record as a whole, durably.
func (r *Record) write(data string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("restore: write the record: %w", err)
	}
	path := filepath.Join(data, RecordName)
	if err := durable.Replace(path, append(text, '\n')); err != nil {
		return fmt.Errorf("restore: write the record: %w", err)
	}
	return nil
}

// own are the patterns of the files that a restore makes in a data directory. The names
// in stays may exist there before.
var (
	own   = []string{"jetstream", "blocks", ".blocks*", "blocks.*", "damaged", "vault.db", "vault.db-journal", "vault.db.new", "snapshots", "marks", "destroyed", RecordName + ".new", "." + RecordName + "*"}
	stays = []string{"lock", "vault.key", "lost+found", RecordName}
)

// ErrNotEmpty says that a data directory holds files that a restore would mix with.
var ErrNotEmpty = errors.New("the data directory is not empty")

// requireEmpty requires that a data directory is empty. It removes the files of an
// unfinished restore, which had begun with an empty one.
func requireEmpty(data string) error {
	r, err := read(data)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	var foreign []string
	for _, e := range entries {
		draft := strings.Contains(e.Name(), RecordName) && e.Name() != RecordName // a write that was cut off
		mine := draft || r != nil && !r.Whole && isOwn(e.Name())
		if !mine && !slices.Contains(stays, e.Name()) || e.Name() == RecordName && r.Whole {
			foreign = append(foreign, e.Name())
		}
	}
	if len(foreign) > 0 {
		return fmt.Errorf("restore: %s: %w: it has %s; move it aside, and keep it until the restored service is accepted", data, ErrNotEmpty, strings.Join(foreign, ", "))
	}
	for _, e := range entries {
		if !isOwn(e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(data, e.Name())); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	return nil
}

func isOwn(name string) bool {
	return slices.ContainsFunc(own, func(pattern string) bool { is, _ := filepath.Match(pattern, name); return is })
}

// Erased names a person whose keys are to be destroyed again, or a key itself.
type Erased struct {
	Org domain.ID
	ID  string
}

// ReadErased parses a list of erased people or keys: lines "ORG ID".
func ReadErased(text string) ([]Erased, error) {
	var all []Erased
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 {
			return nil, fmt.Errorf("line %d: %q: a line is an org and the id of an erased person or of a key", i+1, line)
		}
		all = append(all, Erased{domain.ID(words[0]), words[1]})
	}
	return all, nil
}
