package budget

import "github.com/prometheus/client_golang/prometheus"

// Metrics tell how much of each budget is used.
type Metrics struct {
	Taken   *prometheus.GaugeVec   // places, by budget
	Limit   *prometheus.GaugeVec   // of them, by budget
	Waiting *prometheus.GaugeVec   // requests, by budget
	Refused *prometheus.CounterVec // by budget and share
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		Taken: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gatehouse_budget_taken",
			Help: "Places that are taken, by budget; of the budgets bodies and urgent_bodies, bytes."}, []string{"budget"}),
		Limit: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gatehouse_budget_limit",
			Help: "Places that there are, by budget."}, []string{"budget"}),
		Waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gatehouse_budget_waiting",
			Help: "Requests that wait for a place, by budget."}, []string{"budget"}),
		Refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_budget_refused_total",
			Help: "Requests without a place, by budget and by whose share was used up: instance, org, person, token or address."}, []string{"budget", "share"}),
	}
	reg.MustRegister(m.Taken, m.Limit, m.Waiting, m.Refused)
	return m
}

// gauges are the metrics of one pool.
type gauges struct {
	taken, waiting prometheus.Gauge
	refused        func(Share)
}

func (m *Metrics) of(cfg Config) gauges {
	m.Limit.WithLabelValues(cfg.Name).Set(float64(cfg.Places.All))
	return gauges{m.Taken.WithLabelValues(cfg.Name), m.Waiting.WithLabelValues(cfg.Name),
		func(s Share) { m.Refused.WithLabelValues(cfg.Name, string(s)).Inc() }}
}
