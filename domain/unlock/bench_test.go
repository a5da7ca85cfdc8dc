package unlock

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"gatehouse/domain/schedule"

	"github.com/stretchr/testify/require"
)

// benchSizes are a large site, and all sites of a large city in one table. Each has a
// door for every ten credentials.
var benchSizes = []struct {
	name        string
	credentials int
}{{"20k", 20_000}, {"1M", 1_000_000}}

// benchWorlds caches one world per size, because the larger one takes a while to make.
var benchWorlds = map[int]*benchWorld{}

// benchWorld is a site and a request for each of its credentials, in random order. Four
// in five of its doors are doors of units. Each unit has a booking, a tenant with a fob
// bound to the booking, and four people who share it with mobile keys. The other
// credentials are cards of staff, who each have rights to about twenty doors. Schedules
// are weekly, in a zone with daylight saving.
type benchWorld struct {
	table  *Table
	asks   []ask
	random *rand.Rand

	doors, units, zones int
	rows                []Row
	rights              []*Right // of the zones
}

func worldOf(b *testing.B, credentials int) *benchWorld {
	b.Helper()
	if w := benchWorlds[credentials]; w != nil {
		return w
	}
	w := newBenchWorld(b, credentials)
	w.random.Shuffle(len(w.asks), func(i, j int) {
		w.asks[i], w.asks[j] = w.asks[j], w.asks[i]
	})
	benchWorlds[credentials] = w
	runtime.GC()
	return w
}

func newBenchWorld(b *testing.B, credentials int) *benchWorld {
	b.Helper()
	w := &benchWorld{random: rand.New(rand.NewPCG(1, 2)), doors: credentials / 10, zones: max(1, credentials/1000)}
	w.units = w.doors * 4 / 5
	w.site(b)
	for i := range w.units {
		w.unit(i)
	}
	for i := 5 * w.units; i < credentials; i++ {
		w.staff(i)
	}
	table, err := NewTable(w.rows...)
	require.NoError(b, err)
	w.table, w.rows = table, nil
	return w
}

func (w *benchWorld) put(rows ...Row) { w.rows = append(w.rows, rows...) }

func benchID(noun string, i int) string { return fmt.Sprintf("%s-%08x", noun, i) }

func benchTag(i int) Tag {
	id := IDOf(benchID("number", i))
	return Tag(id)
}

func (w *benchWorld) site(b *testing.B) {
	rules, err := schedule.LoadRules("Europe/Berlin")
	require.NoError(b, err)
	site := &Site{ID: "site", Zone: rules, LeaseStandard: 900, LeaseCritical: 30}
	for month := time.January; month <= time.December; month++ {
		date, err := schedule.DateOf(2026, month, 1)
		require.NoError(b, err)
		site.Calendar = append(site.Calendar, schedule.SpecialDay{Date: date, Kind: schedule.Holiday})
	}
	weekdays := []schedule.Day{"mon", "tue", "wed", "thu", "fri"}
	office := schedule.Schedule{Windows: []schedule.Window{{Days: weekdays, From: 7 * 60, To: 18 * 60}}}
	long := schedule.Schedule{Windows: []schedule.Window{
		{Days: weekdays, From: 6 * 60, To: 22 * 60}, {Days: []schedule.Day{"sat", "sun"}, From: 8 * 60, To: 20 * 60},
	}}
	w.put(site, &Schedule{ID: "office", Schedule: office}, &Schedule{ID: "long", Schedule: long})
	for i := range w.doors {
		d := &Door{ID: benchID("door", i), Enabled: true, Entry: i >= w.units}
		if i < w.units {
			d.Unit = benchID("unit", i)
		}
		w.put(d)
	}
	for i := range w.zones {
		r := &Right{ID: benchID("zone", i), Schedule: "office"}
		for range 20 {
			r.Doors = append(r.Doors, benchID("door", w.units+w.random.IntN(w.doors-w.units)))
		}
		slices.Sort(r.Doors)
		r.Doors = slices.Compact(r.Doors)
		w.put(r)
		w.rights = append(w.rights, r)
	}
}

// unit adds a unit, its booking, its tenant and the people they share it with.
func (w *benchWorld) unit(i int) {
	id, door, booking, own := benchID("unit", i), benchID("door", i), benchID("booking", i), benchID("tenancy", i)
	gate := benchID("door", w.units+i%(w.doors-w.units))
	tenant := benchID("tenant", i)
	state := BookingActive
	if i%25 == 0 {
		state = BookingOverlock
	}
	w.put(
		&Right{ID: id, Doors: []string{door, gate}, Schedule: "long"},
		&Unit{ID: id, State: UnitOccupied, Rights: []UnitRight{{Right: id}}},
		&Booking{ID: booking, Unit: id, Person: tenant, Window: Window{From: benchDay(0)}, State: state},
		&Person{tenant, PersonActive},
		&Credential{ID: benchID("fob", i), Tag: benchTag(5 * i), Kind: Fob, Person: tenant, Booking: booking, State: CredentialActive},
		&Grant{ID: own, Person: tenant, Booking: booking, Source: SourceBooking, State: GrantActive},
	)
	w.ask(5*i, door)
	for j := 1; j < 5; j++ {
		person := benchID("guest", 5*i+j)
		w.put(
			&Person{person, PersonActive},
			&Credential{ID: benchID("key", 5*i+j), Tag: benchTag(5*i + j), Kind: MobileKey, Person: person, State: CredentialActive},
			&Grant{
				ID: benchID("share", 5*i+j), Person: person, Booking: booking, Parent: own, Source: SourceShare,
				Window: Window{benchDay(0), benchDay(360)}, State: GrantActive,
			},
		)
		w.ask(5*i+j, gate)
	}
}

// staff adds a member of staff with a right to some doors of the site.
func (w *benchWorld) staff(i int) {
	person, zone := benchID("staff", i), benchID("zone", i%w.zones)
	state := CredentialActive
	if i%25 == 0 {
		state = CredentialLost
	}
	w.put(
		&Person{person, PersonActive},
		&Credential{ID: benchID("card", i), Tag: benchTag(i), Kind: Card, Person: person, Window: Window{From: benchDay(0)}, State: state},
		&Grant{ID: benchID("job", i), Person: person, Right: zone, Source: SourceStaff, State: GrantActive},
	)
	doors := w.rights[i%w.zones].Doors
	w.ask(i, doors[w.random.IntN(len(doors))])
}

// benchDay gives the beginning of a day of 2026 in UTC.
func benchDay(n int) Instant {
	return InstantOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n))
}

// ask adds a request with a credential, mostly at a time at which every schedule of the
// site holds.
func (w *benchWorld) ask(credential int, door string) {
	day := 4 + 7*w.random.IntN(50) + w.random.IntN(5)
	at := benchDay(day) + Instant(8*time.Hour) + Instant(w.random.Int64N(int64(8*time.Hour)))
	if w.random.IntN(100) < 8 {
		at += Instant(12 * time.Hour)
	}
	if w.random.IntN(100) < 5 {
		door = benchID("door", w.random.IntN(w.doors))
	}
	w.asks = append(w.asks, ask{benchTag(credential), IDOf(door), at})
}

// ask holds the fields in which the requests differ. They lie close together, so that
// neither benchmark measures how its requests are fetched.
type ask struct {
	tag  Tag
	door ID
	at   Instant
}

var benchLocal = Local{LeaseEnd: Held}

// BenchmarkDecide measures one decision with the tag known. As at a door, each request
// waits for the answer to the one before. The metric x-floor is the number of look-ups
// of BenchmarkFloor, measured right after, that take as long.
func BenchmarkDecide(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			w := worldOf(b, size.credentials)
			b.ReportAllocs()
			allowed, n, i := 0, 0, 0
			for b.Loop() {
				ask := &w.asks[i]
				a := Decide(w.table, &benchLocal, Request{Door: ask.door, Side: In, At: ask.at, Tag: ask.tag})
				if a.Allowed {
					allowed++
				}
				n++
				if i += 1 + int(a.Failed>>63); i >= len(w.asks) {
					i = 0
				}
			}
			decided := b.Elapsed()
			b.ReportMetric(100*float64(allowed)/float64(n), "%allowed")
			m := w.bareMap()
			start := time.Now()
			lookUp(m, w.asks, n)
			b.ReportMetric(float64(decided)/float64(time.Since(start)), "x-floor")
		})
	}
}

// BenchmarkFloor measures look-ups of the same tags in a bare map. The order is the
// same, and each look-up waits for the one before.
func BenchmarkFloor(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			w := worldOf(b, size.credentials)
			m := w.bareMap()
			b.ReportAllocs()
			b.ResetTimer()
			lookUp(m, w.asks, b.N)
		})
	}
}

func (w *benchWorld) bareMap() map[Tag]uint32 {
	m := make(map[Tag]uint32, len(w.asks))
	for i, a := range w.asks {
		m[a.tag] = uint32(i)
	}
	return m
}

// lookUp looks up n tags. The next index depends on the value found.
func lookUp(m map[Tag]uint32, asks []ask, n int) {
	i := 0
	for range n {
		found := m[asks[i].tag]
		if i += 1 + int(found>>31); i >= len(asks) {
			i = 0
		}
	}
}

// BenchmarkTable measures the bytes that the table of a world keeps, for each credential:
// those of its share in people, grants, bookings, units and doors as well. Each row comes
// with texts of its own, as from a base.
func BenchmarkTable(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			for b.Loop() {
				before := liveBytes()
				table := newBenchWorld(b, size.credentials).read(b)
				b.ReportMetric(float64(liveBytes()-before)/float64(size.credentials), "B/credential")
				runtime.KeepAlive(table)
			}
		})
	}
}

// BenchmarkSmallTables measures the same of tables of 100 credentials, as many small
// orgs have them.
func BenchmarkSmallTables(b *testing.B) {
	const tables, credentials = 100, 100
	for b.Loop() {
		before := liveBytes()
		var all []*Table
		for range tables {
			all = append(all, newBenchWorld(b, credentials).read(b))
		}
		b.ReportMetric(float64(liveBytes()-before)/(tables*credentials), "B/credential")
		runtime.KeepAlive(all)
	}
}

// read gives the table as one who reads its rows has it.
func (w *benchWorld) read(b *testing.B) *Table {
	b.Helper()
	var rows []Row
	for r := range w.table.All() {
		data, err := Encode(r)
		require.NoError(b, err)
		read, err := DecodeExact(data)
		require.NoError(b, err)
		rows = append(rows, read)
	}
	w.table = nil
	table, err := NewTable(rows...)
	require.NoError(b, err)
	return table
}

func liveBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkApply measures a change of one row, a card that is lost and found. It costs
// the same at every size.
func BenchmarkApply(b *testing.B) {
	states := [2]CredentialState{CredentialActive, CredentialLost}
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			w := worldOf(b, size.credentials)
			b.ReportAllocs()
			t, n := w.table, 0
			for b.Loop() {
				i := 5*w.units + n/2%(size.credentials-5*w.units)
				r, ok := t.Row(Key{KindCredential, benchID("card", i)})
				if !ok {
					b.Fatal("no such card")
				}
				card := *r.(*Credential)
				card.State = states[n%2]
				next, err := t.Apply(Delta{Put: Rows{&card}})
				if err != nil {
					b.Fatal(err)
				}
				t, n = next, n+1
			}
		})
	}
}
