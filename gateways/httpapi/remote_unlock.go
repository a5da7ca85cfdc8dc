package httpapi

import (
	"context"
	"errors"
	"time"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// unlockRequestView is a remote unlock with its outcome.
type unlockRequestView struct{ domain.UnlockRequest }

type remoteUnlocksInput struct {
	List
	Door    string `query:"door"`
	Person  string `query:"person" doc:"who asked"`
	Outcome string `query:"outcome" enum:"executed,refused,unreachable,unknown"`
}

func (in *remoteUnlocksInput) filters() []filter[domain.UnlockRequest] {
	return []filter[domain.UnlockRequest]{
		{domain.UnlockRequestByPerson, in.Person, func(r *domain.UnlockRequest) bool { return string(r.Person) == in.Person }},
		{domain.UnlockRequestByDoor, in.Door, func(r *domain.UnlockRequest) bool { return string(r.Door) == in.Door }},
		{0, in.Outcome, func(r *domain.UnlockRequest) bool { return string(r.Outcome) == in.Outcome }},
	}
}

type remoteUnlockInput struct {
	One
	Wait int `query:"wait" minimum:"0" maximum:"10" default:"0" doc:"most seconds to wait for the outcome; it is known after 5 s unless the service stopped meanwhile"`
}

func (a *API) registerRemoteUnlocks() {
	n := noun[domain.UnlockRequest, unlockRequestView]{
		name: "remote_unlock", path: "remote-unlocks", tag: "RemoteUnlocks", many: "the latest remote unlocks",
		table: func(s *domain.State) table[domain.UnlockRequest] { return s.UnlockRequests },
		view: func(v *viewer, _ domain.ID, r *domain.UnlockRequest) unlockRequestView {
			out := unlockRequestView{*r}
			if door, ok := v.state.Doors.Get(r.Door); ok {
				out.Code = v.state.CodeToldTo(v.person, door.Site, r.Grant, r.Code)
			}
			return out
		},
	}
	registerList[domain.UnlockRequest, unlockRequestView, remoteUnlocksInput](a, n)
	op := n.one()
	op.Description = "The id is request in the event of the command RemoteUnlock. Without an outcome the door may still open: ask again, or with wait."
	serve(a, route{effect: asks, usedBy: everybody}, op, func(ctx context.Context, in *remoteUnlockInput) (*Answer[unlockRequestView], error) {
		return a.remoteUnlock(ctx, n, in)
	})
}

// remoteUnlock gives a remote unlock, with its outcome as soon as it has one when the
// question waits for that.
func (a *API) remoteUnlock(ctx context.Context, n noun[domain.UnlockRequest, unlockRequestView], in *remoteUnlockInput) (*Answer[unlockRequestView], error) {
	waiting, cancel := context.WithTimeout(ctx, time.Duration(in.Wait)*time.Second)
	defer cancel()
	out, err := oneRow(ctx, a, n, &in.One)
	if err != nil || out.Body.Outcome != "" {
		return out, err
	}
	leave, err := a.budgets.waits.Take(ctx, callerOf(ctx).who(), 1)
	if err != nil {
		return out, nil // with what is known: the caller asks again
	}
	defer leave()
	for out.Body.Outcome == "" && waiting.Err() == nil {
		at, err := wire.ParsePosition(out.Position)
		if err != nil {
			return nil, a.asProblem(ctx, err)
		}
		if _, err = a.cfg.Store.WaitFor(waiting, callerOf(ctx).org, at.N+1); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, a.asProblem(ctx, err)
		}
		if out, err = oneRow(ctx, a, n, &in.One); err != nil {
			return nil, err
		}
	}
	return out, nil
}
