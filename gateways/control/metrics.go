package control

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// metrics of the orders.
type metrics struct {
	duration *prometheus.HistogramVec // seconds, by outcome
	lost     prometheus.Counter
	asks     *prometheus.HistogramVec // seconds, by request and outcome
	stale    prometheus.Counter
	unjudged prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gatehouse_remote_unlock_duration_seconds",
			Help:    "From the commit of a remote unlock to the answer of its gateway, by outcome.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}, []string{"outcome"}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_remote_unlock_outcomes_lost_total",
			Help: "Outcomes of remote unlocks that could not be put on record."}),
	}
	m.asks = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gatehouse_gateway_request_duration_seconds",
		Help:    "From a request of a gateway to its answer, by request and by outcome: answered, or the code of the refusal.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8)}, []string{"request", "outcome"})
	m.stale = prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_stale_grants_total",
		Help: "Grants of gateways that a change had taken away before, as this instance marked them."})
	m.unjudged = prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_stale_grants_unjudged_total",
		Help: "Grants of gateways on permissions that are so old that nobody can tell what took them away."})
	reg.MustRegister(m.duration, m.lost, m.asks, m.stale, m.unjudged)
	return m
}

func (m *metrics) sent(outcome domain.UnlockOutcome, took time.Duration) {
	m.duration.WithLabelValues(string(outcome)).Observe(took.Seconds())
}

// answered counts an answer. A request that nobody knows counts as other, so that no
// gateway makes labels.
func (m *metrics) answered(request wire.AskType, refused *wire.AskError, took time.Duration) {
	switch request {
	case wire.AskHello, wire.AskLease, wire.AskTable, wire.AskKey, wire.AskRecords:
	default:
		request = "other"
	}
	outcome := "answered"
	if refused != nil {
		outcome = string(refused.Code)
	}
	m.asks.WithLabelValues(string(request), outcome).Observe(took.Seconds())
}
