package clock

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

const century = 100 * 365 * 24 * time.Hour

// machine has a wall clock that can be set, a clock that cannot, and a time source.
type machine struct {
	wall    time.Time
	elapsed time.Duration
	synced  bool
	file    string
}

func newMachine(t *testing.T) *machine {
	return &machine{wall: noon, file: filepath.Join(t.TempDir(), "clock")}
}

// pass lets time elapse.
func (m *machine) pass(d time.Duration) { m.wall, m.elapsed = m.wall.Add(d), m.elapsed+d }

// set moves the wall clock by d.
func (m *machine) set(d time.Duration) { m.wall = m.wall.Add(d) }

// start makes the clock of a service that starts on the machine after a newest commit.
func (m *machine) start(newest time.Time, sequence uint64) *Clock {
	m.elapsed = 0 // it was started again
	c := New(Config{Wall: func() time.Time { return m.wall }, Elapsed: func() time.Duration { return m.elapsed },
		Synced: func() bool { return m.synced }, File: m.file})
	c.Begin(newest, sequence)
	return c
}

var jumps = map[string]time.Duration{
	"an hour ahead": time.Hour, "ten years ahead": 10 * 365 * 24 * time.Hour, "a century ahead": century,
	"an hour back": -time.Hour, "ten years back": -10 * 365 * 24 * time.Hour, "a century back": -century,
}

func TestAJumpIsNoTime(t *testing.T) {
	for name, jump := range jumps {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			c := m.start(noon, 1)
			m.pass(time.Minute)
			require.NoError(t, c.Check())
			m.set(jump)
			var u *Untrusted
			require.ErrorAs(t, c.Check(), &u)
			assert.Equal(t, m.wall, u.Wall)
			assert.Equal(t, noon.Add(time.Minute), c.Now())
			m.pass(33 * time.Second)
			assert.Equal(t, noon.Add(time.Minute+33*time.Second), c.Now(), "time goes on")
			assert.Error(t, c.Check())
			m.wall = noon.Add(time.Minute + 33*time.Second)
			assert.NoError(t, c.Check(), "it is right again")
			assert.Equal(t, m.wall, c.Now())
		})
	}
}

func TestSmallStepsAreFollowedAndTimeStandsStillForThoseBack(t *testing.T) {
	m := newMachine(t)
	c := m.start(noon, 1)
	m.set(9 * time.Minute)
	require.NoError(t, c.Check())
	assert.Equal(t, noon.Add(9*time.Minute), c.Now())
	m.set(-9 * time.Minute)
	require.NoError(t, c.Check())
	assert.Equal(t, noon.Add(9*time.Minute), c.Now())
	m.pass(10 * time.Minute)
	assert.Equal(t, noon.Add(10*time.Minute), c.Now())
}

func TestManySmallStepsAreALargeOne(t *testing.T) {
	m := newMachine(t)
	c := m.start(noon, 1)
	for range 3 {
		m.pass(time.Minute)
		m.set(4 * time.Minute)
		c.Now()
	}
	assert.Error(t, c.Check())
}

func TestWhoseWordMakesTheClockGood(t *testing.T) {
	words := map[string]func(t *testing.T, m *machine, c *Clock){
		"the kernel's time source": func(_ *testing.T, m *machine, _ *Clock) { m.synced = true },
		"the servers of the cluster": func(t *testing.T, _ *machine, c *Clock) {
			assert.False(t, c.Agree([]time.Duration{0}, 3), "one of three")
			assert.False(t, c.Agree([]time.Duration{0, time.Hour, -time.Hour}, 3))
			assert.Error(t, c.Check())
			assert.True(t, c.Agree([]time.Duration{time.Second, -9 * time.Minute, 48 * time.Hour}, 3))
		},
		"an operator": func(t *testing.T, m *machine, c *Clock) {
			var d *Disagreement
			assert.ErrorAs(t, c.Confirm(noon), &d, "the operator has another time")
			assert.Error(t, c.Check())
			assert.NoError(t, c.Confirm(m.wall.Add(3*time.Minute)))
		},
	}
	for source, give := range words {
		for name, jump := range jumps {
			t.Run(source+"/"+name, func(t *testing.T) {
				m := newMachine(t)
				c := m.start(noon, 1)
				m.set(jump)
				require.Error(t, c.Check())
				give(t, m, c)
				require.NoError(t, c.Check())
				assert.Equal(t, source, c.Source())
				assert.Equal(t, m.wall, c.Now())
				m.synced = false
				m.pass(time.Hour)
				assert.NoError(t, c.Check(), "the word holds")
				assert.Equal(t, m.wall, c.Now())
			})
		}
	}
}

func TestAJumpOfMoreThanADurationHolds(t *testing.T) {
	for _, years := range []int{400, -400} {
		m := newMachine(t)
		c := m.start(noon, 1)
		m.wall = m.wall.AddDate(years, 0, 0)
		assert.Error(t, c.Check())
		assert.Equal(t, noon, c.Now())
	}
}

// A start trusts the wall clock by how far it is from the last good time.
func TestAStart(t *testing.T) {
	for name, c := range map[string]struct {
		off    time.Duration
		synced bool
		good   bool
	}{
		"at once":                             {0, false, true},
		"after a long weekend":                {4 * 24 * time.Hour, false, true},
		"after a month":                       {Absence, false, true},
		"five weeks ahead":                    {35 * 24 * time.Hour, false, false},
		"five weeks ahead with a time source": {35 * 24 * time.Hour, true, true},
		"a century ahead":                     {century, false, false},
		"an hour back":                        {-time.Hour, false, false},
		"an hour back with a time source":     {-time.Hour, true, true},
		"a century back":                      {-century, false, false},
	} {
		for _, by := range []string{"mark", "commit"} {
			t.Run(name+" by the "+by, func(t *testing.T) {
				m := newMachine(t)
				if by == "mark" { // the newest commit is old, and was before the mark
					require.NoError(t, m.start(noon, 7).Keep(7))
				}
				m.set(c.off)
				m.synced = c.synced
				newest, wall := noon, m.wall
				if by == "mark" {
					newest = noon.AddDate(-3, 0, 0)
				}
				clock := m.start(newest, 7)
				m.pass(time.Minute)
				if c.good {
					assert.NoError(t, clock.Check())
					assert.Equal(t, wall.Add(time.Minute), clock.Now())
					return
				}
				assert.Error(t, clock.Check())
				assert.Equal(t, noon.Add(time.Minute), clock.Now(), "the last good time and what has elapsed since the start")
				m.synced = true
				assert.NoError(t, clock.Check(), "a time source settles it")
			})
		}
	}
}

func TestAnEmptyLedgerStartsAtAnyTime(t *testing.T) {
	m := newMachine(t)
	c := m.start(time.Time{}, 0)
	assert.NoError(t, c.Check())
	assert.Equal(t, noon, c.Now())
}

func TestTheMark(t *testing.T) {
	m := newMachine(t)
	c := m.start(noon, 1)
	m.set(century)
	require.NoError(t, c.Keep(2))
	assert.NoFileExists(t, m.file, "what is not trusted is not kept")
	m.set(-century)
	require.NoError(t, c.Keep(2))

	m.set(time.Hour)
	later := m.start(noon.Add(time.Hour), 3) // committed since, by another instance
	assert.Equal(t, m.wall, later.Now())
	m.set(-time.Hour)
	assert.Error(t, m.start(noon.Add(time.Hour), 3).Check(), "the commit is later than the mark")
	assert.NoError(t, m.start(noon.AddDate(10, 0, 0), 2).Check(), "the mark was written after that commit, of an org whose clock once was wrong")

	require.NoError(t, os.WriteFile(m.file, []byte("{"), 0o600))
	assert.NoError(t, m.start(noon, 2).Check(), "without a mark the newest commit counts")
	assert.Error(t, m.start(noon.AddDate(10, 0, 0), 2).Check())
}

// Without Elapsed the wall clock is trusted: clocks of tests and of the demo run
// freely.
func TestWithoutAnotherClockTheWallIsBelieved(t *testing.T) {
	m := newMachine(t)
	c := New(Config{Wall: func() time.Time { return m.wall }})
	c.Begin(noon, 1)
	for _, jump := range jumps {
		m.set(jump)
		assert.NoError(t, c.Check())
		assert.Equal(t, m.wall, c.Now())
	}
}

func TestTheKernelTells(t *testing.T) {
	first := Elapsed()
	assert.Positive(t, first)
	assert.GreaterOrEqual(t, Elapsed(), first)
	Synced() // whatever it says
}
