package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/validate"
)

// Option configures a gateway: see [New].
type Option interface{ applyGateway(*Gateway) }

// RouteOption configures one route: see [Route], [Stream], and [Event].
type RouteOption interface{ applyRoute(*route) }

// GatewayOrRouteOption configures all routes of a gateway, or one route, where it
// takes precedence.
type GatewayOrRouteOption interface {
	Option
	RouteOption
}

type (
	gatewayOption func(*Gateway)
	routeOption   func(*route)
	scopedOption  struct {
		gateway func(*Gateway)
		route   func(*route)
	}
)

func (f gatewayOption) applyGateway(g *Gateway) { f(g) }
func (f routeOption) applyRoute(r *route)       { f(r) }
func (o scopedOption) applyGateway(g *Gateway)  { o.gateway(g) }
func (o scopedOption) applyRoute(r *route)      { o.route(r) }

// WithLogger sets the logger. The default is slog.Default().
func WithLogger(log *slog.Logger) Option {
	return gatewayOption(func(g *Gateway) { g.log = log })
}

// WithVersion sets the version and the description (Markdown) of the documentation.
func WithVersion(version, description string) Option {
	return gatewayOption(func(g *Gateway) { g.version, g.description = version, description })
}

// WithTimeout limits how long a request may take once its body has been read, with its
// validation; then it fails with status 503. What is left of the time travels with the
// message. The default is 10 s; 0 or less keeps it, and on a route keeps the gateway's.
func WithTimeout(d time.Duration) GatewayOrRouteOption {
	set := func(timeout *time.Duration) {
		if d > 0 {
			*timeout = d
		}
	}
	return scopedOption{func(g *Gateway) { set(&g.timeout) }, func(r *route) { set(&r.timeout) }}
}

// WithUnknown sets what happens to members that a route's input type does not have. The default
// is [validate.Forbid]: status 400. For query parameters, see [WithUnknownQuery].
func WithUnknown(u validate.Unknown) GatewayOrRouteOption {
	return scopedOption{func(g *Gateway) { g.unknown = u }, func(r *route) { r.unknown = u }}
}

// WithUnknownQuery sets what happens to query parameters that a route's input type does not have.
// The default is [validate.Strip], because trackers and caches add parameters of their own.
func WithUnknownQuery(u validate.Unknown) GatewayOrRouteOption {
	return scopedOption{func(g *Gateway) { g.unknownQuery = u }, func(r *route) { r.unknownQuery = u }}
}

// WithContentTypes sets the media types of request bodies, which contain JSON in any case; others
// get status 415. The default is application/json.
func WithContentTypes(types ...string) GatewayOrRouteOption {
	return scopedOption{func(g *Gateway) { g.types = types }, func(r *route) { r.types = types }}
}

// WithStrictPaths makes paths match exactly. By default, as in NestJS, /Items/ matches /items:
// neither case nor a slash at the end matters.
func WithStrictPaths() Option { return gatewayOption(func(g *Gateway) { g.strictPaths = true }) }

// WithBodyLimit limits request bodies, in bytes, as sent and after they are decompressed; larger
// ones get status 413. The default is 1 MiB.
func WithBodyLimit(bytes int64) Option {
	return gatewayOption(func(g *Gateway) { g.bodyLimit = bytes })
}

// WithMiddleware wraps everything that the gateway serves: routes, streams, events, operations,
// its documentation, its health checks, and requests without a route. The first middleware is
// the outermost. Correlation, recovery, the log, draining, and CORS remain outside of it.
func WithMiddleware(list ...func(http.Handler) http.Handler) Option {
	return gatewayOption(func(g *Gateway) { g.middleware = append(g.middleware, list...) })
}

// WithObserver calls observe at the start of every request, before anything else sees it, and
// the function that it returns once at the end, for metrics and traces. The context that it
// returns, derived from that of the request, is the request's, also in its log line; observe
// may change the headers of the request. The function gets the target of the route, such as
// "GET /items/{id}", or "" without one, and the status, or 0 if the response was aborted before
// it had begun. Both are called on the goroutine of the request. By default, there is no
// observer.
func WithObserver(observe func(*http.Request) (context.Context, func(route string, status int))) Option {
	return gatewayOption(func(g *Gateway) { g.observe = observe })
}

// WithoutDocs disables the documentation page and the OpenAPI document.
func WithoutDocs() Option { return gatewayOption(func(g *Gateway) { g.noDocs = true }) }

// WithServers sets the API's URLs in the documentation. By default, the documentation
// uses the address it was loaded from.
func WithServers(urls ...string) Option {
	return gatewayOption(func(g *Gateway) { g.servers = urls })
}

// WithHealth adds a service to /health, which sends it micro.HealthPattern. A service
// that replies that it has no handler for that pattern counts as up.
func WithHealth(name string, service *micro.Client) Option {
	return withHealth(name, service, micro.HealthPattern)
}

// WithHealthOf is [WithHealth] for a service that shares a broker with other services.
// /health sends micro.HealthOf(name), so that no other service replies; name must be
// the name that the service's server has from micro.WithName.
func WithHealthOf(name string, service *micro.Client) Option {
	return withHealth(name, service, micro.HealthOf(name))
}

func withHealth(name string, service *micro.Client, pattern micro.Pattern) Option {
	return gatewayOption(func(g *Gateway) { g.health = append(g.health, healthTarget{name, service, pattern}) })
}

// WithHealthSummary makes /health report only whether all services are up. Without it, the
// report names each service and its checks, which the public need not know. Services that
// are down are logged instead.
func WithHealthSummary() Option { return gatewayOption(func(g *Gateway) { g.healthSummary = true }) }

// WithDrain sets how the gateway stops. During the grace period it still serves, and
// each response closes its connection, so that clients and load balancers move to
// another instance without a failed request. If a supervisor passed the socket in,
// the next process is already accepting from it, and the grace period ends as soon as
// all connections are closed. Afterwards, idle connections are closed, and requests
// in flight have until timeout to finish. HTTP cannot close an idle connection without
// the risk that the client is just using it; a longer grace period makes that rarer.
// The defaults are 1 s and 10 s.
func WithDrain(grace, timeout time.Duration) Option {
	return gatewayOption(func(g *Gateway) { g.serving.grace, g.serving.drain = grace, timeout })
}

// WithServerTimeouts limits how long the gateway reads a request's header and the whole
// request, and how long a connection may be idle. The defaults are 5 s, 30 s, and 2 min.
func WithServerTimeouts(header, whole, idle time.Duration) Option {
	return gatewayOption(func(g *Gateway) { g.serving.header, g.serving.read, g.serving.idle = header, whole, idle })
}

// WithSummary sets the route's short description in the documentation.
func WithSummary(text string) RouteOption {
	return routeOption(func(r *route) { r.op.Summary = text })
}

// WithDescription sets the route's long description (Markdown) in the documentation.
func WithDescription(text string) RouteOption {
	return routeOption(func(r *route) { r.op.Description = text })
}

// WithTags sets the headings that the documentation lists the route under. The default
// is the first segment of its path.
func WithTags(tags ...string) RouteOption {
	return routeOption(func(r *route) { r.op.Tags = tags })
}

// WithDeprecated marks the route as deprecated in the documentation.
func WithDeprecated() RouteOption {
	return routeOption(func(r *route) { r.op.Deprecated = true })
}

// WithOperationID sets the name of the operation in generated clients. The default is
// the name in the pattern, such as createItem for {"cmd":"createItem"}.
func WithOperationID(id string) RouteOption {
	return routeOption(func(r *route) { r.op.OperationID = id })
}

// WithStatus sets the status of a successful response. The defaults are NestJS's: 201
// for POST and 200 otherwise; 202 for events. It panics if status is not between 200
// and 299.
func WithStatus(status int) RouteOption {
	if status < 200 || status > 299 {
		panic(fmt.Sprintf("gateway: WithStatus(%d): must be between 200 and 299", status))
	}
	return routeOption(func(r *route) { r.status = status })
}
