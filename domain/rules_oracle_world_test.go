package domain_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
)

// ruled is an org whose history the oracle is given: what was accepted, and what
// the gateways would decide on.
type ruled struct {
	t       require.TestingT
	state   *domain.State
	commits []domain.Applied
	history history
	at      time.Time
	tables  map[domain.ID]*unlock.Table // by site
	sent    int
	hostile domain.ID // who tries everything for themselves; none: people do their work
	lines   []string  // what was accepted since the beginning, to be read when something is wrong
}

func newRuled(t require.TestingT) *ruled {
	return &ruled{t: t, state: domain.NewState(), at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
}

// again gives an org in which the same has happened, to go on from.
func (o *ruled) again(t require.TestingT) *ruled {
	out := newRuled(t)
	for _, c := range o.commits {
		out.state.Apply(c)
	}
	out.history, out.sent = slices.Clone(o.history), o.sent
	return out
}

// begin sends the commands of a shared beginning of the specifications.
func (o *ruled) begin(name string) {
	text, err := os.ReadFile(filepath.Join("testdata", "base", name+".txt"))
	require.NoError(o.t, err)
	body := string(text)
	if first, rest, _ := strings.Cut(body, "\n"); strings.HasPrefix(first, "base ") {
		o.begin(strings.TrimPrefix(first, "base "))
		body = rest
	}
	o.given(body)
}

// given sends lines "actor Command {json}" that must be accepted.
func (o *ruled) given(body string) {
	body = strings.ReplaceAll(body, "\n  ", " ")
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		who, rest, _ := strings.Cut(line, " ")
		name, data, _ := strings.Cut(rest, " ")
		typ, ok := domain.CommandNamed(name)
		require.True(o.t, ok, line)
		ptr := typ.New()
		if data != "" {
			require.NoError(o.t, json.Unmarshal([]byte(data), ptr), line)
		}
		actor := domain.PersonActor(domain.ID(who))
		if who == "bootstrap" {
			actor = domain.Actor{Kind: domain.ActorBootstrap, ID: "bootstrap"}
		}
		_, r := o.send(actor, typ, ptr)
		require.Nil(o.t, r, "%s: %v", line, r)
	}
}

// send decides a command and commits what was accepted.
func (o *ruled) send(actor domain.Actor, typ domain.CommandType, ptr any) (domain.Command, *domain.Refusal) {
	o.sent++
	c := domain.Context{ID: domain.DeriveUUID(domain.UUID{}, fmt.Sprintf("ruled/%d", o.sent)), At: o.at, Actor: actor}
	domain.Complete(c.ID, ptr)
	if needs, ok := ptr.(domain.Candidates); ok {
		needs.SetCandidates(digitsFor(c.ID))
	}
	if needs, ok := ptr.(domain.Enrols); ok {
		needs.SetCode(domain.EnrolmentKey(strings.Repeat("a1", 32)))
	}
	cmd := typ.Command(ptr)
	d, r := o.state.Decide(c, cmd)
	if r != nil {
		return cmd, r
	}
	applied := domain.Applied{Moment: domain.Moment{N: o.state.N + 1, At: o.at, CommandID: c.ID, Actor: actor}}
	for _, e := range d.Events {
		e = domain.MapPersonal(e, func(subject domain.ID, p domain.Personal) domain.Personal {
			return p.Sealed("k_" + string(subject) + "." + p.Text())
		})
		applied.Events = append(applied.Events, e)
		o.history = append(o.history, fact{o.at, actor, e})
	}
	o.state.Apply(applied)
	o.commits = append(o.commits, applied)
	shown := fmt.Sprintf("%+v", cmd)
	if i := strings.Index(shown, " madeDigits"); i > 0 {
		shown = shown[:i] + "}"
	}
	o.lines = append(o.lines, fmt.Sprintf("%s %s %s %s", o.at.Format(time.RFC3339), actor, typ.Name, shown))
	return cmd, nil
}

func digitsFor(id domain.UUID) (digits []string) {
	for i := range 32 {
		u := domain.DeriveUUID(id, fmt.Sprint(i))
		digits = append(digits, fmt.Sprintf("%012d", binary.BigEndian.Uint64(u[:8])%1e12))
	}
	return digits
}

// publish makes the tables of all sites, as gateways would have them, and gives
// those from before.
func (o *ruled) publish() (before map[domain.ID]*unlock.Table) {
	before = o.tables
	o.tables = map[domain.ID]*unlock.Table{}
	tags := func(site domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
		h := sha256.Sum256([]byte(fmt.Sprintf("%s|%s|%s|%s", site, kind, format, number)))
		return unlock.Tag(h[:16]), true
	}
	for site := range o.state.Sites.All() {
		rows, _ := o.state.Rows(site, tags)
		table, err := unlock.NewTable(rows...)
		require.NoError(o.t, err)
		o.tables[site] = table
	}
	return before
}

// decide asks a gateway that holds its lease.
func (o *ruled) decide(tables map[domain.ID]*unlock.Table, q question) unlock.Answer {
	door, ok := o.state.Doors.Get(q.door)
	if !ok || tables[door.Site] == nil {
		return unlock.Answer{}
	}
	r := unlock.Request{Door: idOf(q.door), Side: unlock.In, At: unlock.InstantOf(q.at), Kind: kindsOf[q.kind], Command: commandsOf[q.remote]}
	if q.credential != "" {
		r.Credential, r.Kind = idOf(q.credential), unlock.AnyKind
	} else {
		r.Person = idOf(q.person)
	}
	local := unlock.Local{LeaseEnd: unlock.Held, Fire: q.fire, Uses: uint32(q.uses)}
	if !q.firstIn.IsZero() {
		local.FirstIn = unlock.InstantOf(q.firstIn)
	}
	return unlock.Decide(tables[door.Site], &local, r)
}

var kindsOf = map[domain.CredentialKind]unlock.CredentialKind{
	domain.KindFob: unlock.Fob, domain.KindCard: unlock.Card, domain.KindPin: unlock.Pin, domain.KindMobileKey: unlock.MobileKey,
}

var commandsOf = map[domain.DoorCapability]unlock.Command{
	domain.CapabilityRemoteUnlock: unlock.CommandRemoteUnlock, domain.CapabilityUnlockFor: unlock.CommandUnlockFor,
}

var knownIDs = map[domain.ID]unlock.ID{}

// idOf is what a table knows an id by; made once, for a history asks very often.
func idOf(id domain.ID) unlock.ID {
	if id == "" {
		return unlock.ID{}
	}
	if _, ok := knownIDs[id]; !ok {
		knownIDs[id] = unlock.IDOf(string(id))
	}
	return knownIDs[id]
}
