package schedule

import (
	"archive/zip"
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

func placeNamed(t require.TestingT, name string) *Zone {
	rules, err := LoadRules(name)
	require.NoError(t, err)
	return rules.Compile()
}

func zoneNames(t require.TestingT) []string {
	archive, err := zip.NewReader(strings.NewReader(zoneinfo), int64(len(zoneinfo)))
	require.NoError(t, err)
	var names []string
	for _, f := range archive.File {
		if !f.FileInfo().IsDir() {
			names = append(names, f.Name)
		}
	}
	require.Greater(t, len(names), 500)
	return names
}

// Another archive needs another TZDataVersion: rules of both are kept in ledgers
// under that name.
func TestArchiveIsThatOfTheVersion(t *testing.T) {
	require.Equal(t, "2025c", TZDataVersion)
	require.Equal(t, "8f55634d05f8bca1f7bc7c69c5933428c69357e0bdf565e5ba224e3f88ff12e8", fmt.Sprintf("%x", sha256.Sum256([]byte(zoneinfo))))
}

// In every zone the rules show the offsets that the time package shows: around
// each of its changes from 1970 to 2200, and at instants between.
func TestRulesAgreeWithTimePackage(t *testing.T) {
	stride := int64(1_400_003)
	if long {
		stride = 100_003
	}
	last := time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range zoneNames(t) {
		zone, l := placeNamed(t, name), location(name)
		check := func(seconds int64) {
			at := time.Unix(seconds, 0)
			_, offset := at.In(l).Zone()
			if got := zone.offsets[zone.index(seconds)]; int(got) != offset {
				t.Fatalf("%s at %s: %d s east, not %d s", name, at.UTC(), offset, got)
			}
		}
		for s := int64(0); s < last.Unix(); s += stride {
			check(s)
		}
		for at := time.Unix(0, 0).In(l); at.Before(last); {
			_, next := at.ZoneBounds()
			if next.IsZero() {
				break
			}
			check(next.Unix() - 1)
			check(next.Unix())
			if !next.After(at) { // so it is on the last day of leap years under a footer
				next = at.Add(24 * time.Hour)
			}
			at = next
		}
	}
}

func TestLoadRules(t *testing.T) {
	utc, err := LoadRules("UTC")
	require.NoError(t, err)
	require.Equal(t, ZoneRules{Zone: "UTC", TZData: TZDataVersion, Footer: "UTC0"}, utc)
	for _, name := range []string{"", "Local", "local", "europe/berlin", "Europe", "Europe/", "../Europe/Berlin", "Mars/Base", strings.Repeat("x", 1<<12)} {
		_, err := LoadRules(name)
		require.ErrorContains(t, err, "is no zone of the IANA database 2025c", name)
		require.Less(t, len(err.Error()), 200)
	}
	require.Equal(t, "Europe/Berlin", placeNamed(t, "Europe/Berlin").Name())
	require.True(t, placeNamed(t, "Asia/Kathmandu").SameClock(placeNamed(t, "Asia/Katmandu")))
	require.False(t, placeNamed(t, "Asia/Kathmandu").SameClock(placeNamed(t, "Asia/Kolkata")))
}

func TestRulesValidate(t *testing.T) {
	berlin, err := LoadRules("Europe/Berlin")
	require.NoError(t, err)
	for says, change := range map[string]func(*ZoneRules){
		"name no zone":            func(r *ZoneRules) { r.Zone = "" },
		"out of order at 100":     func(r *ZoneRules) { r.Transitions = []Transition{{100, 3600}, {100, 7200}} },
		"out of order at -1":      func(r *ZoneRules) { r.Transitions = []Transition{{-1, 3600}} },
		"has the offset 93600 s":  func(r *ZoneRules) { r.Transitions = []Transition{{0, 26 * 3600}} },
		"has the offset -93600 s": func(r *ZoneRules) { r.First = -26 * 3600 },
		"2001 transitions":        func(r *ZoneRules) { r.Transitions = make([]Transition, MaxTransitions+1) },
		"as a POSIX TZ string":    func(r *ZoneRules) { r.Footer = "CET-1CEST" },
		"ends with the offset 7200 s, but the rule \"UTC0\" begins with 0 s": func(r *ZoneRules) { r.Footer = "UTC0" },
		"ends with the offset -3600 s":                                       func(r *ZoneRules) { r.First, r.Transitions = -3600, nil },
	} {
		rules := berlin
		require.NoError(t, rules.Validate())
		change(&rules)
		require.ErrorContains(t, rules.Validate(), says)
		rules.Compile().Local(math.MaxInt64)
	}
}

func TestFooters(t *testing.T) {
	for _, text := range []string{"", "UTC0", "<+03>-3", "<-0930>9:30", "IST-5:30", "XXX24:59:59", "EST5EDT,0/0,J365/25", "CET-1CEST,M3.5.0,M10.5.0/3",
		"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "IST-1GMT0,M10.5.0,M3.5.0/1", "EET-2EEST,M3.4.4/50,M10.4.4/50", "A+BC"} {
		_, err := parseFooter(text)
		require.Equal(t, text != "A+BC", err == nil, "%q: %v", text, err)
	}
	for _, text := range []string{"UTC", "U0", "0", "<>0", "<AB>0", "<ABC0", "UTC25", "UTC0:60", "UTC-", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,",
		"CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M0.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.0.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0",
		"CET-1CEST,J0,J365", "CET-1CEST,J1,J366", "CET-1CEST,0,366", "CET-1CEST,0/168,1", "CET-1CEST,0,1 ", "UTC0\n", "CET-1CEST;M3.5.0;M10.5.0",
		"CET-1CEST,M00003.5.0,M10.5.0", "CET-1CEST,M3.5,M10.5.0", strings.Repeat("A", 101) + "0"} {
		_, err := parseFooter(text)
		require.ErrorContains(t, err, "POSIX TZ string", "%q", text)
	}
}

// The time package is asked about rules that no zone of today has.
func TestFootersAgreeWithTimePackage(t *testing.T) {
	for _, text := range []string{"AAA3BBB,J60/0,J300", "AAA3BBB,59/0,299", "AAA-3BBB-5,M2.5.0/-100,M9.1.6/167", "AAA10BBB,M10.5.0/2,M3.1.0/2:30:15", "AAA3:15:20BBB2,0/0,200/1"} {
		l := footerLocation(t, text)
		rule, err := parseFooter(text)
		require.NoError(t, err)
		rules := ZoneRules{Zone: "Test/" + text[:3], Footer: text}
		rules.First, _ = rule.after(0)
		require.NoError(t, rules.Validate())
		z := rules.Compile()
		for s := int64(0); s < math.MaxInt64/nano; s += 50_021 {
			_, offset := time.Unix(s, 0).In(l).Zone()
			if got := z.offsets[z.index(s)]; int(got) != offset {
				t.Fatalf("%s at %s: %d s east, not %d s", text, time.Unix(s, 0).UTC(), offset, got)
			}
		}
	}
	summer, err := parseFooter("XXX3EDT4,0/0,J365/23")
	require.NoError(t, err)
	offset, _ := summer.after(0)
	require.Equal(t, int32(-4*3600), offset)
	all := ZoneRules{Zone: "Test/Summer", First: offset, Footer: "XXX3EDT4,0/0,J365/23"}
	require.NoError(t, all.Validate())
	require.Empty(t, all.Compile().at, "daylight saving time all year")
}

func footerLocation(t *testing.T, text string) *time.Location {
	header := "TZif2" + strings.Repeat("\x00", 15)
	counts := func(types, chars byte) string {
		return strings.Repeat("\x00", 4*4) + "\x00\x00\x00" + string(rune(types)) + "\x00\x00\x00" + string(rune(chars))
	}
	data := header + counts(1, 4) + "\x00\x00\x00\x00\x00\x00AAA\x00" + header + counts(1, 4) + "\x00\x00\x00\x00\x00\x00AAA\x00" + "\n" + text + "\n"
	l, err := time.LoadLocationFromTZData("Test", []byte(data))
	require.NoError(t, err)
	return l
}

func TestLocalAgreesWithTimePackage(t *testing.T) {
	zones := places()
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(zones).Draw(t, "place")
		at := rapid.OneOf(rapid.Int64Min(0), rapid.Int64Range(begin, end)).Draw(t, "at")
		want := time.Unix(0, at).In(p.location)
		year, month, day := want.Date()
		require.Equal(t, Local{
			Date:    civilDay(year, month, day),
			Time:    TimeOfDay(want.Hour()*60 + want.Minute()),
			Weekday: Weekday((want.Weekday() + 6) % 7),
		}, p.zone.Local(at))
	})
}

func TestLocalAtTheEdges(t *testing.T) {
	z := placeNamed(t, "America/New_York")
	require.Equal(t, Local{Date{unixEpochDay - 1}, 19 * 60, Wednesday}, z.Local(0))
	require.Equal(t, Local{Date{unixEpochDay - 1}, 19*60 - 1, Wednesday}, z.Local(-1))
	require.Equal(t, "1677-09-20 19:12", z.Local(math.MinInt64).Date.String()+" "+z.Local(math.MinInt64).Time.String())
	require.Equal(t, "2262-04-11 19:47", z.Local(math.MaxInt64).Date.String()+" "+z.Local(math.MaxInt64).Time.String())
	require.Equal(t, int64(math.MaxInt64), z.Start(Date{lastDay}))
	require.Equal(t, int64(math.MinInt64), z.Start(Date{}))
	require.Equal(t, int64(math.MaxInt64), Nanos(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)))
	require.Equal(t, int64(math.MinInt64), Nanos(time.Time{}))
	require.Equal(t, int64(1_000_000_001), Nanos(time.Unix(1, 1)))
	for _, at := range []int64{math.MinInt64, -1, 0, math.MaxInt64 - 1, math.MaxInt64} {
		for _, s := range []Schedule{{}, {Always: true}, windows(window(t, "08:00", "12:00", "mon"))} {
			next, found := NextChange(s, z, nil, at)
			require.True(t, !found || next > at)
		}
	}
}

// A skipped midnight, a skipped date, a repeated midnight.
func TestStart(t *testing.T) {
	for _, c := range []struct{ zone, date, start string }{
		{"Europe/Berlin", "2026-11-21", "2026-11-20T23:00:00Z"},
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"},
		{"Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00Z"},
		{"Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z"},
		{"Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"},
		{"Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"},
		{"America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"},
		{"America/Toronto", "1987-10-25", "1987-10-25T04:00:00Z"},
		{"America/St_Johns", "2010-11-07", "2010-11-07T02:30:00Z"},
	} {
		start := placeNamed(t, c.zone).Start(date(t, c.date))
		require.Equal(t, c.start, time.Unix(0, start).UTC().Format(time.RFC3339), "%s %s", c.zone, c.date)
	}
}

// Instant is the first instant at which the wall clock has come so far, found
// here minute by minute.
func TestInstantIsTheFirst(t *testing.T) {
	for _, p := range places() {
		local := func(at int64) DateTime {
			l := p.zone.Local(at)
			return DateTime{l.Date, l.Time}
		}
		furthest := local(p.readings[0].at - minute)
		for i, r := range p.readings {
			if i > 0 && r.at != p.readings[i-1].at+minute {
				furthest = local(r.at - minute)
			}
			now := local(r.at)
			if furthest.Compare(now) < 0 {
				require.Equal(t, r.at, p.zone.Instant(now))
				for skipped := furthest; ; {
					if skipped.Time++; skipped.Time == EndOfDay {
						skipped = DateTime{skipped.Date.AddDays(1), 0}
					}
					if skipped.Compare(now) >= 0 {
						break
					}
					require.Equal(t, r.at, p.zone.Instant(skipped), "%s %s", p.zone.Name(), skipped)
				}
				furthest = now
			}
		}
	}
}

func FuzzTZif(f *testing.F) {
	for _, name := range []string{"Europe/Berlin", "UTC", "Asia/Kathmandu", "Africa/Casablanca"} {
		data, err := zoneFile(name)
		require.NoError(f, err)
		f.Add(data)
		f.Add(data[:len(data)-1])
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte("TZif2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rules, err := parseTZif(data)
		if err != nil {
			return
		}
		z := rules.Compile()
		for _, at := range []int64{math.MinInt64, -1, 0, math.MaxInt64} {
			z.Start(z.Local(at).Date)
		}
	})
}
