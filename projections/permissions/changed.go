package permissions

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// changesKept is how many commits of an org that changed rows are remembered. Of earlier
// ones the stream tells.
const changesKept = 64

// changes remember which sites the latest commits of an org changed.
type changes struct {
	after  uint64 // every commit behind it that is not in latest changed no row
	latest []change
}

// change is what one commit changed.
type change struct {
	n     uint64
	sites []domain.ID
}

func (c *changes) note(n uint64, sites []domain.ID) {
	if len(sites) == 0 {
		return
	}
	slices.Sort(sites)
	if len(c.latest) == changesKept {
		c.after = c.latest[0].n
		c.latest = slices.Delete(c.latest, 0, 1)
	}
	c.latest = append(c.latest, change{n, sites})
}

// of lists the sites that a commit changed; ok is false for one that is not remembered.
func (c *changes) of(n uint64) (sites []domain.ID, ok bool) {
	for _, one := range c.latest {
		if one.n == n {
			return slices.Clone(one.sites), true
		}
	}
	return nil, n > c.after
}

// Changed waits until commit n is published, and lists the sites whose rows it changed,
// sorted. A site is listed too of which that cannot be told, as commits were published
// together.
func (p *Projector) Changed(ctx context.Context, id domain.ID, n uint64) ([]domain.ID, error) {
	release, err := p.cfg.Store.Hold(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("permissions: what commit %d of %s changed: %w", n, id, err)
	}
	defer release()
	if err := p.await(ctx, id, func(o *org) bool { return o.publishedTo() >= n }); err != nil {
		return nil, err
	}
	o := p.org(id)
	if o == nil {
		return nil, fmt.Errorf("permissions: %s is not held", id)
	}
	o.mu.Lock()
	sites, known := o.changes.of(n)
	if !known {
		sites = o.publishedSince(n)
	}
	o.mu.Unlock()
	if known {
		return sites, nil
	}
	var out []domain.ID
	for _, site := range sites {
		changed, err := p.changedBy(ctx, id, site, n)
		if err != nil {
			return nil, fmt.Errorf("permissions: what commit %d of %s changed: %w", n, id, err)
		}
		if changed {
			out = append(out, site)
		}
	}
	return out, nil
}

// publishedSince lists the sites of which commit n or a later one is published, sorted.
// The caller holds the org's lock.
func (o *org) publishedSince(n uint64) (sites []domain.ID) {
	for id, s := range *o.sites.Load() {
		if s.known && s.published.head.N >= n {
			sites = append(sites, id)
		}
	}
	slices.Sort(sites)
	return sites
}

// changedBy reports whether commit n may have changed a site, by what is published: the
// first delta of that commit or a later one has it, or not.
func (p *Projector) changedBy(ctx context.Context, org, site domain.ID, n uint64) (bool, error) {
	last, err := p.stream.GetLastMsgForSubject(ctx, subject(org, site))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	seq, err := firstFrom(ctx, p.stream, subject(org, site), last.Sequence, func(m *jetstream.RawStreamMsg) (bool, error) {
		h, err := headIn(m.Data)
		return h.N >= n, err
	})
	if err != nil {
		return false, err
	}
	msg, err := p.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject(org, site)))
	if err != nil {
		return false, err
	}
	d, part, err := wire.DecodePermission(msg.Data)
	switch {
	case err != nil:
		return false, err
	case part != nil:
		return part.N >= n, nil
	case d.Cause == wire.CauseTags || d.Cause == wire.CauseSigned:
		return false, nil
	case d.Cause == wire.CauseCommit:
		return d.N == n, nil
	}
	return d.N >= n && d.PrevN < n, nil
}
