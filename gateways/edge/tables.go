package edge

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"gatehouse/domain/unlock"
	"gatehouse/failpoint"
	"gatehouse/gateways/edge/journal"
	"gatehouse/schemas/wire"
)

// # The table
//
// The table of the site is kept as the messages from which it was built: those of a base,
// and the deltas behind it. So what is read at a start is checked as what came over the
// wire was: each delta leads to the digest that it names, and the last one is signed. A
// change is durable before anybody decides by it: else a power cut could bring back
// permissions that were reported as gone. A table is never replaced by an earlier one of
// the same epoch.

// The first byte of a frame says what it is.
const (
	frameVoucher = 'v' // the signature of the base behind it, if that was written here
	frameBase    = 'b' // a part of a base
	frameDelta   = 'd'
)

// compactAfter is how many bytes of deltas are written before a new base takes their
// place. They are at least those of the base, so that a start never reads much more than
// that.
const compactAfter = 1 << 20

// errOlder says that a table was refused because a later one has been decided by.
var errOlder = errors.New("a later table has been in force here")

// tables keeps the table of the gateway's site. All but view is for one goroutine.
type tables struct {
	dir       string
	org, site wire.ID
	key       ed25519.PublicKey
	journal   *journal.Journal
	next      uint64        // number of the next frame
	deltas    int           // bytes of deltas behind the base
	base      int           // bytes of the base
	unsure    bool          // what is stored may not be what was to be
	seen      wire.Position // of the latest table in force here, which may be lost
	signed    *wire.SiteTable
	view      atomic.Pointer[view]
}

// view is a table by which decisions are made.
type view struct {
	table  *unlock.Table
	head   wire.PermissionHead
	digest string
}

// openTables reads the table in a directory. seen is the last position that was in force
// here: what is left of the table after damage must not be earlier. Without a good table
// there is none, and the service gives one.
func openTables(dir string, org, site wire.ID, key ed25519.PublicKey, seen wire.Position) (*tables, error) {
	t := &tables{dir: dir, org: org, site: site, key: key, next: 1, seen: seen}
	if err := journal.Finish(dir); err != nil {
		return nil, err
	}
	var err error
	if t.journal, err = journal.Open(dir); err != nil {
		return nil, err
	}
	c := t.begin()
	var vouch *wire.PermissionDelta
	bad := t.journal.Read(0, func(number uint64, body []byte) bool {
		t.next = number + 1
		vouch, err = t.load(c, body, vouch)
		return err == nil
	})
	if err = errors.Join(bad, err); err == nil && c.table == nil && t.next > 1 {
		err = fmt.Errorf("%w: the stored table is not whole", wire.ErrPermissions)
	}
	if err == nil && c.table != nil {
		if err = t.late(c.table.Head().Position()); !c.table.Signed() {
			err = fmt.Errorf("%w: %w", wire.ErrPermissions, wire.ErrUnsigned)
		}
	}
	if err != nil {
		return t, t.abandon(err)
	}
	if c.table != nil {
		t.publish(c.table)
	}
	return t, nil
}

// load takes a stored frame into a candidate.
func (t *tables) load(c *candidate, frame []byte, vouch *wire.PermissionDelta) (*wire.PermissionDelta, error) {
	kind, body := frame[0], frame[1:]
	switch kind {
	case frameVoucher:
		vouch = new(wire.PermissionDelta)
		return vouch, json.Unmarshal(body, vouch)
	case frameBase:
		t.base += len(frame)
		whole, err := c.takeBase(body)
		if err == nil && whole && vouch != nil && !c.table.Vouch(vouch) {
			err = fmt.Errorf("%w: %w", wire.ErrPermissions, wire.ErrUnsigned)
		}
		return vouch, err
	case frameDelta:
		t.deltas += len(frame)
		return nil, c.takeDelta(body)
	}
	return nil, fmt.Errorf("edge: a frame of the table begins with the byte %d", kind)
}

// damagedTable says that the stored table was put aside.
type damagedTable struct{ err error }

func (e *damagedTable) Error() string { return "edge: the stored table is no good: " + e.err.Error() }
func (e *damagedTable) Unwrap() error { return e.err }

// abandon puts a stored table aside that cannot be used, and begins with none.
func (t *tables) abandon(why error) error {
	aside := t.dir + ".damaged"
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	next, err := t.journal.Replace(1, nil, aside)
	if err != nil {
		return err
	}
	t.journal, t.next, t.base, t.deltas = next, 1, 0, 0
	return &damagedTable{why}
}

// late says that a position lies before one that was in force here: what was taken away
// in between must not be given back.
func (t *tables) late(at wire.Position) error {
	if at.Before(t.seen) {
		return fmt.Errorf("%w: %s, not %s", errOlder, t.seen, at)
	}
	return nil
}

func (t *tables) publish(to *wire.SiteTable) {
	t.signed, t.seen = to, to.Head().Position()
	t.view.Store(&view{table: to.Table(), head: to.Head(), digest: to.Head().Digest.String()})
}

// head is the head of the present table; zero while there is none.
func (t *tables) head() wire.PermissionHead {
	if t.signed == nil {
		return wire.PermissionHead{}
	}
	return t.signed.Head()
}

// candidate is a table under construction from messages of the service.
type candidate struct {
	of    *tables
	base  *wire.BaseReader // nil: it continues the present table
	table *wire.SiteTable
	fresh bool     // it takes the place of the stored one
	store [][]byte // frames to store
}

// begin begins a table with nothing.
func (t *tables) begin() *candidate {
	return &candidate{of: t, base: new(wire.BaseReader), fresh: true}
}

// continued begins with the present table.
func (t *tables) continued() *candidate {
	if t.signed == nil {
		return t.begin()
	}
	return &candidate{of: t, table: t.signed.Clone()}
}

// take takes the next message: of a base first if the table begins with nothing, then of
// the deltas.
func (c *candidate) take(body []byte) error {
	if c.table == nil && c.base != nil && !isDelta(body) {
		c.store = append(c.store, frameOf(frameBase, body))
		_, err := c.takeBase(body)
		return err
	}
	c.store = append(c.store, frameOf(frameDelta, body))
	return c.takeDelta(body)
}

// isDelta reports whether a message is a delta or the first part of one: a site that has
// no base yet begins with that. A part of a base tells how many there are only if it is
// the last.
func isDelta(body []byte) bool {
	d, p, err := wire.DecodePermission(body)
	return err == nil && (d != nil || p.Of > p.Part)
}

func (c *candidate) takeBase(body []byte) (whole bool, err error) {
	if whole, err = c.base.Take(body); err != nil || !whole {
		return false, err
	}
	c.table, err = c.base.SiteTable(c.of.org, c.of.site, c.of.key)
	c.base = nil
	return err == nil, err
}

func (c *candidate) takeDelta(body []byte) error {
	if c.table == nil {
		c.base, c.table = nil, wire.NewSiteTable(c.of.org, c.of.site)
		c.table.Verify(c.of.key)
	}
	_, err := c.table.Take(body)
	return err
}

func frameOf(kind byte, body []byte) []byte {
	return append(append(make([]byte, 0, len(body)+1), kind), body...)
}

// good reports whether the log's key vouches for the candidate, so that it may be decided by.
func (c *candidate) good() bool { return c.table != nil && c.table.Signed() }

// adopt makes a candidate durable and then the table to decide by. A good one alone is
// given to it. It refuses one that is before the present table.
func (t *tables) adopt(c *candidate) error {
	if err := t.late(c.table.Head().Position()); err != nil {
		return err
	}
	if c.fresh {
		if err := t.replace(c.store); err != nil {
			return err
		}
		t.base, t.deltas = 0, 0
		for _, f := range c.store {
			t.count(f)
		}
	} else if err := t.append(c); err != nil {
		return err
	}
	failpoint.Reached(failpoint.TableDurable)
	c.store, c.fresh, c.base = nil, false, nil
	t.publish(c.table.Clone())
	failpoint.Reached(failpoint.TableInForce)
	return t.compact()
}

func (t *tables) count(frame []byte) {
	if frame[0] == frameDelta {
		t.deltas += len(frame)
	} else {
		t.base += len(frame)
	}
}

// append stores what a candidate adds. After a failure nobody knows what of it is stored,
// so the next table is stored again.
func (t *tables) append(c *candidate) error {
	if t.unsure {
		return t.rewrite(c.table)
	}
	t.unsure = true
	for _, f := range c.store {
		if err := t.journal.Append(t.next, f); err != nil {
			return err
		}
		t.next++
		t.count(f)
	}
	failpoint.Reached(failpoint.TableAppended)
	if err := t.journal.Sync(); err != nil {
		return err
	}
	t.unsure = false
	return nil
}

// replace puts other frames in the place of the stored ones, at once.
func (t *tables) replace(frames [][]byte) error {
	aside := filepath.Clean(t.dir) + ".old"
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	next, err := t.journal.Replace(1, frames, aside)
	if err != nil {
		return err
	}
	t.journal, t.next, t.unsure = next, uint64(len(frames))+1, false
	return os.RemoveAll(aside)
}

// compact writes the table as a base when its deltas have become much.
func (t *tables) compact() error {
	if t.deltas < compactAfter || t.deltas < t.base {
		return nil
	}
	return t.rewrite(t.signed)
}

// rewrite stores a table as a base.
func (t *tables) rewrite(s *wire.SiteTable) error {
	voucher, err := json.Marshal(s.Voucher())
	if err != nil {
		return err
	}
	frames := [][]byte{frameOf(frameVoucher, voucher)}
	err = wire.EncodeBase(t.org, t.site, s.Table(), s.Head(), nil, func(body []byte) error {
		frames = append(frames, frameOf(frameBase, body))
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.replace(frames); err != nil {
		return err
	}
	t.base, t.deltas = 0, 0
	for _, f := range frames {
		t.count(f)
	}
	return nil
}

func (t *tables) close() error { return t.journal.Close() }
