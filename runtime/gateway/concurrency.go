package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/msctl/msctl/runtime/micro"
)

// Priority is the priority of a route's requests while a service is overloaded: see
// [WithPriority].
type Priority int8

const (
	// PriorityLow is for requests that can be sent again later: they are admitted while fewer
	// than half of the places for a service are taken.
	PriorityLow Priority = iota - 1
	// PriorityNormal is the default: requests are admitted while a place is free.
	PriorityNormal
	// PriorityHigh is for requests that must survive: there are as many places again for them.
	PriorityHigh
)

// WithPriority sets which requests are rejected first while a service is overloaded. The default
// is PriorityNormal.
func WithPriority(p Priority) RouteOption {
	return routeOption(func(r *route) { r.priority = p })
}

// ConcurrencyLimiter limits how many requests to one service are in progress. Its methods are
// called concurrently.
type ConcurrencyLimiter interface {
	// Acquire takes a place for a request. It never waits: ok is false if there is no place for
	// one of its priority. release is called once, when the request has ended; answered is
	// whether it took as long as the service did, so not if it was canceled or not sent.
	Acquire(Priority) (release func(answered bool), ok bool)
}

// DefaultConcurrency is the number of requests to one service that may be in progress. A service
// that is so slow that there are more is overloaded or stalled: at 1,000 requests per second, a
// request already waits for a second. Those that are admitted anyway would only wait, use
// memory, and be answered too late.
const DefaultConcurrency = 1000

// WithConcurrency limits how many requests to one service may be in progress; it rejects others at
// once with status 503, before their body is read. A stream counts until its first value. Each
// service (client) has a limit of its own, so a stalled service does not affect the others, and
// what needs no service, such as /health/live and the documentation, is not limited. 0 means
// no limit. The default is DefaultConcurrency.
func WithConcurrency(limit int) Option {
	if limit < 0 {
		panic(fmt.Sprintf("gateway: WithConcurrency(%d): must not be negative", limit))
	}
	return gatewayOption(func(g *Gateway) {
		g.newPlaces = func() ConcurrencyLimiter { return &places{limit: int64(limit)} }
		if limit == 0 {
			g.newPlaces = nil
		}
	})
}

// WithConcurrencyLimiter replaces the fixed limit of [WithConcurrency] by limiters of another kind,
// one for each service.
func WithConcurrencyLimiter(create func() ConcurrencyLimiter) Option {
	return gatewayOption(func(g *Gateway) { g.newPlaces = create })
}

// places is a fixed number of places. It is safe for concurrent use.
type places struct {
	limit int64
	taken atomic.Int64
}

func (p *places) Acquire(priority Priority) (func(bool), bool) {
	if p.taken.Add(1) > p.forAll(priority) {
		p.taken.Add(-1)
		return nil, false
	}
	return func(bool) { p.taken.Add(-1) }, true
}

// forAll is how many requests may be in progress, in total, for one of a priority to be admitted.
func (p *places) forAll(priority Priority) int64 {
	switch priority {
	case PriorityLow:
		return max(1, p.limit/2)
	case PriorityHigh:
		return 2 * p.limit
	}
	return p.limit
}

// placesOf returns the limiter for a service; nil for none.
func (g *Gateway) placesOf(service *micro.Client) ConcurrencyLimiter {
	if g.newPlaces == nil {
		return nil
	}
	if g.places == nil {
		g.places = map[*micro.Client]ConcurrencyLimiter{}
	}
	if g.places[service] == nil {
		g.places[service] = g.newPlaces()
	}
	return g.places[service]
}

// errOverloaded is the reason why a request is rejected.
var errOverloaded = fmt.Errorf("%w: too many requests to the service are in progress", micro.ErrShed)

// do sends a message, if there is a place for it, and releases the place after the first value of
// a stream, which may last forever.
func (r *route) do(ctx context.Context, message *micro.Request, reply micro.ReplyFunc) error {
	if r.places == nil {
		return r.client.Do(ctx, message, reply)
	}
	release, ok := r.places.Acquire(r.priority)
	if !ok {
		return errOverloaded
	}
	var once sync.Once
	done := func(answered bool) { once.Do(func() { release(answered) }) }
	defer done(false) // after a panic
	err := r.client.Do(ctx, message, micro.ReplyFunc(func(v micro.Value) error {
		if r.answer == manyValues {
			done(true)
		}
		return reply(v)
	}))
	done(took(ctx, err))
	return err
}

// took reports whether a message took as long as its service did.
func took(ctx context.Context, err error) bool {
	var remote *micro.Error
	return err == nil || errors.As(err, &remote) || timedOut(ctx, err)
}

// crowded reports whether a request would be rejected, so that its body need not be read.
func (r *route) crowded() bool {
	if r.places == nil {
		return false
	}
	release, ok := r.places.Acquire(r.priority)
	if ok {
		release(false)
	}
	return !ok
}

// overloadedProblem is the response to a request that has no place.
func overloadedProblem() *problem {
	return newProblem(http.StatusServiceUnavailable, "The service is overloaded")
}
