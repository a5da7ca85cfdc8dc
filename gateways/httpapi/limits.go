package httpapi

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBody is the greatest size of the body of a request in bytes.
const maxBody = 1 << 20

// Limits bound what callers may take. Zero values mean the defaults.
type Limits struct {
	PerToken   Rate // requests of one token; default 500 a second, 1,000 at once
	PerRemote  Rate // requests without a good token from one address; default 20 a second, 60 at once
	Concurrent int  // requests at the same time; default 256
}

// Rate is how many requests a second are answered on average, and how many at
// once.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (l Limits) withDefaults() Limits {
	if l.PerToken == (Rate{}) {
		l.PerToken = Rate{500, 1000}
	}
	if l.PerRemote == (Rate{}) {
		l.PerRemote = Rate{20, 60}
	}
	if l.Concurrent == 0 {
		l.Concurrent = 256
	}
	return l
}

// maxLimited is how many keys a limiter remembers. The one that was not seen for
// the longest time is forgotten first, and begins anew with a full burst.
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
func (l *limiter) allow(key string) bool {
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
	return e.Value.(*limited).bucket.AllowN(l.now(), 1)
}

func rateLimited() *Problem {
	return problem(http.StatusTooManyRequests, "rate_limited", "too many requests; wait a second, and send lists of commands instead of single ones").retry("1")
}

// remote is the network that a request comes from: an IPv4 address, or the /64 of
// an IPv6 one, which a single subscriber has to itself.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
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
// twice, of which a reader would take the first or the last as it likes.
func (a *API) singleParameters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			a.fail(w, r, malformed("query", "it cannot be read; values are percent-encoded and parameters joined by &"))
			return
		}
		for name, values := range query {
			if len(values) > 1 {
				a.fail(w, r, malformed("query."+name, "it is given more than once; give it once"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// bounded bounds the size of bodies and the number of requests at the same time.
// Whether the instance lives is answered in any case.
func (a *API) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		select {
		case a.slots <- struct{}{}:
			defer func() { <-a.slots }()
			next.ServeHTTP(w, r)
		default:
			a.fail(w, r, problem(http.StatusServiceUnavailable, "busy", "this instance answers as many requests as it can; try again").retry("1"))
		}
	})
}
