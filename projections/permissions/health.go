package permissions

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/domain"
)

// Lag is how far the publishing of an org is behind what the store has applied.
type Lag struct {
	Org       domain.ID     `json:"org"`
	Head      uint64        `json:"head"`               // the last commit applied
	Published uint64        `json:"published"`          // the last commit up to which everything is published
	Waiting   int           `json:"waiting"`            // deltas
	Oldest    time.Duration `json:"oldest_ns"`          // how long the first of them has waited
	Untagged  int           `json:"untagged,omitempty"` // credentials whose tag waits for the vault
	// Rekeying are the sites whose tags are still of the key that a stolen gateway had.
	Rekeying    []domain.ID   `json:"rekeying,omitempty"`
	RekeyingFor time.Duration `json:"rekeying_ns,omitempty"` // how long the first of them is
	// Diverged are the sites of which another instance, or later code, published
	// other rows than this one has.
	Diverged []domain.ID `json:"diverged,omitempty"`
	// Ahead are the sites of which the table of a later commit is published than
	// the store has applied: for a moment where another instance was quicker, and
	// lasting where the ledger lost commits, as by a restore.
	Ahead []domain.ID `json:"ahead,omitempty"`
}

// Lags tells of every org that the store holds, sorted.
func (p *Projector) Lags() []Lag {
	now := p.cfg.Now()
	var out []Lag
	for _, o := range *p.orgs.Load() {
		out = append(out, o.lag(now))
	}
	slices.SortFunc(out, func(a, b Lag) int { return strings.Compare(string(a.Org), string(b.Org)) })
	return out
}

func (o *org) lag(now time.Time) Lag {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := Lag{Org: o.id, Head: o.head.N, Published: o.publishedTo(), Waiting: len(o.queue)}
	if len(o.queue) > 0 {
		l.Oldest = now.Sub(o.queue[0].since)
	}
	for id, s := range *o.sites.Load() {
		l.Untagged += len(s.untagged)
		if s.wanted > s.tagVersion() {
			l.Rekeying = append(l.Rekeying, id)
			l.RekeyingFor = max(l.RekeyingFor, now.Sub(s.since))
		}
		if s.diverged > 0 {
			l.Diverged = append(l.Diverged, id)
		}
		if o.position().Before(s.published.head) {
			l.Ahead = append(l.Ahead, id)
		}
	}
	slices.Sort(l.Rekeying)
	slices.Sort(l.Diverged)
	slices.Sort(l.Ahead)
	return l
}

// metrics of the projector.
type metrics struct {
	deltas, bytes, bases, jumps, divergence prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, p *Projector) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		deltas:     counter("gatehouse_permissions_deltas_total", "Permission deltas that this instance published."),
		bytes:      counter("gatehouse_permissions_published_bytes_total", "Bytes of permission deltas that this instance published."),
		bases:      counter("gatehouse_permissions_bases_total", "Bases of permissions that this instance wrote."),
		jumps:      counter("gatehouse_permissions_jumps_total", "Times that waiting permission deltas were merged as there were too many."),
		divergence: counter("gatehouse_permissions_divergence_total", "Times that published permissions differed from those made from the ledger."),
	}
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_permissions_lag_seconds",
		Help: "How long the oldest permission delta has waited to be published."}, func() float64 {
		var oldest time.Duration
		for _, l := range p.Lags() {
			oldest = max(oldest, l.Oldest)
		}
		return oldest.Seconds()
	})
	reg.MustRegister(m.deltas, m.bytes, m.bases, m.jumps, m.divergence, lag)
	return m
}

// published counts a delta and returns its size.
func (m *metrics) published(bodies [][]byte) (size int) {
	for _, b := range bodies {
		size += len(b)
	}
	m.deltas.Inc()
	m.bytes.Add(float64(size))
	return size
}
