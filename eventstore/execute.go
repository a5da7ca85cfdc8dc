package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// attempts is how often a command is decided again after conflicts before it is
// answered with [ErrBusy]. Commands that take access away retry until their deadline.
// Against two other busy nodes on a cluster, five attempts left two of five commands
// unanswered; sixteen with pauses leave hardly any.
const attempts = 16

// conflictPause bounds the random pause after the first conflict; it grows with
// the attempts, so that nodes which met step aside for each other.
const conflictPause = 2 * time.Millisecond

// deadline bounds a command from the moment it is accepted into the queue.
const deadline = 10 * time.Second

// urgentDeadline bounds a command that takes access away.
const urgentDeadline = 5 * time.Second

// Execute decides a command and appends what it leads to. It returns after the
// commit is durable. The same id and request give the same result for ever; a
// refusal is not remembered by id.
func (s *Store) Execute(ctx context.Context, id domain.ID, req Request) (result Result, err error) {
	typ, ok := domain.CommandNamed(req.Command)
	if !ok {
		return Result{}, &domain.Refusal{Kind: domain.RefusedUnknown, Code: "unknown_command", Message: "there is no command " + req.Command}
	}
	if req.Actor.Kind != domain.ActorService && req.ID.OfService() {
		return Result{}, ErrReservedID
	}
	o, err := s.org(ctx, id)
	if err != nil {
		return Result{}, err
	}
	defer s.release(o)
	defer func() {
		if cause := recover(); cause != nil {
			result, err = Result{}, s.commandPanicked(o, req.Command, cause)
		}
	}()
	// A dry run does not go before commands that take access away.
	urgent := typ.Urgent(req.Fields...)
	first := urgent && !req.DryRun
	limit := deadline
	if first {
		limit = urgentDeadline
	}
	// The command goes on when its sender goes away: it may be stored already.
	asking := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	var former domain.UUID
	if req.Actor.Kind == domain.ActorService {
		former, req.ID = req.ID, req.ID.ForService()
	}
	domain.Complete(req.ID, req.Fields...)
	x := &execution{store: s, org: o, req: req, typ: typ, urgent: urgent, former: former, salt: newSalt()}
	defer x.free()
	began := s.cfg.Now()
	result, err = x.pass(ctx, laneOf(first, len(req.Fields)))
	if err == nil && x.look != nil {
		result.Impact, err = x.foreseen(asking)
	}
	s.metrics.command(req.Command, err, s.cfg.Now().Sub(began))
	if refusal, ok := errors.AsType[*domain.Refusal](err); ok {
		s.recordRefusal(ctx, o.id, x, refusal)
	}
	return result, err
}

// pass waits for the command's turn and runs it: a large dry run a second time, with a
// place for the copy that it needs.
func (x *execution) pass(ctx context.Context, l lane) (result Result, err error) {
	for {
		err = x.org.queue.do(ctx, l, func(ctx context.Context) { result, x.err = x.run(ctx) })
		if err == nil {
			err = x.err
		}
		if !errors.Is(err, errNeedsCopy) {
			return result, err
		}
		if x.place, err = x.store.copies.Take(ctx, x.who(), 1); err != nil {
			return result, err
		}
	}
}

// execution is one command on its way.
type execution struct {
	store *Store
	org   *org
	req   Request
	typ   domain.CommandType
	// urgent: it takes access away by what it does.
	urgent bool
	// former is the id under which versions before stored what the service sends.
	former domain.UUID
	salt   [16]byte                // the same over all attempts, so that keys of new subjects serve again
	fresh  map[domain.ID]vault.Key // keys of subjects that had none, the same over all attempts
	spare  []vault.Key             // reserved for the command and not used yet
	lacks  int                     // how many more it needs
	made   []domain.ID             // ids of subjects that the command left out
	err    error
	// decidedOn is the last sequence of the org's subject that the answer was made on.
	decidedOn uint64
	look      func() domain.Impact // of a dry run on which many people hang: what is left to do without the org
	place     func()               // gives back the place for that; nil: it has none
}

// run decides and appends until the command is settled.
func (x *execution) run(ctx context.Context) (Result, error) {
	for attempt := 1; ; attempt++ {
		p, err := x.prepare(ctx)
		switch {
		case errors.Is(err, errNeedsKeys):
			if err := x.reserve(ctx); err != nil {
				return Result{}, err
			}
			continue
		case p.accepted != (accepted{}):
			if result, ours, err := x.repeated(ctx, p.accepted); ours {
				return result, err
			}
			continue
		}
		if again, behind := x.behind(ctx, p, err); again {
			continue
		} else if behind != nil {
			return Result{}, behind
		}
		if err != nil || p.done {
			return p.result, err
		}
		seq, out, err := x.append(ctx, p)
		switch out {
		case stored:
			return x.finish(ctx, p, seq)
		case rejected:
			return Result{}, errors.Join(ErrRejected, err)
		case unsettled:
			return Result{}, errors.Join(ErrUnsettled, err)
		}
		if err := x.catchUp(ctx); err != nil {
			return Result{}, err
		}
		if ctx.Err() != nil || attempt >= attempts && !x.urgent {
			return x.afterConflicts()
		}
		if pause(ctx, rand.N(time.Duration(attempt)*conflictPause)) != nil {
			return x.afterConflicts()
		}
	}
}

// behind reports that an answer without an append was given on a state that the
// ledger has moved on from: another instance made the site, say, that this one
// refuses as unknown. The guard finds that for everything that is appended; what is
// not must look. It brings the state up to the tail, so that the command is decided
// again.
func (x *execution) behind(ctx context.Context, p prepared, err error) (bool, error) {
	_, refused := errors.AsType[*domain.Refusal](err)
	answered := err == nil && p.done && !p.result.Repeated // a dry run
	if !refused && !answered && !errors.Is(err, ErrPosition) || ctx.Err() != nil {
		return false, nil
	}
	if err := x.store.catchUp(ctx, x.org); err != nil {
		return false, err
	}
	return x.org.at.Load() != x.decidedOn, nil // the tail may have moved it since
}

// prepared is a commit that was decided and waits for its append.
type prepared struct {
	accepted accepted // set: the ledger has the command already
	done     bool     // there is a result without an append
	result   Result
	commit   *schemas.Commit
	events   []domain.Event // of the commit, sealed and in clear
	hash     wire.Hash
	body     []byte
	guard    uint64 // last sequence of the subject that the decision was made on
	warnings []domain.Warning
}

// prepare decides the command on the present state and makes the commit.
func (x *execution) prepare(ctx context.Context) (prepared, error) {
	if err := ctx.Err(); err != nil {
		return prepared{}, x.store.busy()
	}
	if err := x.store.openFor(ctx, x.org, x.req.Fields); err != nil {
		return prepared{}, err
	}
	o := x.org
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.holds(x.req.Command)()
	x.decidedOn = o.head.seq
	if !o.loaded.Load() {
		return prepared{}, fmt.Errorf("eventstore: org %s is being loaded: %w", o.id, ErrBusy)
	}
	if o.tooNew != (wire.Position{}) {
		return prepared{}, ErrTooNew
	}
	at := x.now()
	if !tokenGood(o.state, x.req, at) {
		return prepared{}, ErrTokenEnded
	}
	if at := x.accepted(); at != (accepted{}) {
		return prepared{accepted: at}, nil
	}
	if p := x.req.IfPosition; p != nil && *p != o.head.Position() {
		return prepared{}, fmt.Errorf("%w: it is at %s", ErrPosition, o.head.Position())
	}
	if err := x.clockTrusted(); err != nil {
		return prepared{}, err
	}
	asked := x.req.context(at, x.salt)
	asked.Trial = x.req.DryRun
	if x.req.DryRun {
		return x.foresee(ctx, asked)
	}
	decision, refusal := o.state.Decide(asked, x.commands()...)
	if refusal != nil {
		return prepared{}, refusal
	}
	if err := x.mayAppend(); err != nil { // before keys are asked for, which a full disk has none of
		return prepared{}, errors.Join(ErrRejected, err)
	}
	return x.commitOf(ctx, decision, at)
}

// mayAppend tells why the command may not be appended now; nil when it may.
func (x *execution) mayAppend() error {
	if x.urgent {
		return x.store.canAppendUrgent()
	}
	return x.store.canAppend()
}

// now is the moment of the next commit: the clock, but never before the last one.
func (x *execution) now() time.Time {
	return x.org.head.Now(x.store.cfg.Now().UTC().Round(0)) // without the monotonic reading, as it is read back
}

func (x *execution) commands() []domain.Command {
	cmds := make([]domain.Command, len(x.req.Fields))
	for i, f := range x.req.Fields {
		cmds[i] = x.typ.Command(f)
	}
	return cmds
}

// commitOf seals a decision into a commit behind the head. The org is held.
func (x *execution) commitOf(ctx context.Context, d domain.Decision, at time.Time) (prepared, error) {
	o := x.org
	x.made = d.Made
	events, err := x.seal(d.Events)
	if err != nil {
		return prepared{}, err
	}
	request, err := x.requestHash()
	if err != nil {
		return prepared{}, err
	}
	place, err := o.next(d.Events)
	if err != nil {
		return prepared{}, err
	}
	c := &schemas.Commit{
		ID: x.req.ID, Request: request, Org: o.id, Epoch: place.Epoch, N: place.N, At: at,
		Actor: x.req.Actor, OnBehalfOf: x.req.OnBehalfOf, Causation: x.req.Causation, Command: x.req.Command,
		Prev: o.head.Hash,
	}
	c.SetMade(d.Made)
	if err := c.SetEvents(events, d.Sites); err != nil {
		return prepared{}, err
	}
	body, err := c.Encode()
	if err != nil {
		return prepared{}, err
	}
	if len(body) > schemas.MaxCommit {
		return prepared{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(body), schemas.MaxCommit)
	}
	return prepared{commit: c, events: events, hash: wire.HashOf(body), body: body, guard: o.head.seq, warnings: d.Warnings}, nil
}

// next is the position of the commit behind the head. One with LedgerRestored is the
// first of the next epoch, behind what was lost.
func (o *org) next(events []domain.Event) (wire.Position, error) {
	place := wire.Position{Epoch: max(o.head.Epoch, 1), N: o.head.N + 1}
	if len(events) == 0 {
		return place, nil
	}
	lost, ok := events[0].(domain.LedgerRestored)
	switch {
	case !ok:
		return place, nil
	case lost.Epoch != place.Epoch+1 || lost.LostFrom != place.N || lost.HashAtLostFrom != o.head.Hash.String():
		return place, fmt.Errorf("%w: it is at %s with the hash %s", ErrPosition, o.head.Position(), o.head.Hash)
	}
	return wire.Position{Epoch: lost.Epoch, N: lost.LostTo + 1}, nil
}

// append publishes the commit. A publish without a telling answer is repeated
// under the same guard until an answer comes: it can be stored but once, and the
// repeat either takes the place or conflicts.
func (x *execution) append(ctx context.Context, p prepared) (uint64, outcome, error) {
	if err := x.mayAppend(); err != nil {
		return 0, rejected, err
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		seq, out, err := appendGuarded(ctx, x.store.js, streams.Ledger, x.org.subject, p.body, p.guard)
		if out == stored || out == conflict {
			x.store.unsettledSince.Store(0)
		}
		if out != unsettled {
			return seq, out, err
		}
		x.store.metrics.Unsettled.Inc()
		x.store.unsettledSince.CompareAndSwap(0, x.store.cfg.Now().UnixNano())
		select {
		case <-ctx.Done():
			return 0, unsettled, err
		case <-time.After(pause):
		}
	}
}

// finish folds the commit that was stored and makes the answer. When the commit
// ends keys and this node holds the vault, it waits until they are destroyed.
func (x *execution) finish(ctx context.Context, p prepared, seq uint64) (Result, error) {
	ends := x.fold(p, seq)
	if ends && x.store.fences != nil {
		if err := x.store.fences.wait(ctx, seq); err != nil {
			x.store.log.Warn("keys that a commit ends are not destroyed yet", "org", x.org.id, "position", p.commit.Position().String(), "error", err)
		}
	}
	return Result{Position: p.commit.Position(), Hash: p.hash, At: p.commit.At, Events: p.commit.Events, Opened: p.events, Warnings: p.warnings}, nil
}

// fold folds the stored commit unless the tail was quicker, and reports whether it
// ends keys.
func (x *execution) fold(p prepared, seq uint64) (ends bool) {
	o := x.org
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.loaded.Load() && o.head.seq < seq {
		// The guard says that nothing stands between the head that was decided on
		// and this commit.
		moment := domain.Moment{N: p.commit.N, At: p.commit.At, CommandID: p.commit.ID, Actor: p.commit.Actor}
		x.store.fold(o, p.commit, domain.Applied{Moment: moment, Events: p.events}, p.hash, seq, true)
	} else { // the commit is marked before it is acknowledged, whether or not it is folded here
		x.store.mark(o.id, Head{Epoch: p.commit.Epoch, N: p.commit.N, Hash: p.hash, seq: seq})
	}
	for _, e := range p.commit.Events {
		ends = ends || slices.Contains(domain.KeyEndingEvents(), e.Type)
	}
	return ends
}

func (x *execution) catchUp(ctx context.Context) error {
	x.store.metrics.Conflicts.Inc()
	// Reading must not end with the command's deadline, or a commit of ours that
	// is there would be reported as not settled.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiTimeout)
	defer cancel()
	if err := x.store.catchUp(ctx, x.org); err != nil {
		return errors.Join(ErrUnsettled, err)
	}
	return nil
}

// busy is why a command had no turn in its time: those before it wait for room on
// the disk, or there are too many. Nothing of it was stored.
func (s *Store) busy() error {
	if _, full := s.Disk(); full != nil {
		return fmt.Errorf("%w: %w", ErrStorageFull, full)
	}
	return ErrBusy
}
