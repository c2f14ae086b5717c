package gateway

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/rs/cors"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/validate"
)

// Gateway serves HTTP. Make it with New, add routes, then Serve. Adding is for
// one goroutine and ends before the first request.
type Gateway struct {
	name, version, description string
	log                        *slog.Logger
	timeout                    time.Duration
	bodyLimit                  int64
	unknown                    validate.Unknown
	cors                       *cors.Options
	servers                    []string
	noDocs                     bool
	health                     []healthTarget
	serving                    serveConfig

	api  huma.API
	mux  *http.ServeMux
	root http.Handler
	once sync.Once // makes root

	draining atomic.Bool // responses tell their connections to close
}

// Option configures New.
type Option func(*Gateway)

// New makes a gateway without routes; name is the title of its documentation.
func New(name string, opts ...Option) *Gateway {
	g := &Gateway{
		name:      name,
		version:   "0.0.0",
		log:       slog.Default(),
		timeout:   10 * time.Second,
		bodyLimit: 1 << 20,
		serving:   defaultServeConfig(),
		mux:       http.NewServeMux(),
	}
	for _, o := range opts {
		o(g)
	}
	g.api = humago.New(g.mux, g.humaConfig())
	if !g.noDocs {
		g.addDocs()
	}
	g.addHealth()
	return g
}

// WithLogger sets where the gateway logs. The default is slog.Default().
func WithLogger(log *slog.Logger) Option { return func(g *Gateway) { g.log = log } }

// WithVersion sets the version and a description (Markdown) for the docs.
func WithVersion(version, description string) Option {
	return func(g *Gateway) { g.version, g.description = version, description }
}

// WithRequestTimeout bounds the work for each request, once it has been read,
// where the route says nothing else ([WithTimeout]). The default is 10 s.
func WithRequestTimeout(d time.Duration) Option {
	return func(g *Gateway) {
		if d > 0 {
			g.timeout = d
		}
	}
}

// WithBodyLimit bounds request bodies in bytes; larger ones are answered with
// 413. The default is 1 MiB.
func WithBodyLimit(bytes int64) Option { return func(g *Gateway) { g.bodyLimit = bytes } }

// WithUnknownMembers says what becomes of members and query parameters that a
// route's data does not have, on all routes. The default is validate.Forbid.
func WithUnknownMembers(u validate.Unknown) Option { return func(g *Gateway) { g.unknown = u } }

// WithCORS lets pages of other origins use the API: "https://shop.example", or
// "*" for any. Without it, or with no origin, none may.
func WithCORS(origins ...string) Option {
	return func(g *Gateway) {
		if len(origins) == 0 {
			g.cors = nil
			return
		}
		g.cors = &cors.Options{
			AllowedOrigins: origins,
			AllowedMethods: []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"},
			AllowedHeaders: []string{"Authorization", "Content-Type", headerCorrelation, headerTraceparent},
			ExposedHeaders: []string{headerCorrelation, "Retry-After"},
			MaxAge:         600,
		}
	}
}

// WithoutDocs leaves the docs and the OpenAPI document out.
func WithoutDocs() Option { return func(g *Gateway) { g.noDocs = true } }

// WithServers names the URLs of the API for the docs; by default they use the
// address they were loaded from.
func WithServers(urls ...string) Option { return func(g *Gateway) { g.servers = urls } }

// WithHealth adds a service to /health: it is asked for its health answer. A
// service that does not know that pattern but says so is up, too.
func WithHealth(name string, service *micro.Client) Option {
	return withHealth(name, service, micro.HealthPattern)
}

// WithHealthOf is WithHealth for a service that shares a broker with others. It
// is asked by its name, micro.HealthOf(name), so that no other answers for it:
// name is the one that its server was given with micro.WithName.
func WithHealthOf(name string, service *micro.Client) Option {
	return withHealth(name, service, micro.HealthOf(name))
}

func withHealth(name string, service *micro.Client, pattern micro.Pattern) Option {
	return func(g *Gateway) { g.health = append(g.health, healthTarget{name, service, pattern}) }
}

// API returns the huma API under the gateway, for HTTP operations that are no
// messages: huma.Register(gw.API(), …). Errors of those operations have NestJS'
// form as well.
func (g *Gateway) API() huma.API { return g.api }

// Handler returns the gateway as a handler, with everything around the routes:
// for tests, or for a server of your own.
func (g *Gateway) Handler() http.Handler {
	g.once.Do(func() {
		handler := g.routed(g.mux)
		if g.cors != nil {
			handler = cors.New(*g.cors).Handler(handler)
		}
		g.root = g.observed(handler)
	})
	return g.root
}
