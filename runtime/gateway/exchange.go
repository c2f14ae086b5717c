package gateway

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/internal/bounded"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/principal"
)

const (
	headerCorrelation = "X-Correlation-Id"
	headerTraceparent = "Traceparent"
)

// exchange is one request and the facts for its log line. The goroutine of the request
// owns it.
type exchange struct {
	correlationID string
	given         bool // the caller sent the correlation ID
	traceparent   string
	route         string               // the matching route; empty for none
	quiet         bool                 // logged at debug level
	principal     *principal.Principal // nil for an anonymous caller
	metadata      map[string]string    // added to that of the message
	client        netip.Addr           // behind proxies
	errors        errorForm
	problem       *problem
	stack         []byte                         // of a panic
	ended         func(route string, status int) // tells the observer; nil for none
}

type exchangeKey struct{}

// exchangeOf returns the exchange in a request's context. Requests that bypassed Handler
// get an empty one.
func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{correlationID: micro.NewCorrelationID()}
}

// CorrelationID returns the correlation ID of the request that ctx belongs to,
// for operations added with API; empty if there is none.
func CorrelationID(ctx context.Context) string {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x.correlationID
	}
	return ""
}

// note records a problem for the log.
func (x *exchange) note(p *problem) { x.problem = p }

// fail writes a problem as the response.
func (x *exchange) fail(w http.ResponseWriter, p *problem) {
	x.note(p)
	w.Header().Del(headerETag)
	if p.status == http.StatusServiceUnavailable && !p.late {
		w.Header().Set("Retry-After", "1")
	}
	writeBody(w, x.errors.contentType(), p.status, x.errors.body(p))
}

// observed is the outermost handler: it handles correlation, panics, the access log, and
// closing connections while the gateway drains.
func (g *Gateway) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(raw http.ResponseWriter, req *http.Request) {
		start := time.Now()
		var ended func(string, int)
		if g.observe != nil {
			var ctx context.Context
			ctx, ended = g.observe(req)
			req = req.WithContext(ctx)
		}
		x := &exchange{errors: g.errors, ended: ended, correlationID: req.Header.Get(headerCorrelation), traceparent: req.Header.Get(headerTraceparent)}
		x.client = g.clientOf(req)
		if x.given = plausible(x.correlationID); !x.given {
			x.correlationID = micro.NewCorrelationID()
		}
		if !plausible(x.traceparent) {
			x.traceparent = ""
		}
		raw.Header().Set(headerCorrelation, x.correlationID)
		maps.Copy(raw.Header(), securityHeaders)
		if g.draining.Load() || ambiguous(req) {
			raw.Header().Set("Connection", "close")
		}
		w := &response{ResponseWriter: raw}
		if req.ProtoMajor == 2 {
			w.stalled = g.serving.stalled
		}
		defer g.finish(w, req, x, start)
		if p := g.oversized(req); p != nil {
			raw.Header().Set("Connection", "close")
			x.fail(w, p)
			return
		}
		next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), exchangeKey{}, x)))
	})
}

// ambiguous reports whether another server may see the end of a request elsewhere: if it has both a
// transfer encoding and a length, or a transfer encoding on several lines. RFC 9112 requires
// that the connection is closed then, and that the rest of it is not taken for requests. Because
// net/http removes the length and joins the lines, this is any HTTP/1 request with a transfer
// encoding. Most clients know the length of what they send.
func ambiguous(req *http.Request) bool { return req.ProtoMajor == 1 && len(req.TransferEncoding) > 0 }

// securityHeaders are those that helmet sets by default, for an API instead of pages. The handler
// of a page replaces the policy. Their lists are shared: a header is replaced, not changed.
var securityHeaders = http.Header{
	"Content-Security-Policy":           {"default-src 'none'; frame-ancestors 'none'"},
	"Cross-Origin-Opener-Policy":        {"same-origin"},
	"Cross-Origin-Resource-Policy":      {"same-origin"},
	"Origin-Agent-Cluster":              {"?1"},
	"Referrer-Policy":                   {"no-referrer"},
	"Strict-Transport-Security":         {"max-age=31536000; includeSubDomains"},
	"X-Content-Type-Options":            {"nosniff"},
	"X-Dns-Prefetch-Control":            {"off"},
	"X-Download-Options":                {"noopen"},
	"X-Frame-Options":                   {"SAMEORIGIN"},
	"X-Permitted-Cross-Domain-Policies": {"none"},
	"X-Xss-Protection":                  {"0"},
}

// plausible reports whether a header's value is safe for logs and messages.
func plausible(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	return strings.IndexFunc(id, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_.:/+=", c))
	}) < 0
}

// finish turns a panic into a 500, logs the request, and tells the observer.
func (g *Gateway) finish(w *response, req *http.Request, x *exchange, start time.Time) {
	p := recover()
	if x.ended != nil {
		defer func() { x.ended(x.route, w.status) }()
	}
	switch {
	case p == http.ErrAbortHandler: //nolint:errorlint // net/http compares the value, too
		panic(p)
	case p != nil:
		x.stack = debug.Stack()
		broken := internalProblem(panicError{p})
		if w.status == 0 {
			x.fail(w, broken)
		} else {
			x.note(broken)
			defer panic(http.ErrAbortHandler) // part of the response has been sent: close the connection, so that it does not look complete
		}
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	g.logRequest(w, req, x, time.Since(start))
}

func (g *Gateway) logRequest(w *response, req *http.Request, x *exchange, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case w.status >= 500:
		level = slog.LevelError
	case x.quiet:
		level = slog.LevelDebug
	}
	if !g.log.Enabled(req.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method),
		slog.String("path", req.URL.Path),
		slog.String("route", x.route),
		slog.Int("status", w.status),
		slog.Int64("bytes", w.bytes),
		slog.Duration("took", took),
		slog.String("correlation_id", x.correlationID),
		slog.String("peer", req.RemoteAddr),
	}
	if len(g.limits.proxies) > 0 {
		attrs = append(attrs, slog.String("client", x.client.String()))
	}
	if x.principal != nil {
		attrs = append(attrs, slog.String("subject", x.principal.Subject))
	}
	if x.problem != nil && x.problem.cause != nil {
		attrs = append(attrs, slog.String("error", bounded.Text(x.problem.cause.Error())))
	}
	if x.stack != nil {
		attrs = append(attrs, slog.String("stack", string(x.stack)))
	}
	g.log.LogAttrs(req.Context(), level, "request", attrs...)
}
