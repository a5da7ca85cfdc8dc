package permissions

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

// ErrNotPublished says that nothing has been published for a site.
var ErrNotPublished = errors.New("permissions: nothing is published of the site")

// Load builds the table of a site from its newest base and the deltas after it. It also
// returns the head of the table. A message that does not fit is an error that wraps
// wire.ErrPermissions; there is never a partial table.
func Load(ctx context.Context, js jetstream.JetStream, org, site domain.ID) (*unlock.Table, wire.PermissionHead, error) {
	stream, err := js.Stream(ctx, streams.Permissions)
	if err != nil {
		return nil, wire.PermissionHead{}, fmt.Errorf("permissions: open %s: %w", streams.Permissions, err)
	}
	pub, err := loadSite(ctx, js, stream, org, site, nil)
	if err != nil {
		return nil, wire.PermissionHead{}, fmt.Errorf("permissions: load %s/%s: %w", org, site, err)
	}
	return pub.table, pub.head, nil
}

// published is the published state of an org.
type published struct {
	sites  map[domain.ID]publishedSite
	cursor cursor
	done   uint64
}

func (p published) none() bool { return len(p.sites) == 0 && !p.cursor.known }

// seen is the last commit that any published message names.
func (p published) seen() wire.Position {
	last := wire.Position{N: p.done}
	for _, site := range p.sites {
		last = wire.Position{Epoch: max(last.Epoch, site.head.Epoch), N: max(last.N, site.head.N)}
	}
	last.Epoch = max(last.Epoch, 1)
	return last
}

// publishedSite is the published state of a site.
type publishedSite struct {
	table     *unlock.Table
	head      wire.PermissionHead
	seq       uint64 // of the last message of its deltas
	done      uint64 // its field done
	sinceBase int    // at the time of reading: bytes of deltas after the last base
	baseSize  int    // at the time of reading: bytes of that base
	signed    bool   // the last delta is, by the present key
	broken    bool   // it cannot be read
	tooNew    bool   // by this code
}

// logKey is the public half of the key that signs.
func (p *Projector) logKey() ed25519.PublicKey { return p.cfg.LogKey.Public().(ed25519.PublicKey) }

func (p *Projector) readPublished(ctx context.Context, org domain.ID) (published, error) {
	pub := published{sites: map[domain.ID]publishedSite{}}
	var err error
	if pub.cursor, err = p.readCursor(ctx, org); err != nil {
		return pub, err
	}
	pub.done = pub.cursor.done
	info, err := p.stream.Info(ctx, jetstream.WithSubjectFilter("permissions."+string(org)+".*"))
	if err != nil {
		return pub, err
	}
	var mu sync.Mutex
	var reading errgroup.Group
	reading.SetLimit(4)
	for subject := range info.State.Subjects {
		site := domain.ID(subject[strings.LastIndexByte(subject, '.')+1:])
		if domain.CheckID(site) != nil {
			continue // the cursor
		}
		reading.Go(func() error {
			var found publishedSite
			var err error
			if panicked := p.cfg.Store.Guard("permissions", org, "", func() { found, err = p.readSite(ctx, org, site) }); panicked != nil {
				return panicked
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			pub.sites[site] = found
			pub.done = max(pub.done, found.done)
			return nil
		})
	}
	return pub, reading.Wait()
}

// readSite reads the published state of a site. It only notes a fault of the messages,
// which must not keep the org from being served.
func (p *Projector) readSite(ctx context.Context, org, site domain.ID) (publishedSite, error) {
	found, err := loadSite(ctx, p.cfg.Bulk, p.stream, org, site, p.logKey())
	switch {
	case errors.Is(err, wire.ErrPermissionsTooNew):
		found.tooNew = true
		p.cfg.Log.Error("a later version publishes the permissions of a site; update this instance", "org", org, "site", site, "error", err)
	case errors.Is(err, wire.ErrPermissions):
		found.broken = true
		p.cfg.Log.Error("published permissions cannot be read", "org", org, "site", site, "error", err)
	case err != nil:
		return found, err
	}
	return found, nil
}

// deltaHead holds the fields that give the position of a message of deltas or bases.
type deltaHead struct {
	Epoch  uint64        `json:"epoch"`
	N      uint64        `json:"n"`
	Digest unlock.Digest `json:"digest"`
}

func headIn(body []byte) (wire.PermissionHead, error) {
	var h deltaHead
	if err := json.Unmarshal(body, &h); err != nil {
		return wire.PermissionHead{}, fmt.Errorf("%w: %w", wire.ErrPermissions, err)
	}
	return wire.PermissionHead{Epoch: h.Epoch, N: h.N, Digest: h.Digest}, nil
}

// datedHeadIn reads the time of the commit too, which base and delta have.
func datedHeadIn(body []byte) (wire.PermissionHead, error) {
	h, err := headIn(body)
	if err == nil {
		h.At, err = atIn(body)
	}
	return h, err
}

// loadSite reads a site. Beside an error it returns the end of the subject.
func loadSite(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, org, site domain.ID, key ed25519.PublicKey) (publishedSite, error) {
	pub := publishedSite{table: new(unlock.Table)}
	deltas := subject(org, site)
	last, err := stream.GetLastMsgForSubject(ctx, deltas)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return pub, ErrNotPublished
	}
	if err != nil {
		return pub, err
	}
	pub.seq = last.Sequence
	reader, from, err := loadBase(ctx, js, stream, org, site, last.Sequence, key, &pub)
	if err != nil {
		return pub, err
	}
	behind := behindBase{based: reader.Head(), skipping: from > 0}
	err = each(ctx, js, deltas, max(from, 1), last.Sequence, func(body []byte) error {
		if skip, err := behind.skips(body); skip || err != nil {
			return err
		}
		pub.sinceBase += len(body)
		d, err := reader.Take(body)
		if d != nil {
			pub.done = d.Done
		}
		return err
	})
	if err != nil {
		return pub, err
	}
	pub.table, pub.head, pub.signed = reader.Table(), reader.Head(), reader.Signed()
	return pub, nil
}

// behindBase passes over the deltas up to a base. The last of them may share its commit
// with others: tags that were made later.
type behindBase struct {
	based         wire.PermissionHead
	skipping, met bool
}

func (b *behindBase) skips(body []byte) (bool, error) {
	if !b.skipping {
		return false, nil
	}
	h, err := headIn(body)
	if err != nil {
		return false, err
	}
	at := h.Epoch == b.based.Epoch && h.N == b.based.N
	b.met = b.met || at && h.Digest == b.based.Digest
	b.skipping = h.Before(b.based) || at && (!b.met || h.Digest == b.based.Digest)
	return b.skipping, nil
}

// loadBase reads the newest whole base and finds the first delta that may come after
// it; 0 when there is no base.
func loadBase(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, org, site domain.ID, end uint64, key ed25519.PublicKey, pub *publishedSite) (*wire.SiteTable, uint64, error) {
	none := wire.NewSiteTable(wire.ID(org), wire.ID(site))
	none.Verify(key)
	last, err := stream.GetLastMsgForSubject(ctx, baseSubject(org, site))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return none, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var bases wire.BaseReader
	err = each(ctx, js, baseSubject(org, site), 1, last.Sequence, func(body []byte) error {
		_, err := bases.Take(body)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	table, err := bases.SiteTable(wire.ID(org), wire.ID(site), key)
	if err != nil {
		return nil, 0, err
	}
	if table == nil {
		return none, 0, nil
	}
	pub.baseSize = bases.Size()
	from, err := firstFrom(ctx, stream, subject(org, site), end, func(m *jetstream.RawStreamMsg) (bool, error) {
		h, err := headIn(m.Data)
		return !h.Before(table.Head()), err
	})
	return table, from, err
}

// firstFrom returns the sequence of the first message of a subject for which holds is
// true. If it is true for a message, it must be true for all later ones. If it is true
// for none before end, firstFrom returns end. Only the stream knows sequences, and no
// body contains them, so it uses a binary search.
func firstFrom(ctx context.Context, stream jetstream.Stream, subject string, end uint64, holds func(*jetstream.RawStreamMsg) (bool, error)) (uint64, error) {
	low, high := uint64(1), end
	for low < high {
		mid := low + (high-low)/2
		msg, err := stream.GetMsg(ctx, mid, jetstream.WithGetMsgSubject(subject))
		if err != nil {
			return 0, err
		}
		yes, err := holds(msg)
		if err != nil {
			return 0, err
		}
		if yes {
			high = mid
		} else {
			low = msg.Sequence + 1
		}
	}
	return low, nil
}

// each calls f with the bodies of a subject's messages from one sequence to another,
// both inclusive. A message of the subject must have the sequence until.
func each(ctx context.Context, js jetstream.JetStream, subject string, from, until uint64, f func(body []byte) error) error {
	var failed error // what f answered
	err := eventstore.ReadStream(ctx, js, streams.Permissions, []string{subject}, from, until, func(_ uint64, body []byte) error {
		failed = f(body)
		return failed
	})
	switch {
	case failed != nil:
		return failed
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("read %s: %w", subject, err)
	}
	return nil
}

// atIn reads the time of the commit of a delta, or of the first part of one.
func atIn(body []byte) (time.Time, error) {
	d, part, err := wire.DecodePermission(body)
	switch {
	case err != nil:
		return time.Time{}, err
	case part != nil && part.At.IsZero(): // written before parts had it
		return time.Unix(0, 0).UTC(), nil
	case part != nil:
		return part.At, nil
	}
	return d.At, nil
}
