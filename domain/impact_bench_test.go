package domain

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/domain/schedule"
)

// BenchmarkImpactOfACalendar measures the dry run of a holiday at a site of 50,000
// tenants. Each has a booking, and with it the gate and the lift on a schedule that
// holidays close.
func BenchmarkImpactOfACalendar(b *testing.B) {
	w := crowdedWorld(b, 50_000)
	b.ReportAllocs()
	for b.Loop() {
		impact := w.foresee(`olga SetHolidayCalendar {"site":"north","days":[{"date":"2026-03-09","kind":"holiday"}]}`)
		require.Equal(b, 50_000, impact.Lost.People)
	}
}

// crowdedWorld is the storage with further units, each with a tenant.
func crowdedWorld(b *testing.B, people int) *world {
	b.Helper()
	w := newWorld(b)
	w.base("storage")
	from := must(schedule.ParseDate("2026-03-01"))
	var events []Event
	for i := range people {
		unit, person, booking := ID(fmt.Sprint("x", i)), ID(fmt.Sprint("p", i)), ID(fmt.Sprint("y", i))
		events = append(events, PersonRegistered{Person: person}, UnitCreated{Unit: unit, Site: "north", Name: "X"},
			UnitAccessMapped{Unit: unit, Rights: []UnitRight{{Right: "entries", Schedule: "office-hours"}}},
			BookingCreated{Booking: booking, Unit: unit, Person: person, From: from})
	}
	w.state.Apply(Applied{Moment: Moment{N: w.state.N + 1, At: w.at, Actor: PersonActor("olga")}, Events: events})
	w.at = w.at.Add(time.Second)
	return w
}
