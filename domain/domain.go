// Package domain decides every access command of an org and folds the events
// that follow from it.
//
// A [Command] is decided against the [State] of one org, the consistency
// boundary: [State.Decide] answers with events or with a [Refusal]. Events are
// folded by [State.Apply], which cannot fail: what stands in the ledger has
// happened. The package is pure: instants, ids, the actor and everything random
// come in with the command, so the same commits always give the same state,
// byte for byte.
//
// # Where to change what
//
// One file per noun holds its commands, its events, what refuses them, how they
// fold and the list of both (its words). A new command is a struct with four
// short methods and one line in the words of its noun.
//
// # Why one package
//
// Rules cross nouns: a fob needs its holder's booking, a revoked booking ends
// its shares. They are decided in one boundary, so they live in one package.
package domain

import (
	"fmt"
	"time"
)

// A Command asks for a change. It is a plain struct whose JSON form is the body of the
// request; its methods are the rules.
type Command interface {
	// permit says who may send it, whatever the state.
	permit() Permit
	// scope says what it concerns in this state: where the sender needs the role.
	scope(s *State) Scope
	// decide emits events through tx, or refuses.
	decide(tx *Tx) *Refusal
}

// An Event is a fact that was decided. It is a plain struct whose JSON form is
// kept for ever.
type Event interface {
	// fold changes the state. It may not fail, refuse, or read anything but the
	// state, the event and the moment.
	fold(s *State, m Moment)
	// affectedSites lists the sites whose doors or people the event is about, after
	// it was folded; none for a fact of the whole org.
	affectedSites(s *State) []ID
}

// Moment is when and by what an event came to be.
type Moment struct {
	N         uint64    // number of the commit in its org, from 1
	At        time.Time // UTC, never before the moment of the previous commit
	CommandID UUID
	Actor     Actor
}

// Context is what a command carries beside its own fields. All of it is made
// outside the domain.
type Context struct {
	ID         UUID      // of the command
	At         time.Time // UTC instant of the decision, also that of the commit
	Actor      Actor
	OnBehalfOf ID // the person for whom the actor acts, or empty
	Token      ID // with which the actor sends it; empty: without one
	// Salt is random and known to nobody: ids of new things follow from it, so that
	// nobody foresees one and learns from another that it is taken.
	Salt  [16]byte
	Trial bool // nothing comes of it: ids of new things are stand-ins
}

// Decision is what an accepted command leads to. No events: the command had
// nothing left to change.
type Decision struct {
	Events   []Event
	Sites    [][]ID // the sites that each event concerns, sorted
	Warnings []Warning
	// Made are the ids of the subjects that the command left out, in the order of
	// [LeftOutSubject], which stays in the place of one that was known.
	Made []ID
}

// Refusal is the answer to a command that a rule forbids. It is final for this
// state: the same command may be accepted later.
type Refusal struct {
	Code    string `json:"code"`    // stable, snake_case
	Message string `json:"message"` // what was wrong and what to do, or the exact text that a rule gives
	IDs     []ID   `json:"ids,omitempty"`
	// Kind is whether another state, sender or id could change the answer.
	Kind RefusalKind `json:"-"`
	// Entries tells of a list of commands which entries were refused and why; the
	// refusal itself bears the code of the first.
	Entries []EntryRefusal `json:"entries,omitempty"`
}

// RefusalKind is why a command is refused, in general.
type RefusalKind uint8

// Kinds of refusals.
const (
	RefusedByState  RefusalKind = iota // the same command may be accepted in another state
	RefusedBySender                    // somebody else may do it
	RefusedUnknown                     // it names what does not exist, or what the sender may not see
	RefusedInvalid                     // it is never accepted
)

// EntryRefusal is the refusal of one entry of a list of commands.
type EntryRefusal struct {
	Index   int    `json:"index"` // from 0
	Code    string `json:"code"`
	Message string `json:"message"`
	IDs     []ID   `json:"ids,omitempty"`
}

// Error makes a Refusal usable as an error: code and message.
func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// refuse makes a refusal with a formatted message.
func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// forbid refuses what somebody else may do.
func forbid(code, format string, args ...any) *Refusal {
	r := refuse(code, format, args...)
	r.Kind = RefusedBySender
	return r
}

// notFound refuses what names something that does not exist for the sender.
func notFound(code, format string, args ...any) *Refusal {
	r := refuse(code, format, args...)
	r.Kind = RefusedUnknown
	return r
}

// invalid refuses what is never accepted.
func invalid(code, format string, args ...any) *Refusal {
	r := refuse(code, format, args...)
	r.Kind = RefusedInvalid
	return r
}

// about names the things that a refusal is about.
func (r *Refusal) about(ids ...ID) *Refusal {
	r.IDs = append(r.IDs, ids...)
	return r
}

// Decide answers what a list of commands of one type leads to in this state. It accepts
// all of them or none and leaves the state as it was. Mostly the list has one entry; it
// has at most [MaxList]. The caller must hold the state exclusively during the call.
func (s *State) Decide(c Context, cmds ...Command) (Decision, *Refusal) {
	return s.decideWithin(maxConsequences, c, cmds...)
}

// TooMany refuses a list of so many commands: of more than [MaxList], or none.
func TooMany(n int) *Refusal {
	return invalid("invalid_field", "a list of commands has 1 to %d entries, this one has %d", MaxList, n)
}

// decideWithin is Decide with room for a number of consequences. A refusal names
// stand-ins for the ids that were made before it: it costs nothing, as a trial.
func (s *State) decideWithin(budget int, c Context, cmds ...Command) (Decision, *Refusal) {
	d, drew, r := s.decideOnce(budget, c, cmds...)
	if r != nil && drew && !c.Trial {
		c.Trial = true
		d, _, r = s.decideOnce(budget, c, cmds...)
	}
	return d, r
}

// decideOnce decides and reports whether ids were made on the way.
func (s *State) decideOnce(budget int, c Context, cmds ...Command) (d Decision, drew bool, r *Refusal) {
	if len(cmds) == 0 || len(cmds) > MaxList {
		return Decision{}, false, TooMany(len(cmds))
	}
	start := s.journal.begin()
	defer func() { s.journal.rollback(start) }()
	tx := &Tx{View: s.AsOf(c.At), Context: c, budget: budget, leftOut: leftOutOf(c.ID, cmds)}
	if len(cmds) == 1 {
		if r := tx.run(cmds[0]); r != nil {
			return Decision{}, len(tx.drawn) > 0, r
		}
		return tx.decided(), len(tx.drawn) > 0, nil
	}
	var entries []EntryRefusal
	var kind RefusalKind // of the first
	for i, cmd := range cmds {
		before := tx.decision
		entry := s.journal.begin()
		r := tx.run(cmd)
		if r == nil {
			s.journal.keep()
			continue
		}
		// The rest of the list is judged as if this entry were not in it, so that
		// one answer names all that is wrong.
		s.journal.rollback(entry)
		tx.decision = before
		if len(entries) == 0 {
			kind = r.Kind
		}
		entries = append(entries, EntryRefusal{i, r.Code, r.Message, r.IDs})
	}
	if len(entries) == 0 {
		return tx.decided(), len(tx.drawn) > 0, nil
	}
	first := entries[0]
	r = refuse(first.Code, "%d of %d entries are refused; entry %d: %s", len(entries), len(cmds), first.Index, first.Message)
	r.Kind, r.Entries = kind, entries
	return Decision{}, len(tx.drawn) > 0, r
}

// Tx is the state as a command sees it while it is decided: what it emitted is
// already folded, so the second share of a list meets the first.
type Tx struct {
	View
	Context
	decision Decision
	made     map[string]int     // how many ids were made, by noun
	drawn    map[ID]struct{}    // the ids that were made
	leftOut  map[ID]int         // stand-ins for subjects that the command leaves out
	subjects []ID               // what was made for them
	unseen   []hiddenName       // what the sender may not see and the state is without
	budget   int                // for how many consequences the commit still has room
	stored   map[ID]map[ID]bool // what has room in the devices of doors that were looked at
	recount  []ID               // of those, doors to count again
}

// decided is the decision, complete.
func (tx *Tx) decided() Decision {
	tx.decision.Made = tx.subjects
	return tx.decision
}

// run checks, authorises and decides one command within the transaction, with its
// texts as they are kept. Whether
// devices have room for what it leads to is one rule for all commands.
func (tx *Tx) run(cmd Command) *Refusal {
	cmd = inKeptForm(cmd)
	if r := checkShape(cmd); r != nil {
		return r
	}
	if hidden := tx.hiddenNames(cmd); len(hidden) > 0 {
		return tx.runUnseen(cmd, hidden)
	}
	return tx.runSeen(cmd)
}

// runSeen is run for a command that names nothing that its sender may not see.
func (tx *Tx) runSeen(cmd Command) *Refusal {
	if r := authorize(tx, cmd); r != nil {
		return r
	}
	tx.countAgain()
	before := len(tx.decision.Events)
	if r := cmd.decide(tx); r != nil {
		return r
	}
	for _, e := range tx.decision.Events[before:] {
		if r := checkEventTimes(e); r != nil {
			return r
		}
	}
	return tx.checkRoom(tx.decision.Events[before:])
}

// emit records an event and folds it, so that the rest of the decision sees it.
func (tx *Tx) emit(e Event) {
	m := Moment{N: tx.State.N + 1, At: tx.At, CommandID: tx.ID, Actor: tx.Actor}
	tx.journal.n = m.N
	e.fold(tx.State, m)
	tx.decision.Events = append(tx.decision.Events, e)
	tx.decision.Sites = append(tx.decision.Sites, sortedIDs(e.affectedSites(tx.State)))
}

// Applied is a commit as the fold sees it: the moment and its events.
type Applied struct {
	Moment
	Events []Event
}

// Apply folds a commit. Commits are applied in the order of N, without gaps but for
// what [LedgerRestored] names; the caller checks that.
func (s *State) Apply(c Applied) {
	s.journal.n = c.N
	for _, e := range c.Events {
		MapPersonal(e, func(subject ID, p Personal) Personal {
			s.noteKey(subject, p)
			return p
		})
		e.fold(s, c.Moment)
	}
	s.N, s.LastAt = c.N, c.At
}
