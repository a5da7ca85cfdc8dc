package backup

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A Schedule runs a writer at an interval beside a service.
type Schedule struct {
	writer *Writer
	every  time.Duration

	mu     sync.Mutex
	last   *Result // of the last run that finished; nil means none since the start
	failed error   // of the last run; nil means it finished
	since  time.Time

	runs    *prometheus.CounterVec
	took    prometheus.Gauge
	written prometheus.Counter
}

const (
	// MinEvery is the shortest interval between two runs: each copies the vault.
	MinEvery = time.Second
	// retryAfter is how long a run waits after one that failed, unless the interval is
	// shorter.
	retryAfter = time.Minute
	// lateAfter is the number of intervals without a whole backup after which it is
	// late.
	lateAfter = 3
)

// NewSchedule makes a schedule with its metrics.
func NewSchedule(w *Writer, every time.Duration, reg prometheus.Registerer) (*Schedule, error) {
	if every < MinEvery {
		return nil, fmt.Errorf("backup: every %s: at least %s lie between two runs", every, MinEvery)
	}
	s := &Schedule{writer: w, every: every, since: w.opts.Now(),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_backup_runs_total", Help: "Runs of the backup by outcome: done, busy, failed."}, []string{"outcome"}),
		took: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_backup_duration_seconds", Help: "How long the last run took that came to its end."}),
		written: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_backup_written_bytes_total",
			Help: "Bytes of objects that were written to the target."})}
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_backup_age_seconds",
		Help: "How old the newest whole backup of this instance is; before the first one since the start, how long ago that was."}, func() float64 { return s.age().Seconds() })
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_backup_size_bytes",
		Help: "What the objects of the backup take at its target."}, func() float64 { return float64(s.size()) })
	for _, outcome := range []string{"done", "busy", "failed"} {
		s.runs.WithLabelValues(outcome)
	}
	for _, c := range []prometheus.Collector{s.runs, s.took, s.written, age, size} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("backup: metrics: %w", err)
		}
	}
	return s, nil
}

func (s *Schedule) age() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return s.writer.opts.Now().Sub(s.since)
	}
	return s.writer.opts.Now().Sub(s.last.Begun)
}

func (s *Schedule) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return 0
	}
	return s.last.Size
}

// Trouble returns the error of the last run; nil means that it finished, or that there
// was none yet.
func (s *Schedule) Trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Late returns the age of the newest whole backup if it exceeds lateAfter intervals. It
// does so whether runs fail or one hangs at its target. Otherwise it returns 0.
func (s *Schedule) Late() time.Duration {
	if age := s.age(); age > lateAfter*s.every {
		return age
	}
	return 0
}

// Run runs the writer at once, and then an interval after the start of each run, until
// the context ends.
func (s *Schedule) Run(ctx context.Context) {
	for {
		begun := time.Now()
		pause := s.every
		if err := s.once(ctx); err != nil {
			pause = min(pause, retryAfter)
		}
		if sleep(ctx, pause-time.Since(begun)) != nil {
			return
		}
	}
}

// once runs the writer. A panic ends the run alone.
func (s *Schedule) once(ctx context.Context) (err error) {
	begun := time.Now()
	var r *Result
	func() {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("backup: a panic: %v", p)
				s.writer.opts.Log.Error("a backup panicked", "panic", p, "stack", string(debug.Stack()))
			}
		}()
		r, err = s.writer.Run(ctx)
	}()
	if ctx.Err() != nil {
		return err // it was told to end
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
	switch {
	case errors.Is(err, ErrBusy):
		s.runs.WithLabelValues("busy").Inc()
		s.writer.opts.Log.Warn("no backup was made", "target", s.writer.target.String(), "error", err)
	case err != nil:
		s.runs.WithLabelValues("failed").Inc()
		s.writer.opts.Log.Error("no backup was made", "target", s.writer.target.String(), "error", err)
	default:
		s.last = r
		s.runs.WithLabelValues("done").Inc()
		s.took.Set(time.Since(begun).Seconds())
		s.written.Add(float64(r.Written))
		s.writer.opts.Log.Info("a backup was made", "target", s.writer.target.String(), "run", r.Run, "messages", r.Messages, "written_bytes", r.Written, "size_bytes", r.Size)
	}
	return err
}
