package eventstore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// A command with a personal field costs the same in an org of many people as in one of
// few: where every value is open, the state is not walked.
func TestACommandDoesNotWalkThePeopleOfItsOrg(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	req := request(&domain.RegisterPerson{})
	req.Fields = nil
	for i := range 1000 {
		req.Fields = append(req.Fields, &domain.RegisterPerson{Person: domain.ID(fmt.Sprint("p", i)), Name: domain.Clear("Ana")})
	}
	_, err := s.Execute(t.Context(), "acme", req)
	require.NoError(t, err)
	o, err := s.org(t.Context(), "acme")
	require.NoError(t, err)
	defer s.release(o)
	fields := []any{&domain.RegisterPerson{Person: "one", Name: domain.Clear("Ana")}}
	assert.Less(t, testing.AllocsPerRun(5, func() { require.NoError(t, s.openFor(t.Context(), o, fields)) }), 500.0)
}
