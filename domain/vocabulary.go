package domain

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"gatehouse/domain/schedule"
)

// nouns are what wire names begin with. The wire name of an event is the snake
// case of the longest noun that begins its type, a dot, the snake case of the
// rest: FobAssigned is fob.assigned, ZoneRulesSet is zone_rules.set.
var nouns = []string{
	"AccessRight", "Area", "Auction", "Blackout", "Booking", "Card", "Consequences", "Credential", "Door", "Fob",
	"Gateway", "Grant", "Group", "HolidayCalendar", "Identity", "Ledger", "Lockdown", "MobileKey", "Notification",
	"Org", "Override", "Ownership", "Person", "Pin", "Posture", "RemoteUnlock", "Review", "Right", "Role", "Schedule", "Share",
	"Site", "Token", "Unit", "UnitManager", "UnitUser", "ZoneRules",
}

// messages are the commands and events of one noun.
type messages struct {
	commands []CommandType
	events   []EventType
}

// allMessages lists the messages of every noun. A new file of a noun adds its line here.
var allMessages = []messages{
	orgMessages, siteMessages, sitePolicyMessages, calendarMessages, areaMessages, doorMessages, unitMessages, bookingMessages, personMessages, roleMessages, tokenMessages,
	ledgerMessages, scheduleMessages, accessRightMessages, grantMessages, shareMessages, unitUserMessages, reviewMessages, credentialMessages,
	fobMessages, keyStockMessages, pinMessages, duressMessages, mobileKeyMessages, consequencesMessages,
	groupMessages, groupMemberMessages, groupSettingsMessages,
	gatewayMessages, lockdownMessages, postureMessages, remoteUnlockMessages, privacyMessages, auctionMessages,
}

// CommandType describes a command.
type CommandType struct {
	Name    string // the Go type and the wire name: AssignFob
	Summary string // one sentence for documentation and help
	Causes  []string
	typ     reflect.Type
}

// New returns a pointer to a new command of the type, to decode into.
func (c CommandType) New() any { return reflect.New(c.typ).Interface() }

// Command returns the command that a pointer made by New points to.
func (c CommandType) Command(ptr any) Command {
	return reflect.ValueOf(ptr).Elem().Interface().(Command)
}

// Type is the Go type of the command's fields.
func (c CommandType) Type() reflect.Type { return c.typ }

// Permit says who may send it.
func (c CommandType) Permit() Permit { return reflect.Zero(c.typ).Interface().(Command).permit() }

// EventType describes an event.
type EventType struct {
	Name    string // the wire name: fob.assigned
	GoName  string // FobAssigned
	Version int    // of the stored form, from 1
	typ     reflect.Type
}

// New returns a pointer to a new event of the type, to decode into.
func (e EventType) New() any { return reflect.New(e.typ).Interface() }

// Event returns the event that a pointer made by New points to.
func (e EventType) Event(ptr any) Event { return reflect.ValueOf(ptr).Elem().Interface().(Event) }

// Type is the Go type of the event's fields.
func (e EventType) Type() reflect.Type { return e.typ }

// command describes the command C. causes lists zero values of the events that
// it may emit.
func command[C Command](summary string, causes ...Event) CommandType {
	t := reflect.TypeFor[C]()
	c := CommandType{Name: t.Name(), Summary: summary, typ: t}
	for _, e := range causes {
		c.Causes = append(c.Causes, EventName(e))
	}
	return c
}

// urgentCommand is a command that takes access away or shuts doors, with some fields at
// least. It passes before others, and is stored when the disk is nearly full.
type urgentCommand interface {
	// urgent reports whether the command does so with the fields that it has.
	urgent() bool
}

// MayBeUrgent reports whether commands of the type take access away or shut doors, with
// some fields at least.
func (c CommandType) MayBeUrgent() bool { return c.typ.Implements(reflect.TypeFor[urgentCommand]()) }

// Urgent reports whether all commands of a list, given as pointers that New made, take
// access away or shut doors.
func (c CommandType) Urgent(ptrs ...any) bool {
	return c.MayBeUrgent() && !slices.ContainsFunc(ptrs, func(ptr any) bool { return !ptr.(urgentCommand).urgent() })
}

// event describes the event E in the version of its stored form.
func event[E Event](version int) EventType {
	t := reflect.TypeFor[E]()
	return EventType{Name: wireName(t.Name()), GoName: t.Name(), Version: version, typ: t}
}

var (
	commandsByName = map[string]CommandType{}
	eventsByName   = map[string]EventType{}
)

func init() {
	for _, w := range allMessages {
		for _, c := range w.commands {
			if _, twice := commandsByName[c.Name]; twice {
				panic("domain: two commands " + c.Name)
			}
			commandsByName[c.Name] = c
		}
		for _, e := range w.events {
			if _, twice := eventsByName[e.Name]; twice {
				panic("domain: two events " + e.Name)
			}
			eventsByName[e.Name] = e
		}
	}
}

// Commands lists every command by name.
func Commands() []CommandType { return sortedBy(commandsByName) }

// Events lists every event by wire name.
func Events() []EventType { return sortedBy(eventsByName) }

func sortedBy[T any](m map[string]T) []T {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	out := make([]T, len(names))
	for i, n := range names {
		out[i] = m[n]
	}
	return out
}

// CommandNamed returns the command of a name.
func CommandNamed(name string) (CommandType, bool) { c, ok := commandsByName[name]; return c, ok }

// EventNamed returns the event of a wire name.
func EventNamed(name string) (EventType, bool) { e, ok := eventsByName[name]; return e, ok }

// CommandName returns the name of a command.
func CommandName(c Command) string { return reflect.TypeOf(c).Name() }

// EventName returns the wire name of an event.
func EventName(e Event) string {
	t := reflect.TypeOf(e)
	if name, ok := eventNames.Load(t); ok {
		return name.(string)
	}
	name := wireName(t.Name())
	eventNames.Store(t, name)
	return name
}

// eventNames remembers the wire names of types: reflect.Type -> string.
var eventNames sync.Map

// wireName derives the wire name from the name of a Go type.
func wireName(goName string) string {
	best := ""
	for _, n := range nouns {
		if strings.HasPrefix(goName, n) && len(n) > len(best) && len(goName) > len(n) && unicode.IsUpper(rune(goName[len(n)])) {
			best = n
		}
	}
	if best == "" {
		panic("domain: the event " + goName + " begins with no noun")
	}
	return snake(best) + "." + snake(goName[len(best):])
}

func snake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) {
			if i > 0 {
				b.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// MaxList is the greatest number of entries of any list in a command.
const MaxList = 1000

// MaxText is the greatest length of a clear text in a command, in bytes.
const MaxText = 200

// checker is a value that knows its own bounds.
type checker interface{ check() error }

// checkShape refuses a command whose fields are out of the bounds of their
// types: malformed ids, lists of more than 1,000, long texts.
func checkShape(cmd Command) *Refusal {
	if path, err := shapeError(reflect.ValueOf(cmd), ""); err != nil {
		return invalid("invalid_field", "%s: %v", strings.TrimPrefix(path, "."), err)
	}
	return nil
}

func shapeError(v reflect.Value, path string) (string, error) {
	// A pointer has the methods of what it points to, which is checked below.
	if c, ok := v.Interface().(checker); ok && v.Kind() != reflect.Pointer {
		if err := c.check(); err != nil {
			return path, err
		}
	}
	switch t := v.Interface().(type) {
	case time.Time:
		return path, CheckInstant(t)
	case schedule.Date:
		return path, checkDate(t)
	}
	if _, ok := GivenType(v.Type()); ok {
		return shapeError(v.FieldByName("Value"), path)
	}
	switch v.Kind() {
	case reflect.String:
		return path, checkText(v.String())
	case reflect.Slice:
		if v.Len() > MaxList {
			return path, fmt.Errorf("a list has at most %d entries, this one has %d", MaxList, v.Len())
		}
		for i := range v.Len() {
			if e := v.Index(i); e.Kind() == reflect.String && e.Len() == 0 {
				return fmt.Sprintf("%s[%d]", path, i), errors.New("an entry of a list is not empty")
			}
			if p, err := shapeError(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return p, err
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return shapeError(v.Elem(), path)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if p, err := shapeError(v.Field(i), path+"."+name); err != nil {
				return p, err
			}
		}
	}
	return path, nil
}

// oneOf says that a value is none of the allowed ones; the empty value passes, a
// rule asks for it.
func oneOf[S ~string](v S, allowed ...S) error {
	if v == "" || slices.Contains(allowed, v) {
		return nil
	}
	return fmt.Errorf("%q is none of %q", v, allowed)
}

// required refuses a field that was left out.
func required(field, value string) *Refusal {
	if strings.TrimSpace(value) == "" {
		return invalid("invalid_field", "%s: a value is required", field)
	}
	return nil
}

// orDefault is the value, or the default when it was left out.
func orDefault[T comparable](v, def T) T {
	var none T
	if v == none {
		return def
	}
	return v
}

// orGiven is the value that a pointer gives, or the old one when there is none.
func orGiven[T any](p *T, old T) T {
	if p == nil {
		return old
	}
	return *p
}

// sortedSet returns a sorted copy without doubles; nil when nothing is in it.
func sortedSet[S ~string](in []S) []S {
	if len(in) == 0 {
		return nil
	}
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}
