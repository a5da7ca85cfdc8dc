package admission

import "github.com/prometheus/client_golang/prometheus"

// metrics of the admission.
type metrics struct {
	questions *prometheus.CounterVec // by outcome
	cut       prometheus.Counter
	excess    prometheus.Counter
	failed    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		questions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_admission_questions_total",
			Help: "Questions of NATS servers about connections, by outcome: admitted, or why not."}, []string{"outcome"}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_admission_cut_off_total",
			Help: "Connections of gateways that were ended because the gateway was retired or has another key."}),
		excess: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_admission_excess_total",
			Help: "Connections of gateways that were ended because the gateway had too many."}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_admission_looks_failed_total",
			Help: "Looks at the connections of gateways that failed."}),
	}
	reg.MustRegister(m.questions, m.cut, m.excess, m.failed)
	return m
}

func (m *metrics) asked(outcome string) { m.questions.WithLabelValues(outcome).Inc() }
