package backup

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// moody is a target that fails, hangs or panics when it is told to.
type moody struct {
	Target
	mu   sync.Mutex // held while a test changes what a run meets
	mood string
}

// change changes what the next run meets.
func (m *moody) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *moody) Lock(ctx context.Context) (context.Context, func() error, error) {
	var mood string
	m.change(func() { mood = m.mood })
	switch mood {
	case "fails":
		return nil, nil, errors.New("the target is full")
	case "hangs":
		<-ctx.Done()
		return nil, nil, ctx.Err()
	case "panics":
		panic("a defect")
	}
	return m.Target.Lock(ctx)
}

// told returns the metrics of a registry by name and outcome.
func told(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			all[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

// A schedule makes backups by itself. However a target fails, the schedule reports the
// age of the newest backup, and continues when the target works again.
func TestAScheduleTellsHowOldTheNewestBackupIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := &moody{Target: newFolder(t)}
		b := newBed(t, target)
		b.opts.Now = time.Now
		b.source.everything(t)
		reg := prometheus.NewRegistry()
		s, err := NewSchedule(b.writer(), time.Hour, reg)
		require.NoError(t, err)
		ctx, end := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { s.Run(ctx); close(over) }()
		pass := func(d time.Duration) map[string]float64 {
			time.Sleep(d)
			synctest.Wait()
			return told(t, reg)
		}

		got := pass(time.Minute)
		assert.Equal(t, 1.0, got["gatehouse_backup_runs_total done"], "the first one is made at once")
		assert.Equal(t, 60.0, got["gatehouse_backup_age_seconds"])
		size := got["gatehouse_backup_size_bytes"]
		assert.Positive(t, size)
		target.change(func() { b.source.commit(t, "acme", 50) })
		got = pass(time.Hour)
		assert.Equal(t, 2.0, got["gatehouse_backup_runs_total done"])
		assert.Equal(t, 60.0, got["gatehouse_backup_age_seconds"])
		assert.Greater(t, got["gatehouse_backup_size_bytes"], size)
		b.verify()
		require.NoError(t, s.Trouble())

		for i, mood := range []string{"fails", "panics"} {
			target.change(func() { target.mood = mood })
			got = pass(time.Hour + 30*time.Second)
			assert.Greater(t, got["gatehouse_backup_runs_total failed"], float64(i), mood)
			require.Error(t, s.Trouble(), mood)
			assert.Zero(t, s.Late())
			target.change(func() { target.mood = "" })
			got = pass(time.Minute)
			assert.Equal(t, float64(3+i), got["gatehouse_backup_runs_total done"], "it is tried again after a minute")
			require.NoError(t, s.Trouble())
		}

		target.change(func() { target.mood = "hangs" })
		got = pass(4*time.Hour + time.Minute)
		assert.Equal(t, 4.0, got["gatehouse_backup_runs_total done"])
		assert.Greater(t, got["gatehouse_backup_age_seconds"], 4*3600.0)
		assert.Equal(t, got["gatehouse_backup_age_seconds"], s.Late().Seconds(), "nothing failed, and it is late")
		end()
		<-over
	})
}
