package eventstore

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/durable"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// snapshotEvery is how often orgs that have moved on are written to snapshots.
const snapshotEvery = time.Minute

// snapshotMin is by how many commits an org must have moved on to be written
// again while the store runs; at a stop every org that moved is written.
const snapshotMin = 1000

// snapshotFormat names the layout of a snapshot file: a line of JSON, the state in the
// binary form of [domain.State.AppendBinary], the command ids with their sequences, and the SHA-256 of all before it.
const snapshotFormat = "gatehouse snapshot 2"

// snapshotHeader is the first line of a snapshot. The file is one: state, position
// and hash cannot come apart.
type snapshotHeader struct {
	Format    string    `json:"format"`
	Fold      int       `json:"fold"`
	Stream    time.Time `json:"stream"` // when the ledger stream was made
	Org       domain.ID `json:"org"`
	Epoch     uint64    `json:"epoch"`
	N         uint64    `json:"n"`
	Hash      wire.Hash `json:"hash"`
	At        time.Time `json:"at"`
	Seq       uint64    `json:"seq"`
	StateSize int       `json:"state_size"`
	IDs       int       `json:"ids"`
	// Lost are the numbers up to N that restores lost.
	Lost schemas.Ranges `json:"lost,omitempty"`
}

// errNoSnapshot says that there is none, which is no fault.
var errNoSnapshot = errors.New("no snapshot")

func (s *Store) snapshotPath(id domain.ID) string {
	return filepath.Join(s.cfg.Snapshots, string(id)+".snapshot")
}

func (s *Store) snapshotLoop() {
	tick := time.NewTicker(snapshotEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		for _, id := range s.Loaded() {
			if err := s.snapshotOf(id, snapshotMin); err != nil {
				s.log.Warn("a snapshot could not be written", "org", id, "error", err)
			}
		}
	}
}

// SnapshotAll writes every org that has moved on since its last snapshot.
func (s *Store) SnapshotAll(ctx context.Context) error {
	var errs []error
	for _, id := range s.Loaded() {
		if ctx.Err() != nil {
			return errors.Join(append(errs, context.Cause(ctx))...)
		}
		errs = append(errs, s.snapshotOf(id, 1))
	}
	return errors.Join(errs...)
}

// snapshotOf writes an org that is in memory, see snapshot.
func (s *Store) snapshotOf(id domain.ID, least uint64) error {
	o := s.present(id)
	if o == nil {
		return nil
	}
	defer s.release(o)
	return s.snapshot(o, least)
}

// snapshot writes an org when it moved on by at least so many commits. It writes none
// while an observer has work left behind the org's head. The org is held for as long as
// the copy of its rows takes; the rest takes a hundred times as long.
func (s *Store) snapshot(o *org, least uint64) error {
	o.snapping.Lock()
	defer o.snapping.Unlock()
	f, ok := s.freeze(o, least)
	if !ok {
		return nil
	}
	err := s.writeSnapshot(f)
	o.looks.Add(-1)
	if err != nil {
		return fmt.Errorf("eventstore: snapshot %s: %w", o.id, err)
	}
	o.mu.Lock()
	o.snapped = f.head.N
	o.mu.Unlock()
	return nil
}

// frozen is an org as it was at a head.
type frozen struct {
	id    domain.ID
	head  Head
	state domain.Frozen
	ids   map[domain.UUID]uint64
	lost  schemas.Ranges
}

// freeze copies what a snapshot of an org holds; false: it is not to be written now.
// A copy counts among the looks at the org.
func (s *Store) freeze(o *org, least uint64) (frozen, bool) {
	if s.rlock(s.ctx, o) != nil {
		return frozen{}, false
	}
	defer o.mu.RUnlock()
	if !o.loaded.Load() || o.head.N < o.snapped+least || s.settled(o.id) < o.head.N {
		return frozen{}, false
	}
	o.looks.Add(1)
	return frozen{o.id, o.head, o.state.Freeze(), maps.Clone(o.ids), slices.Clone(o.lost)}, true
}

// writeSnapshot writes the file of a snapshot. It takes no lock.
func (s *Store) writeSnapshot(f frozen) error {
	state, err := f.state.AppendBinary(nil)
	if err != nil {
		return err
	}
	ids := encodeIDs(f.ids)
	header, err := json.Marshal(snapshotHeader{
		Format: snapshotFormat, Fold: domain.FoldVersion, Stream: s.created, Org: f.id, Epoch: f.head.Epoch, N: f.head.N,
		Hash: f.head.Hash, At: f.head.At, Seq: f.head.seq, StateSize: len(state), IDs: len(ids) / idSize, Lost: f.lost,
	})
	if err != nil {
		return err
	}
	file := slices.Concat(header, []byte("\n"), state, ids)
	sum := sha256.Sum256(file)
	return durable.Replace(s.snapshotPath(f.id), append(file, sum[:]...))
}

// settled is the last commit of an org of which no observer has anything left to do.
func (s *Store) settled(id domain.ID) uint64 {
	n := uint64(math.MaxUint64)
	for _, ob := range s.observers {
		n = min(n, ob.Settled(id))
	}
	return n
}

// idSize is the size of a command id with the sequence of its commit.
const idSize = 16 + 8

func encodeIDs(ids map[domain.UUID]uint64) []byte {
	out := make([]byte, 0, len(ids)*idSize)
	for _, id := range slices.SortedFunc(maps.Keys(ids), func(a, b domain.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		out = append(out, id[:]...)
		out = binary.BigEndian.AppendUint64(out, ids[id])
	}
	return out
}

// restoreSnapshot sets an org to its snapshot when that fits. The snapshot must be
// whole, of this fold version, on this ledger's chain, and not beyond the commit that
// observers begin at. The caller holds o.mu and resets the org on an error.
func (s *Store) restoreSnapshot(ctx context.Context, o *org, begin uint64, snap snapshotFile, err error) error {
	if errors.Is(err, errNoSnapshot) {
		return nil
	}
	if err != nil {
		return err
	}
	h, ids := snap.snapshotHeader, snap.ids
	switch {
	case h.Fold != domain.FoldVersion:
		return fmt.Errorf("it is of fold version %d, this is %d", h.Fold, domain.FoldVersion)
	case !h.Stream.Equal(s.created):
		return fmt.Errorf("it is of the ledger made %s, this one was made %s", h.Stream, s.created)
	case h.N > begin:
		return fmt.Errorf("it is at commit %d, commits are needed from %d on", h.N, begin)
	}
	msg, err := s.ledger.GetMsg(ctx, h.Seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && (msg.Subject != o.subject || wire.HashOf(msg.Data) != h.Hash) {
		return fmt.Errorf("its commit %d is not in this ledger", h.N)
	}
	if err != nil {
		return fmt.Errorf("check it against the ledger: %w", err)
	}
	o.state = snap.state
	for ; len(ids) > 0; ids = ids[idSize:] {
		seq := binary.BigEndian.Uint64(ids[16:])
		o.ids[domain.UUID(ids[:16])] = seq
		o.seqs = append(o.seqs, seq)
	}
	slices.Sort(o.seqs) // the sequences grow with the commits
	if uint64(len(o.seqs)) != h.Lost.Count(h.N) {
		return fmt.Errorf("it has %d commits, its position is %d", len(o.seqs), h.N)
	}
	o.moveTo(Head{Epoch: h.Epoch, N: h.N, Hash: h.Hash, At: h.At, seq: h.Seq})
	o.lost, o.snapped = h.Lost, h.N
	return nil
}

// snapshotFile is a snapshot as read.
type snapshotFile struct {
	snapshotHeader
	state *domain.State
	ids   []byte
}

// snapshotFile reads the snapshot of an org. A state that cannot be read is an error
// beside the header, which tells how far the ledger went.
func (s *Store) snapshotFile(id domain.ID) (snapshotFile, error) {
	h, state, ids, err := s.readSnapshot(id)
	if err != nil {
		return snapshotFile{}, err
	}
	snap := snapshotFile{h, domain.NewState(), ids}
	if h.Fold != domain.FoldVersion {
		return snap, nil // it is thrown away, by that
	}
	return snap, snap.state.UnmarshalBinary(state)
}

func (s *Store) readSnapshot(id domain.ID) (h snapshotHeader, state, ids []byte, err error) {
	file, err := os.ReadFile(s.snapshotPath(id))
	if errors.Is(err, os.ErrNotExist) {
		return h, nil, nil, errNoSnapshot
	}
	if err != nil {
		return h, nil, nil, err
	}
	return decodeSnapshot(file, id)
}

// decodeSnapshot takes the file of an org's snapshot apart.
func decodeSnapshot(file []byte, id domain.ID) (h snapshotHeader, state, ids []byte, err error) {
	n := len(file) - sha256.Size
	if n < 0 || sha256.Sum256(file[:n]) != [sha256.Size]byte(file[n:]) {
		return h, nil, nil, errors.New("its checksum is wrong")
	}
	r := bufio.NewReader(bytes.NewReader(file[:n]))
	line, err := r.ReadBytes('\n')
	if err != nil {
		return h, nil, nil, fmt.Errorf("its header is not whole: %w", err)
	}
	if err := wire.RowBounds.Check(line); err != nil {
		return h, nil, nil, fmt.Errorf("its header: %w", err)
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, nil, nil, fmt.Errorf("its header: %w", err)
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		return h, nil, nil, err
	}
	if h.Format != snapshotFormat || h.Org != id || h.StateSize < 0 || h.StateSize > len(rest) ||
		(len(rest)-h.StateSize)%idSize != 0 || (len(rest)-h.StateSize)/idSize != h.IDs {
		return h, nil, nil, errors.New("it is of another format, org or size")
	}
	return h, rest[:h.StateSize], rest[h.StateSize:], nil
}
