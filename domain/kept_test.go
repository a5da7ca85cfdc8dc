package domain

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"gatehouse/domain/schedule"
)

func TestTextsAreKeptInOneForm(t *testing.T) {
	name := " Door\t"
	given := SetHolidayCalendar{Site: "north", Days: schedule.Calendar{{Name: "Feast"}, {Name: "\u00a0Long  name "}}}
	for _, c := range []struct{ given, want Command }{
		{CreateSite{Site: "north", Name: "\n North side ", Zone: " Europe/Berlin"}, CreateSite{Site: "north", Name: "North side", Zone: "Europe/Berlin"}},
		{RegisterPerson{Name: Clear(" Ben "), Email: Clear("ben@example.com ")}, RegisterPerson{Name: Clear("Ben"), Email: Clear("ben@example.com")}},
		{ShareAccess{Sharees: []Sharee{{Person: "anna"}, {Email: Clear(" x@example.com")}}}, ShareAccess{Sharees: []Sharee{{Person: "anna"}, {Email: Clear("x@example.com")}}}},
		{RegisterPerson{Name: Clear("Mu\u0308ller"), Email: Clear("mu\u0308@example.com")}, RegisterPerson{Name: Clear("M\u00fcller"), Email: Clear("m\u00fc@example.com")}},
		{CreateDoor{Door: "gate", Name: " To\u0308r 1"}, CreateDoor{Door: "gate", Name: "T\u00f6r 1"}},
		{given, SetHolidayCalendar{Site: "north", Days: schedule.Calendar{{Name: "Feast"}, {Name: "Long  name"}}}},
		{ChangeDoor{Door: "gate", Name: &name}, ChangeDoor{Door: "gate", Name: new("Door")}},
		{ChangePerson{Person: "ben", Name: Give(Clear(" Ben "))}, ChangePerson{Person: "ben", Name: Give(Clear("Ben"))}},
		{CreateArea{Area: " yard", Name: "Yard"}, CreateArea{Area: " yard", Name: "Yard"}}, // an id is refused with blanks
	} {
		assert.Equal(t, c.want, inKeptForm(c.given), CommandName(c.want))
	}
	assert.Equal(t, "\u00a0Long  name ", given.Days[1].Name, "what was given stays")
}
