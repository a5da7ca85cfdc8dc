package control

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/projections/permissions"
	"gatehouse/schemas/wire"
)

// maxVersions is how many tables of a site are kept to find what took a grant away. Of
// more, every other is dropped: the change that is named may then be one
// that came a little later.
const maxVersions = 256

// version is a table that was published, with its head.
type version struct {
	table *unlock.Table
	head  wire.PermissionHead
}

// suspect is a grant on another table than the present one.
type suspect struct {
	*wire.Activity
	at      wire.Position
	request unlock.Request
	local   unlock.Local
}

// judge finds the stale grants among records of a gateway, in their order. Most are told
// apart without a decision: by the table that they name, and by when the first change was
// committed that it lacked. For others the decision is asked again.
func (s *staleness) judge(ctx context.Context, n outboxName, records []*wire.Activity) (marks []wire.Activity, err error) {
	var suspects []suspect
	for _, a := range records {
		if x, ok := suspectOf(a); ok {
			suspects = append(suspects, x)
		}
	}
	if len(suspects) == 0 {
		return nil, nil
	}
	release, err := s.c.cfg.Store.Hold(ctx, n.org)
	if err != nil {
		return nil, err
	}
	defer release()
	head, err := s.c.cfg.Store.Head(ctx, n.org)
	if err != nil {
		return nil, err
	}
	if err := s.c.cfg.Tables.Wait(ctx, n.org, head.N); err != nil {
		return nil, err
	}
	now := s.c.cfg.Tables.Table(n.org, n.site)
	since := map[wire.PermissionHead]time.Time{}
	past := history{}
	for _, x := range suspects {
		grave, err := s.grave(ctx, n, now, since, x)
		if err != nil {
			return nil, err
		}
		if !grave {
			continue
		}
		if err := past.reach(ctx, s.c.cfg.Tables, n, x); err != nil {
			return nil, err
		}
		if past.lost {
			s.c.metrics.unjudged.Inc()
			continue
		}
		if by, answer, ok := past.takenAway(x); ok {
			marks = append(marks, staleMark(n, x.Activity, by, answer, s.c.cfg.Now()))
		}
	}
	return marks, nil
}

// suspectOf gives the question of a grant that the gateway decided by itself about a known
// person; ok is false for any other record.
func suspectOf(a *wire.Activity) (x suspect, ok bool) {
	if a.Type != wire.AccessGranted || a.Order != "" || a.Credential == "" && a.Person == "" {
		return x, false
	}
	at, err := wire.ParsePosition(a.Position)
	if err != nil {
		return x, false
	}
	x = suspect{Activity: a, at: at, request: unlock.Request{Door: unlock.IDOf(string(a.Door)), At: unlock.InstantOf(a.At), Credential: unlock.IDOf(string(a.Credential))}}
	if a.Side == unlock.Out.String() {
		x.request.Side = unlock.Out
	}
	if a.Credential == "" {
		x.request.Person = unlock.IDOf(string(a.Person))
		if err := x.request.Kind.UnmarshalText([]byte(a.Method)); err != nil {
			return x, false
		}
	}
	if len(a.Local) > 0 && json.Unmarshal(a.Local, &x.local) != nil {
		return x, false
	}
	x.local.LeaseEnd = unlock.Held
	return x, true
}

// grave reports whether a grant has to be asked again on the tables of then: a change was
// committed before it that its table lacked, and the present table does not allow it too.
func (s *staleness) grave(ctx context.Context, n outboxName, now *unlock.Table, since map[wire.PermissionHead]time.Time, x suspect) (bool, error) {
	if now != nil && x.Position == now.Position() {
		return false, nil
	}
	head := wire.PermissionHead{Epoch: x.at.Epoch, N: x.at.N}
	if head.Digest.UnmarshalText([]byte(x.Digest)) == nil {
		first, known := since[head]
		if !known {
			var err error
			if first, err = s.c.cfg.Tables.Since(ctx, n.org, n.site, head); err != nil {
				return false, err
			}
			since[head] = first
		}
		if first.IsZero() || first.After(x.At) {
			return false, nil
		}
	}
	if now != nil && now.At() <= x.request.At {
		return !unlock.Decide(now, &x.local, x.request).Allowed, nil
	}
	return true, nil
}

// history is the published tables of a site from one position on.
type history struct {
	from     wire.Position
	known    bool
	lost     bool // the stream does not reach back so far
	versions []version
}

// reach reads the tables from that of a grant on, unless they are there.
func (h *history) reach(ctx context.Context, tables Tables, n outboxName, x suspect) error {
	if h.known && h.from == x.at {
		return nil
	}
	*h = history{from: x.at, known: true}
	err := tables.Tables(ctx, n.org, n.site, func(head wire.PermissionHead) bool { return !x.at.Before(head.Position()) }, func(t *unlock.Table, head wire.PermissionHead) error {
		if len(h.versions) == maxVersions {
			kept := h.versions[:1]
			for i := 2; i < len(h.versions); i += 2 {
				kept = append(kept, h.versions[i])
			}
			clear(h.versions[len(kept):])
			h.versions = kept
		}
		h.versions = append(h.versions, version{t, head})
		return nil
	})
	if errors.Is(err, permissions.ErrTooOld) {
		h.lost, err = true, nil
	}
	return err
}

// takenAway finds the change since which a grant is denied, committed before it. A grant
// that is denied on its own table too is none that a change took away.
func (h *history) takenAway(x suspect) (by version, answer unlock.Answer, ok bool) {
	for i, v := range h.versions {
		if i > 0 && v.head.At.After(x.At) {
			break
		}
		a := unlock.Decide(v.table, &x.local, x.request)
		switch {
		case i == 0 && !a.Allowed:
			return by, a, false
		case a.Allowed:
			ok = false
		case !ok:
			by, answer, ok = v, a, true
		}
	}
	return by, answer, ok
}
