package gateway

import (
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/msctl/msctl/runtime/gateway/internal/sse"
	"github.com/msctl/msctl/runtime/gateway/memory"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/principal"
	"github.com/msctl/msctl/runtime/tap"
	"github.com/msctl/msctl/runtime/validate"
)

// Gateway serves HTTP. Create it with [New], add routes, then call Serve. Routes are
// added by one goroutine, before the first request.
type Gateway struct {
	name, version, description string
	log                        *slog.Logger
	timeout                    time.Duration
	bodyLimit                  int64
	unknown, unknownQuery      validate.Unknown
	types                      []string
	strictPaths                bool
	compression                int      // the size from which responses are compressed; 0 for none
	paths                      []string // of all routes
	cors                       corsConfig
	servers                    []string
	noDocs                     bool
	health                     []healthTarget
	healthSummary              bool
	serving                    serveConfig
	tls                        tlsConfig
	events                     EventStream
	watched                    *sse.Budget // of all streams of events
	own                        []string    // targets of the gateway's own routes
	public                     bool
	authenticators             []Authenticator
	principals                 *principal.Key
	middleware                 []func(http.Handler) http.Handler
	observe                    observer // nil for none
	store                      Store
	errors                     errorForm
	limits                     limits
	idempotency                *Idempotency              // nil without
	newPlaces                  func() ConcurrencyLimiter // nil for no limit
	places                     map[*micro.Client]ConcurrencyLimiter

	names namer

	api  huma.API
	mux  *http.ServeMux
	root http.Handler
	once sync.Once // creates root

	draining  atomic.Bool   // responses carry "Connection: close"
	listening atomic.Bool   // the socket is open
	stopping  chan struct{} // closed to end streams of events
	stop      func()        // closes stopping
}

// New returns a gateway without routes; name is the title of its documentation.
func New(name string, opts ...Option) *Gateway {
	g := &Gateway{
		name:      name,
		version:   "0.0.0",
		log:       slog.Default(),
		timeout:   10 * time.Second,
		bodyLimit: 1 << 20,
		types:     []string{"application/json"},

		unknownQuery: validate.Strip,
		serving:      defaultServeConfig(),
		events:       defaultEventStream(),
		stopping:     make(chan struct{}),
		mux:          http.NewServeMux(),
	}
	g.stop = sync.OnceFunc(func() { close(g.stopping) })
	WithConcurrency(DefaultConcurrency).applyGateway(g)
	for _, o := range opts {
		o.applyGateway(g)
	}
	if reporter := tap.Default(); reporter != nil {
		g.observe = reported(reporter, g.observe)
	}
	if g.store == nil {
		g.store = memory.New(memory.Limits{})
	}
	g.watched = sse.NewBudget(g.events.Total)
	g.limits.start(g)
	g.api = huma.NewAPI(g.humaConfig(), guardedAdapter{humago.NewAdapter(g.mux, ""), g})
	if !g.noDocs {
		g.addDocs()
	}
	g.addHealth()
	return g
}

// OwnTargets returns the targets of the routes that every gateway has: its documentation
// and its health checks. A route that conflicts with one of them panics.
func OwnTargets() []string { return New("").own }

// Handler returns the gateway as an http.Handler, for tests and for an HTTP server of your own.
// A request passes through correlation, recovery, and the log; compression and CORS; the middleware of
// [WithMiddleware]; and the access of its route.
func (g *Gateway) Handler() http.Handler {
	g.once.Do(func() {
		handler := g.routed(g.mux)
		for _, wrap := range slices.Backward(g.middleware) {
			handler = wrap(handler)
		}
		handler = g.compressed(g.cors.wrap(handler))
		g.root = g.observed(handler)
	})
	return g.root
}
