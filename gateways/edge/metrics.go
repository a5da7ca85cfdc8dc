package edge

import (
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/schemas/wire"
)

// metrics are those of one gateway.
type metrics struct {
	decisions      *prometheus.CounterVec
	records        *prometheus.CounterVec
	applied        prometheus.Counter
	uploaded       prometheus.Counter
	unrecorded     prometheus.Counter
	failedCommands prometheus.Counter
	failedCodes    prometheus.Counter
	panics         prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, g *Gateway) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		decisions:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_gateway_decisions_total", Help: "Decisions at doors, by code."}, []string{"code"}),
		records:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_gateway_records_total", Help: "Records of doors and devices, by type."}, []string{"type"}),
		applied:        counter("gatehouse_gateway_tables_applied_total", "Changes of permissions that were taken over."),
		uploaded:       counter("gatehouse_gateway_records_uploaded_total", "Records that the service has stored."),
		unrecorded:     counter("gatehouse_gateway_records_lost_total", "Records that could not be kept."),
		failedCodes:    counter("gatehouse_gateway_code_failures_total", "Times that the codes in a device could not be made what they should be."),
		failedCommands: counter("gatehouse_gateway_device_failures_total", "Commands that a device did not carry out or confirm."),
		panics:         counter("gatehouse_gateway_panics_total", "Parts of the gateway that panicked and were started again."),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_gateway_records_waiting", Help: "Records that the service does not have yet."},
		func() float64 { return float64(g.outbox.Waiting()) })
	lease := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_gateway_table_age_seconds", Help: "How long ago the table was known to be the present one."},
		func() float64 { return g.clock.age().Seconds() })
	if reg != nil {
		reg.MustRegister(m.decisions, m.records, m.applied, m.uploaded, m.unrecorded, m.failedCommands, m.failedCodes, m.panics, waiting, lease)
	}
	return m
}

func (m *metrics) decided(a answered)        { m.decisions.WithLabelValues(a.Code.String()).Inc() }
func (m *metrics) observed(a *wire.Activity) { m.records.WithLabelValues(string(a.Type)).Inc() }
