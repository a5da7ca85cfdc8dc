package receipts

import "github.com/prometheus/client_golang/prometheus"

// metrics of what gateways enforce. No gateway has a label: there may be thousands.
type metrics struct {
	delay    prometheus.Histogram
	tracker  *Tracker
	gateways *prometheus.Desc
	silent   *prometheus.Desc
	lag      *prometheus.Desc
}

func newMetrics(reg prometheus.Registerer, t *Tracker) *metrics {
	m := &metrics{tracker: t,
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gatehouse_gateway_enforced_delay_seconds",
			Help:    "From the commit of a change to the request of a gateway that shows that it enforces it.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10)}),
		gateways: prometheus.NewDesc("gatehouse_gateways",
			"Gateways that asked within the last days, by state: current, behind or offline.", []string{"state"}, nil),
		silent: prometheus.NewDesc("gatehouse_gateway_silent_seconds",
			"For how long the most silent of the gateways has not asked that asked within the last days.", nil, nil),
		lag: prometheus.NewDesc("gatehouse_gateway_lag_seconds",
			"Age of the oldest change that a gateway lacks which is not offline.", nil, nil),
	}
	reg.MustRegister(m.delay, m)
	return m
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.gateways
	out <- m.silent
	out <- m.lag
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	t := m.tracker
	t.mu.Lock()
	now := t.cfg.Now()
	states, silent, lag := map[State]int{Current: 0, Behind: 0, Offline: 0}, 0.0, 0.0
	for n, r := range t.heard {
		s := t.look(n.org, n.gateway)
		states[s.State]++
		silent = max(silent, now.Sub(r.Asked).Seconds())
		if s.State == Behind && r.Table.N > 0 {
			lag = max(lag, now.Sub(r.Lacks).Seconds())
		}
	}
	t.mu.Unlock()
	for state, n := range states {
		out <- prometheus.MustNewConstMetric(m.gateways, prometheus.GaugeValue, float64(n), string(state))
	}
	out <- prometheus.MustNewConstMetric(m.silent, prometheus.GaugeValue, silent)
	out <- prometheus.MustNewConstMetric(m.lag, prometheus.GaugeValue, lag)
}
