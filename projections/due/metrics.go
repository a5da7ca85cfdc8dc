package due

import "github.com/prometheus/client_golang/prometheus"

// Metrics of the timer.
type Metrics struct {
	Sent *prometheus.CounterVec // by command and outcome
	Lag  prometheus.Gauge       // seconds
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		Sent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_due_commands_total",
			Help: "Commands that time made due, by type and outcome: accepted, failed."}, []string{"command", "outcome"}),
		Lag: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_due_lag_seconds",
			Help: "How long after its instant the last command that time made due was accepted."}),
	}
	reg.MustRegister(m.Sent, m.Lag)
	return m
}

func (m *Metrics) sent(command string, err error) {
	outcome := "accepted"
	if err != nil {
		outcome = "failed"
	}
	m.Sent.WithLabelValues(command, outcome).Inc()
}
