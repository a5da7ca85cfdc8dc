package eventstore

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
	"gatehouse/eventstore/clock"
)

// Metrics of the store.
type Metrics struct {
	Commands    *prometheus.CounterVec   // by command and outcome
	Duration    *prometheus.HistogramVec // by outcome
	Conflicts   prometheus.Counter
	Unsettled   prometheus.Counter
	Held        prometheus.Gauge // orgs in memory
	Loads       prometheus.Counter
	Evictions   prometheus.Counter
	Checked     prometheus.Gauge       // commits that the present walk through the ledger found whole
	Damaged     prometheus.Gauge       // orgs whose chain is broken, and messages that cannot be read
	Waiting     *prometheus.GaugeVec   // commands that wait for their turn, by lane
	Room        prometheus.Gauge       // bytes left on the disk of the embedded server
	Silent      prometheus.Gauge       // servers of the cluster that do not tell their settings
	Unsafe      prometheus.Gauge       // servers of the cluster that could lose what they acknowledge
	ClockOffset prometheus.Gauge       // seconds of the wall clock from the time that it is held against
	ClockHeld   prometheus.Gauge       // 1 while the wall clock is not trusted
	ClockSynced prometheus.Gauge       // 1 while the kernel says that a time source keeps the wall clock
	Panics      *prometheus.CounterVec // that were caught, by part of the program
	// DamagedKeys are those of personal data that the vault has and that do not open.
	DamagedKeys prometheus.Gauge
	Age         prometheus.Gauge // seconds since this node knew all of the ledger
	Stuck       prometheus.Gauge // orgs that one command holds for too long
	StuckTotal  prometheus.Counter
	Thrown      prometheus.Counter     // snapshots that were no good
	Slow        *prometheus.CounterVec // connections that were too slow for what they asked for, by who noticed
	Budgets     *budget.Metrics        // of all budgets, those of the API too
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{Budgets: budget.NewMetrics(reg),
		Commands: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_commands_total",
			Help: "Commands by type and outcome: accepted, refused, failed."}, []string{"command", "outcome"}),
		Duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gatehouse_command_duration_seconds",
			Help:    "From the queue to the durable commit or the refusal.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, []string{"outcome"}),
		Conflicts: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_append_conflicts_total",
			Help: "Appends that lost against another writer of the org."}),
		Unsettled: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_append_unsettled_total",
			Help: "Appends without a telling answer, repeated under the same guard."}),
		Held: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_orgs_held",
			Help: "Orgs in memory."}),
		Loads: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_org_loads_total",
			Help: "Orgs that were brought into memory."}),
		Evictions: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_org_evictions_total",
			Help: "Orgs that were let go, as others were used since."}),
		Checked: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_ledger_checked_commits",
			Help: "Commits that the present walk through the ledger has found whole."}),
		Damaged: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_ledger_damage",
			Help: "Orgs whose chain of commits is broken, and messages of the ledger that cannot be read."}),
		Waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gatehouse_commands_waiting",
			Help: "Commands that wait for those of their org before them, by lane: urgent, bulk, normal."}, []string{"lane"}),
		Room: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_disk_room_bytes",
			Help: "Room left on the disk of the ledger, where the server runs in this process."}),
		Silent: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_servers_silent",
			Help: "Servers of the cluster that did not tell their settings when they were asked last."}),
		Unsafe: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_servers_unsafe",
			Help: "Servers of the cluster with settings that could lose acknowledged commits; while there are any, nothing is appended."}),
		ClockOffset: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_clock_offset_seconds",
			Help: "How far the wall clock stands from the last good time and what has elapsed since; beyond 600 it is not trusted."}),
		ClockHeld: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_clock_untrusted",
			Help: "1 while the wall clock is not trusted, so that nothing is committed but what takes access away."}),
		ClockSynced: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_clock_synchronized",
			Help: "1 while the kernel says that a time source keeps the wall clock."}),
		Thrown: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_snapshots_thrown_away_total",
			Help: "Snapshots that were damaged, of other code or of another ledger; the ledger was read in their place."}),
		Panics: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_panics_total",
			Help: "Panics that were caught, by part of the program; /readyz names the org and the command."}, []string{"part"}),
		DamagedKeys: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_vault_damaged_keys",
			Help: "Keys of personal data that were found damaged in the vault; what they seal cannot be read."}),
		Slow: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_nats_slow_consumers_total",
			Help: "Connections that a server cut, and subscriptions of this instance that lost messages, as they were too slow; by who noticed: server, client."}, []string{"noticed_by"}),
	}
	m.Age = prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_ledger_age_seconds",
		Help: "How long ago this instance knew all of the ledger of an external cluster; above 5 nothing is answered from memory."})
	m.Stuck = prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_orgs_stuck",
		Help: "Orgs that one command holds for more than 5 seconds now, so that nothing of them is answered."})
	m.StuckTotal = prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_orgs_stuck_total",
		Help: "Commands that held their org for more than 5 seconds."})
	reg.MustRegister(m.Age, m.Stuck, m.StuckTotal)
	m.Slow.WithLabelValues("server")
	m.Slow.WithLabelValues("client")
	reg.MustRegister(m.Thrown, m.Panics, m.ClockOffset, m.ClockHeld, m.ClockSynced, m.Slow, m.DamagedKeys, m.Commands, m.Duration, m.Conflicts, m.Unsettled, m.Held, m.Loads, m.Evictions, m.Checked, m.Damaged, m.Waiting, m.Room, m.Silent, m.Unsafe)
	return m
}

func (m *Metrics) command(name string, err error, took time.Duration) {
	outcome := "accepted"
	if _, refused := errors.AsType[*domain.Refusal](err); refused {
		outcome = "refused"
	} else if err != nil {
		outcome = "failed"
	}
	m.Commands.WithLabelValues(name, outcome).Inc()
	m.Duration.WithLabelValues(outcome).Observe(took.Seconds())
}

func (m *Metrics) clock(c *clock.Clock) {
	m.ClockOffset.Set(c.Offset().Seconds())
	m.ClockHeld.Set(0)
	if c.Check() != nil {
		m.ClockHeld.Set(1)
	}
	m.ClockSynced.Set(0)
	if c.Synced() {
		m.ClockSynced.Set(1)
	}
}
