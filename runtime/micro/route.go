package micro

import (
	"reflect"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/wire"
)

type kind uint8

const (
	kindMessage kind = iota // one reply
	kindStream              // any number of replies
	kindEvent               // none
)

func (k kind) String() string { return [...]string{"message", "stream", "event"}[k] }

// route holds the handlers of one pattern.
type route struct {
	message *endpoint
	events  []*endpoint
	speed   speed
}

// endpoint is one registered handler.
type endpoint struct {
	pattern Pattern
	kind    kind
	doc     string
	types   handlerTypes
	handler Handler
	extras  map[any]any // for the transports
	stats   stats
	hidden  bool // a reserved pattern, which is not described
}

// handlerTypes are the types of a handler's data and reply. Each is nil if there is none.
type handlerTypes struct{ in, out reflect.Type }

func types[In, Out any]() handlerTypes {
	return handlerTypes{reflect.TypeFor[In](), reflect.TypeFor[Out]()}
}

// configure merges the server's defaults with a handler's own options.
func (s *Server) configure(opts []HandlerOption) *handlerConfig {
	own := &handlerConfig{}
	for _, o := range opts {
		o.applyHandler(own)
	}
	return &handlerConfig{
		interceptors: join(s.defaults.interceptors, own.interceptors),
		guards:       join(s.defaults.guards, own.guards),
		pipes:        join(s.defaults.pipes, own.pipes),
		filters:      join(own.filters, s.defaults.filters),
		doc:          own.doc,
		extras:       own.extras,
	}
}

func join[T any](a, b []T) []T { return append(a[:len(a):len(a)], b...) }

// register adds a handler with the options h. It panics after Serve.
func (s *Server) register(p Pattern, k kind, h *handlerConfig, t handlerTypes, handler Handler) {
	if p.IsZero() {
		panic("micro: handler registered with the zero Pattern: use Cmd, Name, Fields, or ParsePattern")
	}
	s.mustNotServe()
	ep := &endpoint{pattern: p, kind: k, doc: h.doc, types: t, handler: h.compose(handler), extras: h.extras}
	key := routeKey(p.Route(), p.RouteIsString())
	r := s.routes[key]
	if r == nil {
		r = &route{}
		s.routes[key] = r
	}
	if k == kindEvent {
		r.events = append(r.events, ep)
	} else {
		if r.message != nil {
			s.log.Warn("message handler replaced: another one was registered for the same pattern", "pattern", p.String())
			s.forget(r.message)
		}
		r.message = ep
	}
	s.order = append(s.order, ep)
}

// mustNotServe panics once Serve has been called: from then on the routes are read
// without a lock.
func (s *Server) mustNotServe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving {
		panic("micro: handler registered after Serve: register all handlers first")
	}
}

// routeKey distinguishes the routes of booleans and null from strings with the same text
// (docs/wire.md 2.1).
func routeKey(route string, isString bool) string {
	if isString {
		return route
	}
	return "\x00" + route
}

// unreachable reports whether no message can match the handler, because its pattern is a
// string that the server parses as JSON into another route (docs/wire.md 2.3).
func (ep *endpoint) unreachable() bool {
	route, isString := wire.Route([]byte(ep.pattern.JSON()))
	return routeKey(route, isString) != routeKey(ep.pattern.Route(), ep.pattern.RouteIsString())
}

// forget removes a replaced handler from the list.
func (s *Server) forget(ep *endpoint) {
	for i := range s.order {
		if s.order[i] == ep {
			s.order = append(s.order[:i], s.order[i+1:]...)
			return
		}
	}
}

// speed predicts from recent runs whether a route's handlers will return at once. A
// handler counts as fast after a few fast runs and while slow ones are rare; a single slow
// run may be due to garbage collection or the scheduler. The zero value predicts slow.
type speed struct{ score atomic.Int32 }

const (
	fastRun      = 50 * time.Microsecond // counts 1
	slowRun      = 200 * time.Microsecond
	blockedRun   = time.Millisecond
	slowCost     = 8
	blockedCost  = 64
	fastAfter    = 4 // points
	highestScore = 128
	lowestScore  = -256
)

func (f *speed) fast() bool { return f.score.Load() >= fastAfter }

// learn records the duration of a run. Concurrent runs may lose a count; the score is only
// a prediction, so a plain load and store are enough.
func (f *speed) learn(d time.Duration) {
	score := f.score.Load()
	switch {
	case d > blockedRun:
		f.score.Store(max(score-blockedCost, lowestScore))
	case d > slowRun:
		f.score.Store(max(score-slowCost, lowestScore))
	case d < fastRun && score < highestScore:
		f.score.Store(score + 1)
	}
}
