package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"gatehouse/eventstore/streams"
)

// Options configure a writer. A field that is not marked optional is required.
type Options struct {
	Recipients     []string      // public keys of age, each of which opens the backup; empty only with Plain
	Plain          bool          // nothing but the vault is encrypted
	VaultCopiesFor time.Duration // how long copies of the vault are kept; 0 means 7 days
	Spool          string        // optional: directory for the sealed copy of the vault while it is made, and for heads
	Now            func() time.Time
	Log            *slog.Logger
}

const (
	// DefaultVaultCopiesFor is how long copies of the vault are kept. Keys that were
	// destroyed since remain in them for that time.
	DefaultVaultCopiesFor = 7 * 24 * time.Hour
	// replacedFor is how long an object stays after the manifest has ceased to name it.
	// Until then readers with an older manifest can read it.
	replacedFor = 24 * time.Hour
	// saveEvery is the number of bytes of segments after which the manifest is written
	// again. A kill loses at most that much work.
	saveEvery = 64 << 20
)

// ErrRecipients says that a backup has neither recipients nor Plain, or has both.
var ErrRecipients = errors.New("a backup is encrypted: name at least one recipient, the public key of an age identity (age-keygen makes one); " +
	"or say that it is to be plain")

// A Writer writes the backups of one source to one target, one at a time. It remembers
// the ends of the chains, so that a run reads only new messages. Without them a run
// walks through the ledger from its first commit.
type Writer struct {
	target Target
	source Source
	opts   Options
	sealer *sealer

	segmentSize int // of the plain form, in bytes

	manifest *Manifest
	version  Version
	unsaved  int64
	savedAt  uint64              // message of the ledger up to which heads are saved
	checkers map[string]*checker // each stands after the last closed segment of its stream
}

// Result is the outcome of a run.
type Result struct {
	Run      uint64         `json:"run"`
	Begun    time.Time      `json:"begun"`
	Messages map[string]int `json:"messages"` // added to the backup, by stream
	Written  int64          `json:"written"`  // bytes of new objects
	Size     int64          `json:"size"`     // bytes of all objects of the backup
	Objects  int            `json:"objects"`
	Flaws    []string       `json:"flaws,omitempty"`
}

// NewWriter checks the options.
func NewWriter(t Target, s Source, opts Options) (*Writer, error) {
	if opts.VaultCopiesFor == 0 {
		opts.VaultCopiesFor = DefaultVaultCopiesFor
	}
	if opts.VaultCopiesFor < 0 {
		return nil, fmt.Errorf("backup: copies of the vault cannot be kept for %s", opts.VaultCopiesFor)
	}
	var recipients []age.Recipient
	for _, text := range opts.Recipients {
		some, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("backup: recipient %q: %w", text, err)
		}
		recipients = append(recipients, some...)
	}
	if opts.Plain == (len(recipients) > 0) {
		return nil, fmt.Errorf("backup: %w", ErrRecipients)
	}
	sealer, err := newSealer(recipients)
	if err != nil {
		return nil, err
	}
	return &Writer{target: t, source: s, opts: opts, sealer: sealer, segmentSize: SegmentSize, checkers: map[string]*checker{}}, nil
}

// Run brings the backup up to date with the source. After an error, everything written
// up to then is part of the backup, and the next run continues from there.
func (w *Writer) Run(ctx context.Context) (_ *Result, err error) {
	ctx, unlock, err := w.target.Lock(ctx)
	if err != nil {
		return nil, fmt.Errorf("backup: %s: %w", w.target, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	state, err := w.begin(ctx)
	if err != nil {
		return nil, err
	}
	r := &Result{Begun: w.manifest.Begun, Messages: map[string]int{}}
	for _, s := range state.Streams {
		if err := w.stream(ctx, s, r); err != nil {
			// The whole segments up to here are worth saving.
			return nil, errors.Join(err, w.save(ctx))
		}
	}
	if err := w.copyVault(ctx, state.Vault, r); err != nil {
		return nil, errors.Join(err, w.save(ctx))
	}
	if err := w.finish(ctx); err != nil {
		return nil, err
	}
	w.sum(r)
	return r, nil
}

// begin reads the manifest, and requires that it belongs to the source.
func (w *Writer) begin(ctx context.Context) (*State, error) {
	m, version, err := readManifest(ctx, w.target)
	if errors.Is(err, ErrNoBackup) {
		m, err = &Manifest{Plain: w.opts.Plain}, nil
	}
	if err != nil {
		return nil, err
	}
	if version != w.version {
		w.checkers = map[string]*checker{} // another writer was there
	}
	if m.Plain != w.opts.Plain {
		return nil, fmt.Errorf("backup: %w: %s is a backup that is encrypted or plain, and this one is to be the other; give another target", ErrOther, w.target)
	}
	m.Begun, m.Complete = w.opts.Now().UTC(), false
	state, err := w.source.State(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range state.Streams {
		have := m.Stream(s.Name)
		if have == nil {
			m.Streams = append(m.Streams, Stream{Name: s.Name, Made: s.Made})
			have = m.Stream(s.Name)
		}
		if !have.Made.Equal(s.Made) || s.Last < have.Last {
			return nil, fmt.Errorf("backup: %w: %s has stream %s, made %s, up to message %d, and this one was made %s and ends at %d: "+
				"it is another ledger, or was put back to an older state; give another target, and keep this one",
				ErrOther, w.target, s.Name, have.Made.Format(time.RFC3339), have.Last, s.Made.Format(time.RFC3339), s.Last)
		}
		if s.Name == streams.Ledger {
			m.Ledger = s.Made
		}
	}
	if m.Recipients = w.opts.Recipients; !m.Plain {
		if m.Check, err = w.sealer.seal([]byte(checkText)); err != nil {
			return nil, err
		}
	}
	w.manifest, w.version, w.unsaved = m, version, 0
	return state, nil
}

// save replaces the manifest.
func (w *Writer) save(ctx context.Context) error {
	w.manifest.Run++
	body, err := w.manifest.encode()
	if err != nil {
		return err
	}
	if len(body) > maxManifest {
		return fmt.Errorf("backup: the manifest of %s has %d bytes, at most %d are possible: start over in another target", w.target, len(body), maxManifest)
	}
	version, err := w.target.Replace(ctx, manifestName, body, w.version)
	if err != nil {
		return fmt.Errorf("backup: replace the manifest of %s: %w", w.target, err)
	}
	w.version, w.unsaved = version, 0
	return nil
}

// stream copies the new messages of a stream.
func (w *Writer) stream(ctx context.Context, s StreamState, r *Result) error {
	have := w.manifest.Stream(s.Name)
	if s.Last == have.Last {
		return nil
	}
	a := &appending{ctx: ctx, w: w, stream: have, state: s, result: r}
	open, err := a.standBehindClosed(ctx)
	if err != nil {
		return err
	}
	from := a.closed + 1
	if open != nil {
		if from, err = a.reopen(ctx, *open); err != nil {
			return err
		}
	}
	if err := w.source.Read(ctx, s.Name, from, s.Last, a.take); err != nil {
		return err
	}
	if s.Name == streams.Ledger && a.checker.next != s.Last+1 {
		return fmt.Errorf("backup: %w: message %d of %s cannot be read: %s", ErrBroken, a.checker.next, s.Name, streams.DamageAdvice)
	}
	if err := a.flush(ctx, true); err != nil {
		return err
	}
	have.Last = s.Last
	a.checker.rewind()
	if s.Name == streams.Ledger {
		w.saveHeads()
	}
	for _, flaw := range a.checker.flaws {
		if len(have.Flaws) < maxFlaws && !slices.Contains(have.Flaws, flaw) {
			have.Flaws = append(have.Flaws, flaw)
		}
	}
	return nil
}

// put stores an object under a name that holds its hash.
func (w *Writer) put(ctx context.Context, dir, label string, stored []byte) (string, Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, smallTimeout)
	defer cancel()
	sum := Hash(sha256.Sum256(stored))
	name := fmt.Sprintf("%s/%s-%s", dir, label, sum)
	if err := w.target.Put(ctx, name, bytes.NewReader(stored), int64(len(stored))); err != nil {
		return "", Hash{}, fmt.Errorf("backup: %s: write object %s: %w", w.target, name, err)
	}
	return name, sum, nil
}

// sum sets the size of the backup in the result.
func (w *Writer) sum(r *Result) {
	r.Run = w.manifest.Run
	for _, s := range w.manifest.Streams {
		for _, seg := range s.Segments {
			r.Size += seg.Size
			r.Objects++
		}
		r.Flaws = append(r.Flaws, s.Flaws...)
	}
	for _, v := range w.manifest.Vault {
		r.Size += v.Size
		r.Objects++
	}
}
