package due

import (
	"context"
	"errors"
	"reflect"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

const (
	// most is how many commands of one org are sent before the others have their
	// turn.
	most = 100
	// firstPause is how long a command waits that did not do what was due; each
	// further failure doubles it up to longestPause. Others go on meanwhile.
	firstPause   = time.Second
	longestPause = 10 * time.Minute
)

// attempt is when a command that did not do what was due is sent again.
type attempt struct {
	at    time.Time
	pause time.Duration
}

// task is a command to send.
type task struct {
	id    domain.UUID
	actor domain.Actor
	cmd   domain.Command
	due   time.Time // when it fell due; zero: at no instant of its own
}

// look sends what is due in one org, and returns when to look at it again; the
// zero time: after its next commit.
func (t *Timer) look(ctx context.Context, id domain.ID, o *org) (next time.Time) {
	now := t.cfg.Now()
	var tasks []task
	err := t.cfg.Store.View(ctx, id, func(s *domain.State, head eventstore.Head) error {
		t.mu.Lock()
		t.looked[id] = head.N
		t.mu.Unlock()
		tasks = t.zoneTasks(s)
		var cmds []domain.DueCommand
		cmds, next = s.Due(now)
		for _, d := range cmds {
			tasks = append(tasks, task{d.ID(), domain.ServiceActor("due"), d.Command, d.At})
		}
		return nil
	})
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
			return time.Time{}
		}
		t.cfg.Log.Error("what is due in an org cannot be found", "org", id, "error", err)
		return now.Add(longestSleep)
	}
	o.forgetDone(tasks)
	sent := 0
	for _, k := range tasks {
		if ctx.Err() != nil {
			return time.Time{}
		}
		if a, tried := o.tries[k.id]; tried && a.at.After(now) {
			next = earlier(next, a.at)
			continue
		}
		if sent == most {
			return now
		}
		sent++
		a := o.send(ctx, t, id, k)
		next = earlier(next, a.at)
	}
	return next
}

// forgetDone drops the attempts at commands that are not due any more.
func (o *org) forgetDone(tasks []task) {
	if len(o.tries) == 0 {
		return
	}
	left := map[domain.UUID]attempt{}
	for _, k := range tasks {
		if a, ok := o.tries[k.id]; ok {
			left[k.id] = a
		}
	}
	o.tries = left
}

// send sends a command and notes when to send it again if it should still be due.
func (o *org) send(ctx context.Context, t *Timer, id domain.ID, k task) attempt {
	name := domain.CommandName(k.cmd)
	_, err := t.cfg.Store.Execute(ctx, id, eventstore.Request{ID: k.id, Command: name, Fields: []any{pointer(k.cmd)}, Actor: k.actor})
	a, again := o.tries[k.id]
	a.pause = min(max(2*a.pause, firstPause), longestPause)
	a.at = t.cfg.Now().Add(a.pause)
	o.tries[k.id] = a
	t.metrics.sent(name, err)
	switch {
	case err != nil:
		t.cfg.Log.Warn("a command that is due failed and is sent again", "org", id, "command", name, "command_id", k.id.String(), "again_in", a.pause.String(), "error", err)
	case again:
		t.cfg.Log.Error("a command that is due was accepted and is due all the same", "org", id, "command", name, "command_id", k.id.String(), "again_in", a.pause.String())
	case !k.due.IsZero():
		t.metrics.Lag.Set(t.cfg.Now().Sub(k.due).Seconds())
	}
	return a
}

// pointer returns a command as requests carry it.
func pointer(cmd domain.Command) any {
	v := reflect.New(reflect.TypeOf(cmd))
	v.Elem().Set(reflect.ValueOf(cmd))
	return v.Interface()
}
