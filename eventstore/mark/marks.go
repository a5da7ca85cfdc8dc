package mark

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"gatehouse/domain"
)

const (
	// marksEvery is how often marks are made durable and copied to the witness: by so
	// much they may be behind after a power cut.
	marksEvery = time.Second
	// Patience is how long a start waits for the witness to be read. One that is read
	// later is compared then.
	Patience = 5 * time.Second
	// witnessLate is how old the copy at the witness may be before that is said.
	witnessLate = 5 * time.Second
)

// Marks keeps where the ledger of every org ends. It is in the data directory of this
// instance and, where there is one, at the witness.
type Marks struct {
	log     *slog.Logger
	data    *File
	none    bool          // there was no mark when they were opened, here or at the witness
	witness string        // directory; empty: none
	read    chan struct{} // closed when the witness was read, or there is none
	stop    chan struct{}
	running sync.WaitGroup
	copying chan struct{} // closed when the copying to the witness has ended

	mu       sync.Mutex // guards what follows
	told     map[domain.ID]Mark
	toCopy   map[domain.ID]struct{} // orgs whose marks the witness has not got
	since    time.Time              // when the first of them came; zero: there are none
	failed   error                  // why the witness could not be read or written last
	unsynced error                  // why marks are not written in the data directory

	streams sync.Mutex       // held while the mark of a stream is advanced; guards made
	made    map[string]int64 // when the streams of the server within the process were made
}

// OpenMarks opens the marks of a data directory and of a witness. The caller holds the
// lock of the directory. An empty witness means none. A witness that does not answer
// holds up the start for as long as the patience, and nothing else.
func OpenMarks(dir, witness string, patience time.Duration, log *slog.Logger) (*Marks, error) {
	data, err := Open(dir)
	if err != nil {
		return nil, err
	}
	if n := data.Damaged(); n > 0 {
		log.Error("marks of where the ledger ends are damaged; orgs that lost theirs are compared with what else is known of them", "directory", dir, "marks", n)
	}
	m := &Marks{log: log, data: data, witness: witness, read: make(chan struct{}), stop: make(chan struct{}), copying: make(chan struct{}),
		told: map[domain.ID]Mark{}, toCopy: map[domain.ID]struct{}{}}
	m.none = len(m.All()) == 0
	m.running.Go(m.syncLoop)
	if witness == "" {
		close(m.read)
		close(m.copying)
		return m, nil
	}
	for _, known := range data.All() {
		m.toCopy[known.Org] = struct{}{}
	}
	m.since = time.Now()
	go m.copyLoop()
	select {
	case <-m.read:
	case <-time.After(patience):
		log.Error("the witness does not answer; what it knows is compared when it does", "witness", witness)
	}
	m.none = len(m.All()) == 0
	return m, nil
}

// Of returns what is known of where an org's ledger ends, here and at the witness,
// whichever is more; false when nothing is.
func (m *Marks) Of(org domain.ID) (known Mark, from string, ok bool) {
	known, ok = m.data.Of(org)
	from = "its mark in the data directory"
	m.mu.Lock()
	defer m.mu.Unlock()
	if told, has := m.told[org]; has && (!ok || told.Beyond(known.Position())) {
		return told, "the witness", true
	}
	return known, from, ok
}

// All returns what is known of every org.
func (m *Marks) All() []Mark {
	return slices.DeleteFunc(m.all(), Mark.IsStream)
}

func (m *Marks) all() []Mark {
	out := m.data.All()
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, known := range out {
		if told, has := m.told[known.Org]; has && told.Beyond(known.Position()) {
			out[i] = told
		}
	}
	for org, told := range m.told {
		if _, has := m.data.Of(org); !has {
			out = append(out, told)
		}
	}
	return out
}

// Reaches reports whether the marks tell of every org up to a sequence of a ledger:
// none is damaged, and one stands there or behind.
func (m *Marks) Reaches(ledger int64, seq uint64) bool {
	if m == nil || m.data.Damaged() > 0 {
		return false
	}
	return slices.ContainsFunc(m.All(), func(known Mark) bool { return known.Ledger == ledger && known.Seq >= seq })
}

// Missing reports whether marks are lost: one is damaged, or there was none at all
// when they were opened.
func (m *Marks) Missing() bool { return m == nil || m.none || m.data.Damaged() > 0 }

// Damaged reports whether a mark in the data directory is damaged.
func (m *Marks) Damaged() bool { return m.data.Damaged() > 0 }

// WitnessRead is closed when the witness was read, or there is none.
func (m *Marks) WitnessRead() <-chan struct{} { return m.read }

// Trouble tells why marks are not kept as they should be at an instant: in the data
// directory, and at the witness; nil when they are.
func (m *Marks) Trouble(now time.Time) (data, witness error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.since.IsZero() && now.Sub(m.since) > witnessLate {
		cause := m.failed
		if cause == nil {
			cause = errWitnessSilent
		}
		witness = fmt.Errorf("the witness %s has had no copy of the marks since %s: %w; see that the directory is there and its disk answers",
			m.witness, m.since.UTC().Format(time.RFC3339), cause)
	}
	return m.unsynced, witness
}

var errWitnessSilent = errors.New("it does not answer")

// Advance marks where an org's ledger ends. It never waits for the witness.
func (m *Marks) Advance(known Mark) {
	err := m.data.Advance(known)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.note(err)
	}
	if m.witness != "" {
		m.toCopy[known.Org] = struct{}{}
		if m.since.IsZero() {
			m.since = time.Now()
		}
	}
}

// note notes how the marks in the data directory are. The caller holds m.mu.
func (m *Marks) note(err error) {
	switch {
	case err != nil && m.unsynced == nil:
		m.log.Error("marks of where the ledger ends cannot be written; trying again", "error", err)
	case err == nil && m.unsynced != nil:
		m.log.Info("marks of where the ledger ends are written again")
	}
	m.unsynced = err
}

func (m *Marks) syncLoop() {
	tick := time.NewTicker(marksEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-tick.C:
		}
		err := m.data.Sync()
		m.mu.Lock()
		m.note(err)
		m.mu.Unlock()
	}
}

// copyLoop reads the witness and copies marks to it. Nothing waits for it, for its
// disk may hang.
func (m *Marks) copyLoop() {
	defer close(m.copying)
	var file *File
	for pause := time.Duration(0); ; pause = marksEvery {
		stopping := false
		select {
		case <-m.stop:
			stopping = true
		case <-time.After(pause):
		}
		var err error
		if file == nil {
			file, err = m.openWitness()
		}
		if err == nil {
			err = file.In(m.witness)
		}
		if err == nil {
			err = m.copyTo(file)
		}
		m.mu.Lock()
		if err != nil && m.since.IsZero() {
			m.since = time.Now()
		}
		if err != nil && m.failed == nil {
			m.log.Error("the witness cannot be written; trying again", "witness", m.witness, "error", err)
		}
		m.failed = err
		m.mu.Unlock()
		if !stopping {
			continue
		}
		if file != nil {
			if err := file.Close(); err != nil {
				m.log.Error("the witness could not be closed", "witness", m.witness, "error", err)
			}
		}
		return
	}
}

// openWitness opens the witness, which must be there: a directory that is made where
// a disk should be mounted is no other disk.
func (m *Marks) openWitness() (*File, error) {
	if at, err := os.Stat(m.witness); err != nil {
		return nil, err
	} else if !at.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: m.witness, Err: errors.New("it is no directory")}
	}
	file, err := Open(m.witness)
	if err != nil {
		return nil, err
	}
	if n := file.Damaged(); n > 0 {
		m.log.Error("marks at the witness are damaged; orgs that lost theirs are compared with what else is known of them", "witness", m.witness, "marks", n)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, told := range file.All() {
		m.told[told.Org] = told
	}
	close(m.read)
	return file, nil
}

// copyTo copies the marks that the witness has not got.
func (m *Marks) copyTo(file *File) error {
	began := time.Now()
	m.mu.Lock()
	orgs := m.toCopy
	m.toCopy = map[domain.ID]struct{}{}
	m.mu.Unlock()
	var err error
	for org := range orgs {
		if known, ok := m.data.Of(org); ok {
			err = errors.Join(err, file.Advance(known))
		}
	}
	if len(orgs) > 0 {
		err = errors.Join(err, file.Sync())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil:
		maps.Copy(m.toCopy, orgs)
	case len(m.toCopy) == 0:
		m.since = time.Time{}
	default:
		m.since = began // what came meanwhile came after that
	}
	return err
}

// Close makes the marks durable. It does not wait long for a witness that hangs.
func (m *Marks) Close() error {
	close(m.stop)
	m.running.Wait()
	select {
	case <-m.copying:
	case <-time.After(Patience):
		m.log.Error("the witness does not answer; it lacks the last marks", "witness", m.witness)
	}
	return m.data.Close()
}
