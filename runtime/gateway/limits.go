package gateway

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway/limit"
	"github.com/msctl/msctl/runtime/principal"
)

// Rate limits how many requests each caller may send. A caller may send Burst requests at once,
// and Limit per Period in the long run: what it has used comes back evenly, not at the end of the
// period, so there is no moment at which it may send twice as many.
type Rate struct {
	Limit  int           // requests per Period; greater than 0
	Period time.Duration // greater than 0
	Burst  int           // 0 is Limit
	// Name distinguishes several limits of a route, in their headers and their counters. Empty is
	// "default", whose X-RateLimit headers have no suffix, as in NestJS's throttler.
	Name string
	// AllRoutes makes all routes that have this limit count together. Otherwise, each route
	// counts by itself, as in NestJS's throttler.
	AllRoutes bool
	// By returns the key of the request's caller; requests with an empty one are not limited.
	// The context of the request has its principal and its address ([ClientAddress]). If By is
	// nil, the caller is the principal or, if it is anonymous, its address.
	By func(*http.Request) string
}

// RateOption limits the rate of requests: see [WithRateLimit].
type RateOption interface {
	GatewayOrRouteOption
	OperationOption
}

// WithRateLimit limits how many requests each caller may send to a route or an operation; it rejects
// others with status 429. All of the rates apply. On a route, they replace those of the
// gateway, and without any, the route has no limit. By default, there is none. WithRateLimit
// panics if a rate is not valid, or if two have the same name.
//
// The caller is known by then, but not whether it may use the route: those with wrong
// credentials are limited by their address. To limit them before their credentials are checked,
// see [WithAddressLimit].
func WithRateLimit(rates ...Rate) RateOption {
	names, rates := map[string]bool{}, slices.Clone(rates)
	for i := range rates {
		rates[i] = rates[i].checked()
		if names[rates[i].Name] {
			panic(fmt.Sprintf("gateway: WithRateLimit: duplicate rate %q", rates[i].Name))
		}
		names[rates[i].Name] = true
	}
	return rateOption(rates)
}

type rateOption []Rate

func (o rateOption) applyGateway(g *Gateway)     { g.limits.rates = o }
func (o rateOption) applyRoute(r *route)         { r.access.rates = o }
func (o rateOption) applyOperation(p *operation) { p.access.rates = o }

// checked returns the rate with its defaults. It panics if the rate is not valid.
func (r Rate) checked() Rate {
	r.Burst, r.Name = cmp.Or(r.Burst, r.Limit), cmp.Or(r.Name, "default")
	valid := r.Limit > 0 && r.Burst > 0 && r.Period/time.Duration(max(r.Limit, 1)) > 0
	if !valid || strings.ContainsFunc(r.Name, func(c rune) bool { return !plausible(string(c)) }) {
		panic(fmt.Sprintf("gateway: invalid rate limit %q: %d per %s with a burst of %d", r.Name, r.Limit, r.Period, r.Burst))
	}
	return r
}

// WithAddressLimit limits how many requests may come from one address, for all routes together.
// It counts before the credentials are checked, including requests without a route, but not the
// health checks and the documentation. Many users may share an address, so it should be higher
// than the limits of callers. AllRoutes and By are ignored. By default, there is none.
func WithAddressLimit(r Rate) Option {
	r.Name, r.AllRoutes = cmp.Or(r.Name, "address"), false
	r = r.checked()
	return gatewayOption(func(g *Gateway) { g.limits.address = &r })
}

// WithTrustedProxies sets the addresses of the proxies in front of the gateway, of which it accepts
// X-Forwarded-For. By default, it accepts the header of none, and a client's address is that of
// its connection.
func WithTrustedProxies(prefixes ...netip.Prefix) Option {
	return gatewayOption(func(g *Gateway) { g.limits.proxies = append(g.limits.proxies, prefixes...) })
}

// Outage is what the rate limits do while the [Store] that several gateways share is not
// available: see [WithOutage].
type Outage struct {
	fallback limit.Fallback
	gateways int
}

// LimitLocally makes each of several gateways apply its part of the limits by itself. With one
// gateway, or an unknown number, the number is 1: then each applies the whole limit.
func LimitLocally(gateways int) Outage { return Outage{limit.InMemory, gateways} }

// AdmitAll makes the gateways limit nothing.
func AdmitAll() Outage { return Outage{fallback: limit.Admit} }

// RejectAll makes requests to limited routes fail with status 503.
func RejectAll() Outage { return Outage{fallback: limit.Reject} }

// WithOutage sets what the rate limits do while their store is not available. The default is
// LimitLocally(1).
func WithOutage(o Outage) Option {
	return gatewayOption(func(g *Gateway) { g.limits.outage = o })
}

// ClientAddress returns the address of the client whose request ctx belongs to, behind the proxies
// of [WithTrustedProxies]. It is invalid if ctx does not belong to a request.
func ClientAddress(ctx context.Context) netip.Addr { return exchangeOf(ctx).client }

// limits are the rate limits of a gateway.
type limits struct {
	warned  sync.Once // about a proxy that is not trusted
	rates   []Rate    // of the routes that have none of their own
	address *Rate
	proxies limit.Proxies
	outage  Outage

	limiters *limit.Limiters
	before   *rateLimit // of addresses; nil for none
}

// clientOf returns the address of a request's client. A gateway behind a proxy that it does not trust
// takes all clients for one, so it warns.
func (g *Gateway) clientOf(req *http.Request) netip.Addr {
	l := &g.limits
	if len(l.proxies) == 0 && len(l.rates) > 0 && req.Header.Get("X-Forwarded-For") != "" {
		l.warned.Do(func() {
			g.log.WarnContext(req.Context(), "X-Forwarded-For is ignored, because no proxies are trusted: see WithTrustedProxies", "peer", req.RemoteAddr)
		})
	}
	return l.proxies.Client(req)
}

// rateLimit is one limit of one route.
type rateLimit struct {
	Rate

	limiter *limit.Limiter
	scope   string // what all keys begin with
	policy  string // the header RateLimit-Policy
	// The names of throttler's headers, in canonical form.
	headerLimit, headerRemaining, headerReset, headerRetry string
}

// start creates the limiters, once the options have set the store.
func (l *limits) start(g *Gateway) {
	l.limiters = limit.NewLimiters(g.store, l.outage.fallback, l.outage.gateways)
	if l.address != nil {
		l.before = l.limit(g.name, "*", *l.address) // apart from the rates with AllRoutes
	}
}

// limit returns the limit that a rate is for a route, which is a method and a path.
func (l *limits) limit(gateway, route string, r Rate) *rateLimit {
	if r.AllRoutes {
		route = ""
	}
	limiter, err := l.limiters.New(limit.Quota{Requests: r.Limit, Period: r.Period, Burst: r.Burst})
	if err != nil {
		panic(fmt.Sprintf("gateway: rate limit %q: %v", r.Name, err)) // the options have checked it
	}
	named := func(header string) string {
		if r.Name != "default" {
			header += "-" + r.Name
		}
		return http.CanonicalHeaderKey(header)
	}
	return &rateLimit{
		Rate: r, limiter: limiter,
		// The counter of one rate means nothing to another one.
		scope:       fmt.Sprintf("%s %s %s %d/%s/%d ", gateway, route, r.Name, r.Limit, r.Period, r.Burst),
		policy:      fmt.Sprintf("%q;q=%d;w=%d", r.Name, r.Limit, seconds(r.Period)),
		headerLimit: named("X-RateLimit-Limit"), headerRemaining: named("X-RateLimit-Remaining"), headerReset: named("X-RateLimit-Reset"),
		headerRetry: named("Retry-After"),
	}
}

// rateHeaders are those of throttler, for documentation.
var rateHeaders = []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}

// limitsOf returns the limits of an operation. Pages of other origins may read their headers.
func (g *Gateway) limitsOf(op *huma.Operation, rates []Rate) []*rateLimit {
	var all []*rateLimit
	for _, r := range rates {
		l := g.limits.limit(g.name, op.Method+" "+op.Path, r)
		all = append(all, l)
		g.cors.expose("RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
			l.headerLimit, l.headerRemaining, l.headerReset, l.headerRetry)
	}
	return all
}

// key returns the key of a request's caller.
func (l *rateLimit) key(req *http.Request, caller *principal.Principal) string {
	switch {
	case l.By != nil && caller != nil:
		return l.By(req.WithContext(principal.NewContext(req.Context(), caller)))
	case l.By != nil:
		return l.By(req)
	case caller != nil:
		return "subject " + caller.Issuer + " " + caller.Subject
	}
	return addressKey(req)
}

func addressKey(req *http.Request) string {
	return "address " + limit.Group(ClientAddress(req.Context())).String()
}

// count counts a request in the limits of its route, and sets their headers. It returns the reason
// why the request is rejected, or nil.
func (g *Gateway) count(w http.ResponseWriter, req *http.Request, caller *principal.Principal, limits []*rateLimit) *problem {
	h := w.Header()
	least := math.MaxInt
	for _, l := range limits {
		key := l.key(req, caller)
		if key == "" {
			continue
		}
		r, problem := l.take(req.Context(), key)
		if r.Limit > 0 {
			l.show(h, r, r.Limited || r.Remaining < least)
			least = min(least, r.Remaining)
		}
		if problem != nil {
			return problem
		}
	}
	return nil
}

// countAddress counts a request in the limit of its address. Responses to those that it admits do
// not show it, because it has nothing to do with their caller.
func (g *Gateway) countAddress(w http.ResponseWriter, req *http.Request) *problem {
	l := g.limits.before
	if l == nil {
		return nil
	}
	r, problem := l.take(req.Context(), addressKey(req))
	if r.Limited {
		l.show(w.Header(), r, true)
	}
	return problem
}

// take counts a request of a caller. The result is zero if it could not be counted.
func (l *rateLimit) take(ctx context.Context, key string) (limit.Result, *problem) {
	r, err := l.limiter.Take(ctx, l.scope+key)
	switch {
	case err != nil && ctx.Err() != nil:
		return limit.Result{}, problemOf(ctx, err)
	case err != nil:
		return limit.Result{}, newProblem(http.StatusServiceUnavailable, "Requests cannot be counted at the moment").because(err)
	case r.Limited:
		return r, limitedProblem()
	}
	return r, nil
}

// show sets the headers of a limit. Those without a name for each limit show the tightest one.
func (l *rateLimit) show(h http.Header, r limit.Result, tightest bool) {
	total, remaining, reset := strconv.Itoa(r.Limit), strconv.Itoa(r.Remaining), strconv.Itoa(seconds(r.Reset))
	h["Ratelimit-Policy"] = append(h["Ratelimit-Policy"], l.policy)
	h["Ratelimit"] = append(h["Ratelimit"], strconv.Quote(l.Name)+";r="+remaining+";t="+reset)
	h[l.headerLimit], h[l.headerRemaining], h[l.headerReset] = []string{total}, []string{remaining}, []string{reset}
	if tightest {
		h["Ratelimit-Limit"], h["Ratelimit-Remaining"], h["Ratelimit-Reset"] = []string{total}, []string{remaining}, []string{reset}
	}
	if r.Limited {
		retry := []string{strconv.Itoa(seconds(r.Retry))}
		h["Retry-After"], h[l.headerRetry] = retry, retry
	}
}

// seconds rounds up.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
