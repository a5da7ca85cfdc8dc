package control

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/domain"
)

// metrics of the orders.
type metrics struct {
	duration *prometheus.HistogramVec // seconds, by outcome
	lost     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gatehouse_remote_unlock_duration_seconds",
			Help:    "From the commit of a remote unlock to the answer of its gateway, by outcome.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}, []string{"outcome"}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_remote_unlock_outcomes_lost_total",
			Help: "Outcomes of remote unlocks that could not be put on record."}),
	}
	reg.MustRegister(m.duration, m.lost)
	return m
}

func (m *metrics) sent(outcome domain.UnlockOutcome, took time.Duration) {
	m.duration.WithLabelValues(string(outcome)).Observe(took.Seconds())
}
