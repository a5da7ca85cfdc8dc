package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas/wire"
)

// Accept continues orgs whose loss an operator accepts. The directory was restored
// earlier, or its ledger ends before the end that is known elsewhere.
func Accept(ctx context.Context, cfg Config) (_ *Record, err error) {
	r, err := Check(cfg.Data)
	if err != nil {
		return nil, err
	}
	if r != nil {
		if err := accept(r.Orgs, cfg.Accept); err != nil {
			return nil, err
		}
	}
	run := &run{cfg: cfg, record: r}
	if run.vault, err = vault.Open(ctx, cfg.Data, cfg.Master); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, run.vault.Close()) }()
	if run.conns, err = cfg.Connect(ctx); err != nil {
		return nil, err
	}
	if r == nil {
		return run.acceptBehind(ctx)
	}
	s, err := run.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	for i := range r.Orgs {
		if _, now := cfg.Accept[r.Orgs[i].Org]; now {
			if err := run.goOnWith(ctx, s, &r.Orgs[i]); err != nil {
				return nil, err
			}
		}
	}
	if err := run.remember(ctx, s); err != nil {
		return nil, err
	}
	return r, r.write(cfg.Data)
}

// acceptBehind continues orgs of a directory that was not restored. It looks up again
// how far each is known to have gone: by a mark, the snapshot, the published deltas,
// the vault.
func (r *run) acceptBehind(ctx context.Context) (_ *Record, err error) {
	witness := ""
	if len(r.cfg.Witnesses) > 0 {
		witness = r.cfg.Witnesses[0]
	}
	marks, err := mark.OpenMarks(r.cfg.Data, witness, mark.Patience, r.cfg.Log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, marks.Close()) }()
	s, err := r.open(ctx, marks)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	r.record = &Record{Whole: true}
	unsure, err := r.behind(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := accept(r.record.Orgs, r.cfg.Accept); err != nil {
		return nil, err
	}
	if waiting := r.record.Waiting(); unsure && len(waiting) > 0 {
		return r.record, fmt.Errorf("restore: %w: nobody knows which orgs lost commits, so all of them at once; nothing was written", ErrWaiting)
	}
	for i := range r.record.Orgs {
		if o := &r.record.Orgs[i]; o.Accepted {
			if err := r.goOnWith(ctx, s, o); err != nil {
				return nil, err
			}
		}
	}
	if err := r.remember(ctx, s); err != nil {
		return nil, err
	}
	if unsure {
		return r.record, s.FollowAnew(ctx)
	}
	return r.record, nil
}

// behind notes the orgs whose ledger ends before the end that is known elsewhere. It
// reports unsure if there is no way to know which those are.
func (r *run) behind(ctx context.Context, s *eventstore.Store) (unsure bool, err error) {
	orgs, unsure, err := s.Orgs(ctx)
	if err != nil {
		return false, err
	}
	for id := range r.cfg.Accept {
		if !slices.Contains(orgs, id) {
			orgs = append(orgs, id) // accept names it
		}
	}
	slices.Sort(orgs)
	for _, id := range orgs {
		o, err := r.endOf(ctx, s, id)
		if err != nil {
			return false, fmt.Errorf("restore: look where %s ends: %w", id, err)
		}
		if _, named := r.cfg.Accept[id]; named && !o.Waits() {
			return false, fmt.Errorf("restore: --accept-loss %s=%s: %w: nothing of %s is known to be lost", id, o.Head, ErrAccept, id)
		}
		if o.Waits() {
			r.record.Orgs = append(r.record.Orgs, o)
		}
	}
	return unsure, nil
}

// endOf returns where the ledger of an org ends and how far it is known to have gone.
func (r *run) endOf(ctx context.Context, s *eventstore.Store, id domain.ID) (Org, error) {
	end, err := s.EndOf(ctx, id)
	if err != nil {
		return Org{}, err
	}
	o := Org{Org: id, Head: end.Head.Position(), Hash: end.Head.Hash, At: end.Head.At, Known: end.Known, KnownBy: end.KnownBy, Blind: end.Unsure}
	for _, dir := range r.cfg.Witnesses {
		all, _, err := mark.Read(dir)
		if err != nil {
			return Org{}, err
		}
		for _, m := range all {
			if m.Org == id {
				o.know(m.Position(), "the witness "+dir)
			}
		}
	}
	err = publishedOf(ctx, r.conns, id, func(at wire.Position) { o.know(at, "what was published of it in "+streams.Permissions) })
	o.giveUp()
	return o, err
}

// publishedOf calls f with the positions of the newest deltas, bases and cursors of an
// org.
func publishedOf(ctx context.Context, conns Conns, id domain.ID, f func(wire.Position)) error {
	js, err := jetstream.New(conns.Conn)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, streams.Permissions)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("permissions."+string(id)+".>"))
	if err != nil {
		return err
	}
	for _, subject := range slices.Sorted(maps.Keys(info.State.Subjects)) {
		msg, err := stream.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if at, ok := publishedAt(msg.Data); ok {
			f(at)
		}
	}
	return nil
}

// publishedAt returns the position of a delta, a base or a cursor.
func publishedAt(body []byte) (wire.Position, bool) {
	var at struct{ Epoch, N, Done uint64 }
	if err := json.Unmarshal(body, &at); err != nil {
		return wire.Position{}, false // the projector finds what it cannot read, and says it
	}
	return wire.Position{Epoch: max(at.Epoch, 1), N: max(at.N, at.Done)}, true
}
