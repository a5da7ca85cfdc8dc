package permissions

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// ErrTooOld says that what was published then is no longer in the stream.
var ErrTooOld = errors.New("permissions: what was published then is purged")

// ErrEnough ends [Projector.Tables] early, without an error.
var ErrEnough = errors.New("permissions: enough")

// Tables calls f with the published tables of a site in their order. It begins with the
// last one whose head is among those of before; a head that comes before another that is
// must be so too. The heads have epoch, number, digest and time. Without any such table it
// begins with the empty one. The error wraps ErrTooOld where the stream does not reach
// back so far.
func (p *Projector) Tables(ctx context.Context, org, site domain.ID, before func(wire.PermissionHead) bool, f func(*unlock.Table, wire.PermissionHead) error) error {
	err := p.tables(ctx, org, site, before, f)
	if errors.Is(err, ErrEnough) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("permissions: past tables of %s/%s: %w", org, site, err)
	}
	return nil
}

func (p *Projector) tables(ctx context.Context, org, site domain.ID, before func(wire.PermissionHead) bool, f func(*unlock.Table, wire.PermissionHead) error) error {
	deltas := subject(org, site)
	last, err := p.stream.GetLastMsgForSubject(ctx, deltas)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return f(new(unlock.Table), wire.PermissionHead{})
	}
	if err != nil {
		return err
	}
	reader, from, err := p.baseBefore(ctx, org, site, last.Sequence, before)
	if err != nil {
		return err
	}
	behind := behindBase{based: reader.Head(), skipping: from > 0}
	begun := false
	err = each(ctx, p.cfg.Bulk, deltas, max(from, 1), last.Sequence, func(body []byte) error {
		if skip, err := behind.skips(body); skip || err != nil {
			return err
		}
		h, err := datedHeadIn(body)
		if err != nil {
			return err
		}
		if !begun && !before(h) {
			begun = true
			if err := f(reader.Table(), reader.Head()); err != nil {
				return err
			}
		}
		delta, err := reader.Take(body)
		switch {
		case errors.Is(err, wire.ErrPermissions) && reader.Head().N == 0:
			return fmt.Errorf("%w: %w", ErrTooOld, err)
		case err != nil || delta == nil || !begun:
			return err
		}
		return f(reader.Table(), reader.Head())
	})
	if err != nil || begun {
		return err
	}
	return f(reader.Table(), reader.Head())
}

// baseBefore reads the newest whole base among the heads of before. It finds the first
// delta that may come behind it. Without one it gives the empty table and 0.
func (p *Projector) baseBefore(ctx context.Context, org, site domain.ID, end uint64, before func(wire.PermissionHead) bool) (*wire.SiteTable, uint64, error) {
	none := wire.NewSiteTable(wire.ID(org), wire.ID(site))
	last, err := p.stream.GetLastMsgForSubject(ctx, baseSubject(org, site))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return none, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var bases wire.BaseReader
	err = each(ctx, p.cfg.Bulk, baseSubject(org, site), 1, last.Sequence, func(body []byte) error {
		h, err := datedHeadIn(body)
		if err == nil && !before(h) {
			return ErrEnough
		}
		if err == nil {
			_, err = bases.Take(body)
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrEnough) {
		return nil, 0, err
	}
	table, err := bases.SiteTable(wire.ID(org), wire.ID(site), nil)
	if err != nil || table == nil {
		return none, 0, err
	}
	from, err := firstFrom(ctx, p.stream, subject(org, site), end, func(m *jetstream.RawStreamMsg) (bool, error) {
		h, err := headIn(m.Data)
		return !h.Before(table.Head()), err
	})
	return table, from, err
}
