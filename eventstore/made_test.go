package eventstore

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas"
)

// peopleOf are the people that an answer registers.
func peopleOf(t *testing.T, r Result) (ids []domain.ID) {
	t.Helper()
	for _, e := range r.Events {
		var person struct {
			Person domain.ID `json:"person"`
		}
		require.NoError(t, json.Unmarshal(e.Data, &person))
		ids = append(ids, person.Person)
	}
	return ids
}

func unnamed(id domain.UUID, names ...string) Request {
	people := make([]any, len(names))
	for i, name := range names {
		people[i] = &domain.RegisterPerson{Name: domain.Clear(name)}
	}
	req := request(people...)
	req.ID = id
	return req
}

func TestARepeatKeepsTheIDsThatWereMade(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	id := newID()
	first, err := s.Execute(t.Context(), "acme", unnamed(id, "Ada", "Bob"))
	require.NoError(t, err)
	made := peopleOf(t, first)
	require.Len(t, made, 2)
	assert.Regexp(t, `^p-[1-9][0-9]{3}$`, made[0])
	assert.NotEqual(t, made[0], made[1])

	_, err = s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{}))
	require.NoError(t, err)
	for _, node := range []*Store{s, b.store()} {
		again, err := node.Execute(t.Context(), "acme", unnamed(id, "Ada", "Bob"))
		require.NoError(t, err)
		assert.True(t, again.Repeated)
		assert.Equal(t, made, peopleOf(t, again))
		_, err = node.Execute(t.Context(), "acme", unnamed(id, "Ada", "Rob"))
		assert.ErrorIs(t, err, ErrReused)
	}
}

// Before ids were short, people were stored under their stand-ins.
func TestARepeatFindsPeopleUnderTheirStandIns(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	id := newID()
	req := unnamed(id, "Ada")
	domain.Complete(id, req.Fields...)
	typ, _ := domain.CommandNamed(req.Command)
	o, err := s.org(t.Context(), "acme")
	require.NoError(t, err)
	x := &execution{store: s, org: o, req: req, typ: typ, lacks: 1}
	require.NoError(t, x.reserve(t.Context()))
	o.mu.Lock()
	asked := req.context(x.now(), x.salt)
	asked.ID = newID() // so that the stand-in is taken for a chosen id
	decision, refusal := o.state.Decide(asked, x.commands()...)
	require.Nil(t, refusal)
	p, err := x.commitOf(t.Context(), decision, asked.At)
	o.mu.Unlock()
	require.NoError(t, err)
	assert.Empty(t, p.commit.Made)
	assert.Less(t, p.commit.MinReader, schemas.Format, "versions before read it")
	seq, out, err := x.append(t.Context(), p)
	require.Equal(t, stored, out, "%v", err)
	_, err = x.finish(t.Context(), p, seq)
	require.NoError(t, err)
	s.release(o)

	again, err := s.Execute(t.Context(), "acme", unnamed(id, "Ada"))
	require.NoError(t, err)
	assert.True(t, again.Repeated)
	assert.Equal(t, []domain.ID{domain.LeftOutSubject(id, 0)}, peopleOf(t, again))
}

func TestADryRunTellsStandIns(t *testing.T) {
	s := newR1(t).store()
	newOrg(t, s, "acme")
	req := unnamed(newID(), "Ada", "Bob")
	req.DryRun = true
	for range 2 {
		tried, err := s.Execute(t.Context(), "acme", req)
		require.NoError(t, err)
		assert.Equal(t, []domain.ID{"p-new-1", "p-new-2"}, peopleOf(t, tried))
	}
	req.DryRun = false
	done, err := s.Execute(t.Context(), "acme", req)
	require.NoError(t, err)
	assert.Regexp(t, `^p-[1-9][0-9]{3}$`, peopleOf(t, done)[0])
}

// Ids follow from nothing that the sender of a command knows.
func TestNoTwoCommandsHaveOneSalt(t *testing.T) {
	assert.NotEqual(t, newSalt(), newSalt())
}
