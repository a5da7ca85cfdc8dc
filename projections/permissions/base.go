package permissions

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// minBase is the least number of bytes of deltas for which a base is worth writing. As
// twice the last base is required as well, reading costs at most three times the table,
// and bases cost at most half of what deltas cost.
const minBase = 4 << 20

// baseSubject is the subject of a site's bases.
func baseSubject(org, site domain.ID) string { return subject(org, site) + ".base" }

// baseJob is a table to write as a base.
type baseJob struct {
	site  *site
	table *unlock.Table
	head  wire.PermissionHead
}

// askBase requests a base when enough deltas follow the last one. If too many requests
// are pending, a later delta asks again.
func (p *Projector) askBase(s *site) {
	if s.sinceBase < max(p.minBase, 2*int(s.baseSize.Load())) || !s.basing.CompareAndSwap(false, true) {
		return
	}
	select {
	case p.bases <- baseJob{s, s.published.table, s.published.head}:
		s.sinceBase = 0
	default:
		s.basing.Store(false)
	}
}

// baseLoop writes bases, one at a time, so that deltas take precedence.
func (p *Projector) baseLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case job := <-p.bases:
			var size int
			var err error
			if panicked := p.cfg.Store.Guard("bases", job.site.org.id, "", func() { size, err = p.writeBase(ctx, job) }); panicked != nil {
				err = panicked
			}
			if err != nil && ctx.Err() == nil {
				p.cfg.Log.Warn("a base of permissions is not written; readers begin at the one before", "org", job.site.org.id, "site", job.site.id, "error", err)
			}
			if size > 0 {
				job.site.baseSize.Store(int64(size))
			}
			job.site.basing.Store(false)
		}
	}
}

// writeBase writes a base unless one of that commit or a later one exists. It then
// purges the messages that this base and the one before make needless.
func (p *Projector) writeBase(ctx context.Context, job baseJob) (size int, err error) {
	o, s := job.site.org, job.site
	subject := baseSubject(o.id, s.id)
	last, err := p.stream.GetLastMsgForSubject(ctx, subject)
	var before wire.PermissionHead
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
	case err != nil:
		return 0, err
	default:
		if before, err = headIn(last.Data); err != nil {
			return 0, err
		}
		if !before.Before(job.head) {
			return 0, nil
		}
	}
	err = wire.EncodeBase(wire.ID(o.id), wire.ID(s.id), job.table, job.head, p.cfg.LogKey, func(body []byte) error {
		size += len(body)
		_, err := p.cfg.JS.Publish(ctx, subject, body)
		return err
	})
	if err != nil {
		return 0, err
	}
	p.metrics.bases.Inc()
	if last != nil {
		err = p.purge(ctx, o.id, s.id, last.Sequence, before)
	}
	return size, err
}

// purge deletes the bases before the last but one. It also deletes the deltas before
// that base that are older than the horizon.
func (p *Projector) purge(ctx context.Context, org, site domain.ID, end uint64, before wire.PermissionHead) error {
	keep, err := firstFrom(ctx, p.stream, baseSubject(org, site), end, func(m *jetstream.RawStreamMsg) (bool, error) {
		h, err := headIn(m.Data)
		return !h.Before(before), err
	})
	if err != nil {
		return err
	}
	if err := p.stream.Purge(ctx, jetstream.WithPurgeSubject(baseSubject(org, site)), jetstream.WithPurgeSequence(keep)); err != nil {
		return err
	}
	last, err := p.stream.GetLastMsgForSubject(ctx, subject(org, site))
	if err != nil {
		return err
	}
	horizon := p.cfg.Now().Add(-p.cfg.Horizon)
	keep, err = firstFrom(ctx, p.stream, subject(org, site), last.Sequence, func(m *jetstream.RawStreamMsg) (bool, error) {
		h, err := headIn(m.Data)
		return !h.Before(before) || m.Time.After(horizon), err
	})
	if err != nil {
		return err
	}
	return p.stream.Purge(ctx, jetstream.WithPurgeSubject(subject(org, site)), jetstream.WithPurgeSequence(keep))
}
