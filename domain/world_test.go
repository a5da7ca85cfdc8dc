package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
)

// specT is a test, or one round of a property test.
type specT interface {
	require.TestingT
	Fatalf(format string, args ...any)
}

// world is the ledger of one org as a specification makes it.
type world struct {
	t       specT
	state   *State
	at      time.Time
	commits []specCommit
	ids     map[string]int
}

// specCommit is a commit with its events as they are stored.
type specCommit struct {
	Moment
	Names  []string
	Bodies [][]byte
}

func newWorld(t specT) *world {
	return &world{t: t, state: NewState(), at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), ids: map[string]int{}}
}

// base runs a shared beginning: commands, and first of all other beginnings that
// a line "base name" names.
func (w *world) base(name string) {
	text, err := os.ReadFile(filepath.Join("testdata", "base", name+".txt"))
	require.NoError(w.t, err)
	body := string(text)
	if first, rest, _ := strings.Cut(body, "\n"); strings.HasPrefix(first, "base ") {
		w.base(strings.TrimSpace(strings.TrimPrefix(first, "base ")))
		body = rest
	}
	w.given("base/"+name, body)
}

func (w *world) given(space, body string) {
	for _, line := range specLines(body) {
		if _, r := w.command(space, line); r != nil {
			w.t.Fatalf("%s\nrefused %s: %s %v", line, r.Code, r.Message, r.Entries)
		}
	}
}

func (w *world) when(body string) []string {
	effects := []string{}
	for _, line := range specLines(body) {
		d, r := w.command("spec", line)
		if r != nil {
			effects = append(effects, fmt.Sprintf("refused %s: %s", r.Code, r.Message))
			continue
		}
		for _, e := range d.Events {
			shown := MapPersonal(e, func(_ ID, p Personal) Personal { return p.Sealed(p.Text()) })
			effects = append(effects, EventName(e)+" "+string(w.marshal(shown)))
		}
		for _, warning := range d.Warnings {
			effects = append(effects, fmt.Sprintf("warning %s: %s", warning.Code, warning.Message))
		}
	}
	return effects
}

// cutTime reads the time that a line may begin with.
func (w *world) cutTime(line string, at time.Time) (time.Time, string) {
	if !strings.HasPrefix(line, "@") {
		return at, line
	}
	first, rest, _ := strings.Cut(line[1:], " ")
	at, err := time.Parse(time.RFC3339Nano, first)
	require.NoError(w.t, err, line)
	return at.UTC(), strings.TrimSpace(rest)
}

// command decides the command of a line and, when it is accepted, commits it.
func (w *world) command(space, line string) (Decision, *Refusal) {
	c, typ, cmds := w.read(space, line)
	d, r := w.decideOnly(c, typ, cmds...)
	if r != nil {
		return d, r
	}
	w.commit(Moment{N: w.state.N + 1, At: w.at, CommandID: c.ID, Actor: c.Actor}, d.Events)
	return d, nil
}

// read reads a line with a command, or with a list of one type.
func (w *world) read(space, line string) (Context, CommandType, []Command) {
	at, rest := w.cutTime(line, w.at)
	require.False(w.t, at.Before(w.at), "time goes back: %s", line)
	w.at = at
	actor, rest, _ := strings.Cut(rest, " ")
	actor, token, _ := strings.Cut(actor, "/") // the token with which it is sent
	name, data, _ := strings.Cut(strings.TrimSpace(rest), " ")
	typ, ok := CommandNamed(name)
	require.True(w.t, ok, "there is no command %s: %s", name, line)
	w.ids[space]++
	id := DeriveUUID(UUID{}, fmt.Sprintf("%s/%d", space, w.ids[space]))

	data, made, _ := strings.Cut(data, " made ")
	cmds := w.commandsOf(typ, id, strings.TrimSpace(data), strings.Fields(made)...)
	return Context{ID: id, At: w.at, Actor: specActor(actor), Token: ID(token)}, typ, cmds
}

// decideOnly decides, and looks at the state before and after.
func (w *world) decideOnly(c Context, typ CommandType, cmds ...Command) (Decision, *Refusal) {
	before := w.digest(w.state)
	d, r := w.state.Decide(c, cmds...)
	require.Equal(w.t, before, w.digest(w.state), "deciding %s changed the state", typ.Name)
	require.True(w.t, r == nil || len(d.Events) == 0, "a refusal causes nothing")
	for i, e := range d.Events {
		require.Contains(w.t, typ.Causes, EventName(e), "the words of %s do not say that it causes this", typ.Name)
		for _, site := range d.Sites[i] {
			require.True(w.t, w.state.Sites.Has(site) || typ.Name == "CreateSite", "%s concerns the site %q", EventName(e), site)
		}
	}
	return d, r
}

func specActor(text string) Actor {
	if part, ok := strings.CutPrefix(text, "service:"); ok {
		return ServiceActor(ID(part))
	}
	if text == "bootstrap" {
		return Actor{ActorBootstrap, "bootstrap"}
	}
	return PersonActor(ID(text))
}

func (w *world) commandsOf(typ CommandType, id UUID, data string, made ...string) []Command {
	if data == "" {
		data = "{}"
	}
	bodies := []json.RawMessage{json.RawMessage(data)}
	if data[0] == '[' {
		bodies = nil
		require.NoError(w.t, json.Unmarshal([]byte(data), &bodies), data)
	}
	var ptrs []any
	for _, body := range bodies {
		ptr := typ.New()
		w.unmarshal(body, ptr)
		ptrs = append(ptrs, ptr)
	}
	Complete(id, ptrs...)
	var cmds []Command
	for i, ptr := range ptrs {
		if c, ok := ptr.(Candidates); ok && len(made) > 0 {
			c.SetCandidates(made)
		} else if ok {
			c.SetCandidates(candidates(DeriveUUID(id, fmt.Sprintf("entry/%d", i))))
		}
		if c, ok := ptr.(Enrols); ok && len(made) > 0 {
			c.SetCode(EnrolmentKey(made[0]))
		}
		cmds = append(cmds, typ.Command(ptr))
	}
	return cmds
}

// commit seals the events, stores them, and folds what was stored.
func (w *world) commit(m Moment, events []Event) {
	c := specCommit{Moment: m}
	for _, e := range events {
		sealed := MapPersonal(e, func(subject ID, p Personal) Personal {
			if p.Box() != "" {
				return p
			}
			return p.Sealed("k_" + string(subject) + "." + p.Text())
		})
		c.Names = append(c.Names, EventName(e))
		c.Bodies = append(c.Bodies, w.marshal(sealed))
	}
	w.commits = append(w.commits, c)
	w.apply(w.state, c)
}

func (w *world) apply(s *State, c specCommit) {
	applied := Applied{Moment: c.Moment}
	for i, name := range c.Names {
		typ, ok := EventNamed(name)
		require.True(w.t, ok, name)
		ptr := typ.New()
		w.unmarshal(c.Bodies[i], ptr)
		Boxes(ptr)
		EachPersonal(ptr, openSpec)
		applied.Events = append(applied.Events, typ.Event(ptr))
	}
	s.Apply(applied)
}

// openSpec opens what commit sealed.
func openSpec(_ ID, p *Personal) {
	if _, clear, ok := strings.Cut(p.Box(), "."); ok {
		*p = p.Opened(clear)
	}
}

// check folds the ledger again, in one go and over a snapshot, and looks for what
// erased people left behind.
func (w *world) check() {
	w.state.EachPersonal(func(subject ID, p *Personal) {
		if who, ok := w.state.People.Get(subject); ok {
			require.NotEqual(w.t, PersonStateErased, who.State, "a value of the erased person %s is still there", subject)
		}
	})
	w.checkKeys()
	want := w.digest(w.state)
	again := NewState()
	for i, c := range w.commits {
		if i == len(w.commits)/2 {
			again = w.restored(again)
		}
		w.apply(again, c)
	}
	require.Equal(w.t, want, w.digest(again), "a fold over a snapshot gives another state")
	require.Equal(w.t, want, w.digest(w.restored(again)), "a snapshot is read as another state")
}

func (w *world) restored(s *State) *State {
	out := NewState()
	written, err := s.AppendBinary(nil)
	require.NoError(w.t, err)
	require.NoError(w.t, out.UnmarshalBinary(written))
	again, err := out.AppendBinary(nil)
	require.NoError(w.t, err)
	require.True(w.t, bytes.Equal(written, again), "the same state gives the same bytes")
	out.EachPersonal(openSpec)
	out.Reindex()
	return out
}

// decide answers the questions of a section, each as a whole line.
func (w *world) decide(body string) []string {
	var out []string
	at := w.at
	for _, line := range specLines(body) {
		question, want, _ := strings.Cut(line, "->")
		question = strings.TrimSpace(question)
		rest := question
		at, rest = w.cutTime(rest, at)
		a := w.ask(at, w.fields(rest))
		require.Equal(w.t, strings.HasPrefix(a.Code.String(), "allow_"), a.Allowed, line)
		answer := question + " -> " + a.Code.String()
		if strings.Contains(want, "failed=") {
			var failed []string
			for _, c := range a.Failed.Codes() {
				failed = append(failed, c.String())
			}
			answer += " failed=" + strings.Join(failed, ",")
		}
		if strings.Contains(want, " (") { // what failed, in its own words
			answer += " (" + w.told(w.fields(rest), at).Because + ")"
		}
		out = append(out, answer)
	}
	return out
}

// ask decides as the service does: by the permission rows of the door's site.
func (w *world) ask(at time.Time, f map[string]string) unlock.Answer {
	door, ok := w.state.Doors.Get(ID(f["door"]))
	require.True(w.t, ok, "there is no door %s", f["door"])
	if f["as"] != "" {
		e := w.told(f, at)
		return unlock.Answer{Allowed: e.Allowed, Code: e.Code, Failed: e.Failed}
	}
	rows, untagged := w.state.Rows(door.Site, testTags)
	require.Empty(w.t, untagged)
	table, err := unlock.NewTable(rows...)
	require.NoError(w.t, err)
	r := unlock.Request{Door: unlock.IDOf(f["door"]), At: unlock.InstantOf(at),
		Credential: unlock.IDOf(f["credential"]), Person: unlock.IDOf(f["person"])}
	require.NoError(w.t, r.Side.UnmarshalText([]byte(f["side"])))
	if f["kind"] != "" {
		require.NoError(w.t, r.Kind.UnmarshalText([]byte(f["kind"])))
	}
	if f["remote"] == "true" {
		r.Command = unlock.CommandRemoteUnlock
	}
	if f["unlock_for"] == "true" {
		r.Command = unlock.CommandUnlockFor
	}
	local := unlock.Local{LeaseEnd: unlock.Held, Fire: f["fire"] == "true", Blocked: f["blocked"] == "true"}
	if f["first_in"] != "" {
		came, err := time.Parse(time.RFC3339Nano, f["first_in"])
		require.NoError(w.t, err)
		local.FirstIn = unlock.InstantOf(came)
	}
	return unlock.Decide(table, &local, r)
}

// told explains a decision as somebody who asks the service reads it. When nobody is
// named, it explains it as the operator reads it.
func (w *world) told(f map[string]string, at time.Time) explained {
	q := Question{Door: ID(f["door"]), At: at, Person: ID(f["person"]), Credential: ID(f["credential"]), Kind: CredentialKind(f["kind"])}
	require.NoError(w.t, q.Side.UnmarshalText([]byte(f["side"])))
	switch {
	case f["remote"] == "true":
		q.Command = CapabilityRemoteUnlock
	case f["unlock_for"] == "true":
		q.Command = CapabilityUnlockFor
	}
	door, ok := w.state.Doors.Get(q.Door)
	require.True(w.t, ok, "door %s does not exist", q.Door)
	seen, viewer := w.state, ID(f["as"])
	if viewer != "" {
		seen, _ = w.state.AskedBy(w.state.AsOf(w.at), viewer, door.Site, q)
	}
	return explainTo(w.t, seen, w.state.AsOf(w.at), viewer, q)
}

// see answers who may read what, each as a whole line.
func (w *world) see(body string) []string {
	var out []string
	for _, line := range specLines(body) {
		question, _, _ := strings.Cut(line, " ->")
		viewer, rest, _ := strings.Cut(strings.TrimSpace(question), " ")
		kind, rest, _ := strings.Cut(rest, " ")
		answer := "no"
		if Visible(w.state.AsOf(w.at), ID(viewer), w.record(RecordKind(kind), rest)) {
			answer = "yes"
		}
		out = append(out, question+" -> "+answer)
	}
	return out
}

// know answers who may know that a door or a site exists, each as a whole line.
func (w *world) know(body string) []string {
	var out []string
	for _, line := range specLines(body) {
		question, _, _ := strings.Cut(line, " ->")
		words := strings.Fields(question)
		require.Len(w.t, words, 3, line)
		s, viewer, id := w.state.AsOf(w.at), ID(words[0]), ID(words[2])
		knows := words[1] == "door" && s.MayKnowDoor(viewer, id) || words[1] == "site" && s.MayKnowSite(viewer, id)
		answer := "no"
		if knows {
			answer = "yes"
		}
		out = append(out, question+" -> "+answer)
	}
	return out
}

// fields reads "key=value key=value".
func (w *world) fields(text string) map[string]string {
	out := map[string]string{}
	for _, f := range strings.Fields(text) {
		k, v, ok := strings.Cut(f, "=")
		require.True(w.t, ok, text)
		out[k] = v
	}
	return out
}

func (w *world) marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	require.NoError(w.t, enc.Encode(v))
	return bytes.TrimSpace(b.Bytes())
}

func (w *world) unmarshal(data []byte, ptr any) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	require.NoError(w.t, dec.Decode(ptr), string(data))
}

func (w *world) digest(s *State) [32]byte {
	d, err := s.Digest()
	require.NoError(w.t, err)
	return d
}

// theRow returns a row, or nil.
func theRow[T any](t *table[T], id ID) *T {
	r, _ := t.Get(id)
	return r
}
