package httpapi

import (
	"cmp"
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"gatehouse/eventstore/budget"
)

// Limits bound what callers may take. Zero values mean the defaults.
type Limits struct {
	PerToken   Rate // requests of one token; default 500 a second, 1,000 at once
	PerPerson  Rate // of all tokens of one person; default as PerToken
	PerOrg     Rate // of all tokens of one org; default four times PerToken
	Questions  Rate // of batches of questions, of one token and of one person, an org four times it; default 20,000 a second, 20,000 at once
	PerUrgent  Rate // of one person's commands that take access away, beside the others; default 100 a second, 200 at once
	PerRemote  Rate // requests without a good token from one address; default 20 a second, 60 at once
	Concurrent int  // requests that are answered at the same time, beside those that take access away; default 256

	Connections          int // default 2,000
	ConnectionsOfAddress int // of one address, or /64; default three quarters of Connections
}

// Rate is how many requests a second are answered on average, and how many at
// once.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (r Rate) orElse(other Rate) Rate {
	if r == (Rate{}) {
		return other
	}
	return r
}

func (l Limits) withDefaults() Limits {
	l.PerToken = l.PerToken.orElse(Rate{500, 1000})
	l.PerPerson = l.PerPerson.orElse(l.PerToken)
	l.PerOrg = l.PerOrg.orElse(Rate{4 * l.PerToken.PerSecond, 4 * l.PerToken.Burst})
	l.Questions = l.Questions.orElse(Rate{20_000, 20_000})
	l.PerUrgent = l.PerUrgent.orElse(Rate{100, 200})
	l.PerRemote = l.PerRemote.orElse(Rate{20, 60})
	l.Concurrent = cmp.Or(l.Concurrent, 256)
	l.Connections = cmp.Or(l.Connections, 2000)
	l.ConnectionsOfAddress = cmp.Or(l.ConnectionsOfAddress, max(1, l.Connections*3/4))
	return l
}

// maxLimited is how many keys a limiter remembers. The one that was not seen for
// the longest time is forgotten first, and starts over with a full burst.
const maxLimited = 10_000

// limiter bounds the rate of requests per key.
type limiter struct {
	rate Rate
	now  func() time.Time

	mu   sync.Mutex // guards what follows
	keys map[string]*list.Element
	seen *list.List // of *limited, the latest first
}

type limited struct {
	key    string
	bucket *rate.Limiter
}

func newLimiter(r Rate, now func() time.Time) *limiter {
	return &limiter{rate: r, now: now, keys: map[string]*list.Element{}, seen: list.New()}
}

// allow reports whether a request of the key may go on.
func (l *limiter) allow(key string) bool { return l.allowN(key, 1) }

// allowN reports whether n things of the key may go on; none of them count when not.
func (l *limiter) allowN(key string, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.keys[key]
	if !ok {
		if l.seen.Len() >= maxLimited {
			oldest := l.seen.Back()
			delete(l.keys, oldest.Value.(*limited).key)
			l.seen.Remove(oldest)
		}
		e = l.seen.PushFront(&limited{key, rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)})
		l.keys[key] = e
	}
	l.seen.MoveToFront(e)
	return e.Value.(*limited).bucket.AllowN(l.now(), n)
}

// rates bound how often callers ask. A token that a person issues to themselves adds
// nothing to what the person may.
type rates struct {
	token, person, org, urgent, remote, falseCodes *limiter
	questions, questionsOfPerson, questionsOfOrg   *limiter
}

func newRates(l Limits, now func() time.Time) rates {
	of := func(r Rate) *limiter { return newLimiter(r, now) }
	return rates{of(l.PerToken), of(l.PerPerson), of(l.PerOrg), of(l.PerUrgent), of(l.PerRemote), of(falseCodes),
		of(l.Questions), of(l.Questions), of(Rate{4 * l.Questions.PerSecond, 4 * l.Questions.Burst})}
}

// exceeded names the rate that a caller's request exceeds; empty means none. Urgent
// requests have a rate of their own, and share that of the rest beyond it.
func (r *rates) exceeded(c *caller, urgent bool) budget.Share {
	org := string(c.org)
	person := org + "/" + string(c.person)
	switch {
	case urgent && r.urgent.allow(person):
	case !r.token.allow(org + "/" + string(c.token)):
		return budget.ShareToken
	case c.bootstrap:
	case !r.person.allow(person):
		return budget.SharePerson
	case !r.org.allow(org):
		return budget.ShareOrg
	}
	return ""
}

// questionsExceeded names the rate that n questions of a batch exceed; empty means none.
func (r *rates) questionsExceeded(c *caller, n int) budget.Share {
	org := string(c.org)
	switch {
	case !r.questions.allowN(org+"/"+string(c.token), n):
		return budget.ShareToken
	case !r.questionsOfPerson.allowN(org+"/"+string(c.person), n):
		return budget.SharePerson
	case !r.questionsOfOrg.allowN(org, n):
		return budget.ShareOrg
	}
	return ""
}

// tooManyQuestions refuses a batch that is above a rate.
func (a *API) tooManyQuestions(share budget.Share) *Problem {
	a.cfg.Store.Budgets().Refused.WithLabelValues("questions", string(share)).Inc()
	return problem(http.StatusTooManyRequests, "rate_limited", "too many questions of this %s; wait a second, or send smaller batches", share).retry("1")
}

// shareAddress is the share of those who have no good token.
const shareAddress budget.Share = "address"

// shareGateway is the share of those who present no good code of one gateway.
const shareGateway budget.Share = "gateway"

// rateLimited refuses a request that is above a rate.
func (a *API) rateLimited(share budget.Share) *Problem {
	a.cfg.Store.Budgets().Refused.WithLabelValues("rate", string(share)).Inc()
	return problem(http.StatusTooManyRequests, "rate_limited",
		"too many requests of this %s; wait a second, and send lists of commands instead of single ones", share).retry("1")
}

// remote is the network that a request comes from.
func remote(r *http.Request) string { return network(r.RemoteAddr) }

// network is that of an address: itself of IPv4, and of IPv6 its /64, which a single
// subscriber has to itself.
func network(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	net, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return net.String()
}

// singleParameters refuses a query that cannot be read, and one that gives a parameter
// twice. Of two, one reader takes the first and another the last.
func (a *API) singleParameters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			a.fail(w, r, malformed("query", "cannot be read; percent-encode values and join parameters with &"))
			return
		}
		for name, values := range query {
			if len(values) > 1 {
				a.fail(w, r, malformed("query."+name, "given more than once; give it once"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
