package domain

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestWhatGivesAccessIsNotUrgent: the lane of what takes access away, and its reserve on
// the disk, are for what does so, whatever else commands of its type may do.
func TestWhatGivesAccessIsNotUrgent(t *testing.T) {
	typeOf := func(name string) CommandType {
		typ, ok := CommandNamed(name)
		assert.True(t, ok, name)
		return typ
	}
	for _, c := range []struct {
		name   string
		fields any
		urgent bool
	}{
		{"SetPosture", &SetPosture{Posture: PostureUnlocked}, false},
		{"SetPosture", &SetPosture{Posture: PostureNormal}, true},
		{"ChangeAccessRight", &ChangeAccessRight{AddDoors: []ID{"gate"}}, false},
		{"ChangeAccessRight", &ChangeAccessRight{RemoveDoors: []ID{"gate"}}, true},
		{"SetGroupOption", &SetGroupOption{Enabled: true}, false},
		{"SetGroupOption", &SetGroupOption{}, true},
		{"GrantRight", &GrantRight{}, false},
		{"ExpireRole", &ExpireRole{}, true},
		{"EndShare", &EndShare{}, true},
		{"ExpireCredential", &ExpireCredential{}, true},
		{"SettleConsequences", &SettleConsequences{}, true},
	} {
		assert.Equal(t, c.urgent, typeOf(c.name).Urgent(c.fields), "%s %+v", c.name, c.fields)
	}
	assert.False(t, typeOf("SetPosture").Urgent(&SetPosture{Posture: PostureNormal}, &SetPosture{Posture: PostureUnlocked}), "a list with one that gives")
}
