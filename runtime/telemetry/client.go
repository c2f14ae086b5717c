package telemetry

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// Client observes the messages of a client to a service, and makes it follow a policy, whose
// attempts, budget, and breaker are counted; nil is no policy. With traces, each message gets a
// span, which travels with it. Use it in place of the policy, as the first option. to names the
// service in metrics and traces.
func (t *Telemetry) Client(to string, p *policy.Policy) micro.ClientOption {
	c := t.clients.of(to)
	observe := micro.WithInterceptors(func(next micro.Handler) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) (err error) {
			if reserved(req.Pattern) {
				return next(ctx, req, reply)
			}
			m := c.of(req.Pattern, req.Event)
			m.inFlight.Inc()
			start := time.Now()
			ctx, span := t.startClientSpan(ctx, req, to, m.pattern)
			err = errPanic
			defer func() {
				outcome := sent(err)
				m.inFlight.Dec()
				m.seconds.Observe(time.Since(start).Seconds())
				m.count(outcome)
				endSpan(span, err, outcome)
			}()
			return next(ctx, req, reply)
		}
	})
	if p == nil {
		return observe
	}
	p = p.With(policy.WithHooks(c.hooks()))
	t.clients.follow(to, p)
	return micro.ClientOptions(observe, p)
}

// reserved reports whether a pattern is one of those that every server handles, such as those of
// health checks, which are neither counted nor traced.
func reserved(p micro.Pattern) bool {
	for _, r := range []micro.Pattern{micro.HealthPattern, micro.DescribePattern} {
		if p == r || strings.HasPrefix(p.Route(), r.Route()+".") {
			return true
		}
	}
	return false
}

// maxPatterns limits the patterns of one client that are counted by name. A program has fewer,
// unless it forwards messages with any pattern.
const maxPatterns = 200

// clients are the metrics of all clients, by the name of the service. It is the collector of
// the state of their policies. The zero value requires metrics.
type clients struct {
	metrics *metrics

	mu       sync.Mutex // guards the following
	known    map[string]*client
	policies map[string]*policy.Policy
}

// of returns the metrics of the clients of a service.
func (c *clients) of(to string) *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]*client{}
	}
	if c.known[to] == nil {
		c.known[to] = &client{to: to, metrics: c.metrics, known: map[handlerKey]*clientSeries{}, patterns: map[string]bool{}}
	}
	return c.known[to]
}

// follow makes a policy's state part of the metrics, that of the latest for a service.
func (c *clients) follow(to string, p *policy.Policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.policies == nil {
		c.policies = map[string]*policy.Policy{}
	}
	c.policies[to] = p
}

var (
	breakerState = prometheus.NewDesc("msctl_client_breaker_state", "State of the breaker: 0 closed, 1 open, 2 half-open.", []string{"to"}, nil)
	retryBudget  = prometheus.NewDesc("msctl_client_retry_budget", "Retries that the budget permits now; +Inf without a budget.", []string{"to"}, nil)
)

// Describe is a method of prometheus.Collector.
func (c *clients) Describe(out chan<- *prometheus.Desc) {
	out <- breakerState
	out <- retryBudget
}

// Collect is a method of prometheus.Collector.
func (c *clients) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for to, p := range c.policies {
		state := p.State()
		out <- prometheus.MustNewConstMetric(breakerState, prometheus.GaugeValue, float64(state.Breaker), to)
		out <- prometheus.MustNewConstMetric(retryBudget, prometheus.GaugeValue, state.Retries, to)
	}
}

// client are the metrics of the clients of one service.
type client struct {
	to      string
	metrics *metrics

	mu       sync.RWMutex // guards the following
	known    map[handlerKey]*clientSeries
	patterns map[string]bool // the labels of known, up to maxPatterns
}

// clientSeries are the metrics of the messages with one pattern.
type clientSeries struct {
	series
	attempts series // only its outcomes
}

func (c *client) of(p micro.Pattern, event bool) *clientSeries {
	key := handlerKey{p, event}
	c.mu.RLock()
	s := c.known[key]
	c.mu.RUnlock()
	if s != nil {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.known[key]; s != nil {
		return s
	}
	name := label(p)
	if !c.patterns[name] && len(c.patterns) >= maxPatterns {
		name, key = other, handlerKey{event: event}
		if s := c.known[key]; s != nil {
			return s
		}
	}
	c.patterns[name] = true
	s = c.newSeries(name, kindOf(event))
	c.known[key] = s
	return s
}

func (c *client) newSeries(pattern, kind string) *clientSeries {
	m := c.metrics
	return &clientSeries{
		series: series{
			pattern:  pattern,
			inFlight: m.requestInFlight.WithLabelValues(c.to, pattern, kind),
			seconds:  m.requestSeconds.WithLabelValues(c.to, pattern, kind),
			counters: func(outcome string) prometheus.Counter {
				return m.requests.WithLabelValues(c.to, pattern, kind, outcome)
			},
		},
		attempts: series{counters: func(outcome string) prometheus.Counter {
			return m.attempts.WithLabelValues(c.to, pattern, outcome)
		}},
	}
}

// hooks counts what a policy does.
func (c *client) hooks() policy.Hooks {
	m := c.metrics
	return policy.Hooks{
		Ended: func(ctx context.Context, a policy.Attempt) {
			if reserved(a.Request.Pattern) {
				return
			}
			s := c.of(a.Request.Pattern, a.Request.Event)
			s.attempts.count(sent(a.Err))
			switch {
			case a.Hedge:
				m.hedges.WithLabelValues(c.to, s.pattern).Inc()
			case a.Number > 1:
				m.retries.WithLabelValues(c.to, s.pattern).Inc()
			}
			attemptEvent(ctx, a)
		},
		Late: func(_ context.Context, l policy.Late) {
			if reserved(l.Request.Pattern) {
				return
			}
			m.late.WithLabelValues(c.to, c.of(l.Request.Pattern, l.Request.Event).pattern).Inc()
		},
		Refused: func(_ context.Context, r policy.Refusal) {
			if reserved(r.Request.Pattern) {
				return
			}
			reason := "breaker"
			if r.Why == policy.OverBudget {
				reason = "budget"
			}
			m.refused.WithLabelValues(c.to, c.of(r.Request.Pattern, r.Request.Event).pattern, reason).Inc()
		},
		Breaker: func(_ context.Context, b policy.BreakerChange) {
			m.breaker.WithLabelValues(c.to, b.State.String()).Inc()
		},
	}
}
