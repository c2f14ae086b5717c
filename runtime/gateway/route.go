package gateway

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/validate"
)

// route is one HTTP operation and the message it becomes.
type route struct {
	gateway *Gateway
	method  string
	path    string
	client  *micro.Client
	pattern micro.Pattern
	input   *input
	out     reflect.Type
	answer  answer

	status  int
	timeout time.Duration
	unknown validate.Unknown
	op      *huma.Operation
}

// answer is how the values of an answer become a response.
type answer uint8

const (
	oneValue answer = iota
	manyValues
	noValue // an event
)

// RouteOption configures one route.
type RouteOption func(*route)

// WithSummary describes the route in a few words for the docs.
func WithSummary(text string) RouteOption { return func(r *route) { r.op.Summary = text } }

// WithDescription describes the route at length (Markdown) for the docs.
func WithDescription(text string) RouteOption { return func(r *route) { r.op.Description = text } }

// WithTags sets the headings under which the docs list the route. The default is
// the first part of its path.
func WithTags(tags ...string) RouteOption { return func(r *route) { r.op.Tags = tags } }

// WithOperationID names the operation for generated clients. The default is the
// name in the pattern, such as createItem for {"cmd":"createItem"}.
func WithOperationID(id string) RouteOption { return func(r *route) { r.op.OperationID = id } }

// WithStatus sets the status of success. The default is NestJS': 201 for POST,
// 200 otherwise; 202 for events.
func WithStatus(status int) RouteOption { return func(r *route) { r.status = status } }

// WithTimeout bounds the route's requests in place of the gateway's bound.
func WithTimeout(d time.Duration) RouteOption { return func(r *route) { r.timeout = d } }

// WithUnknown says what becomes of members that the route's data does not have,
// in place of the gateway's rule.
func WithUnknown(u validate.Unknown) RouteOption { return func(r *route) { r.unknown = u } }

// Route makes requests that match target, such as "GET /items/{id}" in the
// syntax of http.ServeMux, a message with pattern p over client to. In is the
// type of the message's data, Out that of its answer; micro.None is none. An
// answer without a value is a response without a body. Route panics if target
// or a tag of In makes no sense, or if the route is there already.
func Route[In, Out any](g *Gateway, target string, to *micro.Client, p micro.Pattern, opts ...RouteOption) {
	g.add(target, to, p, reflect.TypeFor[In](), reflect.TypeFor[Out](), oneValue, opts)
}

// Stream is [Route] for a handler that answers with any number of values: as a
// JSON array when all are there, or one JSON value a line as they come for
// requests that accept application/x-ndjson.
func Stream[In, Out any](g *Gateway, target string, to *micro.Client, p micro.Pattern, opts ...RouteOption) {
	g.add(target, to, p, reflect.TypeFor[In](), reflect.TypeFor[Out](), manyValues, opts)
}

// Event makes requests an event: the response is 202 Accepted as soon as the
// transport has taken it.
func Event[In any](g *Gateway, target string, to *micro.Client, p micro.Pattern, opts ...RouteOption) {
	g.add(target, to, p, reflect.TypeFor[In](), nil, noValue, opts)
}

func (g *Gateway) add(target string, to *micro.Client, p micro.Pattern, in, out reflect.Type, a answer, opts []RouteOption) {
	method, path, ok := strings.Cut(target, " ")
	if !ok || !strings.HasPrefix(path, "/") || strings.ToUpper(method) != method {
		panic(fmt.Sprintf("gateway: a route is written \"GET /items/{id}\", not %q", target))
	}
	if to == nil || p.IsZero() {
		panic(fmt.Sprintf("gateway: route %s needs a client and a pattern", target))
	}
	r := &route{
		gateway: g, method: method, path: path, client: to, pattern: p, out: out, answer: a,
		status: defaultStatus(method, a), timeout: g.timeout, unknown: g.unknown,
		op: &huma.Operation{Method: method, Path: path, Tags: defaultTags(path)},
	}
	var err error
	if r.input, err = newInput(in, method, path); err != nil {
		panic(fmt.Sprintf("gateway: route %s: %v", target, err))
	}
	for _, o := range opts {
		o(r)
	}
	g.document(r, in)
	g.api.Adapter().Handle(r.op, func(ctx huma.Context) {
		req, w := humago.Unwrap(ctx)
		r.serve(w, req)
	})
}

func defaultStatus(method string, a answer) int {
	switch {
	case a == noValue:
		return http.StatusAccepted
	case method == http.MethodPost && a == oneValue:
		return http.StatusCreated
	}
	return http.StatusOK
}

// serve answers one request.
func (r *route) serve(w http.ResponseWriter, req *http.Request) {
	x := exchangeOf(req.Context())
	x.route = r.method + " " + r.path
	data, problem := r.input.read(req, r)
	if problem != nil {
		x.fail(w, problem)
		return
	}
	// The bound of reading a request must not end the work for it; where the
	// writer is no connection's there is none.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	ctx, cancel := context.WithTimeout(req.Context(), r.timeout)
	defer cancel()
	message := &micro.Request{Pattern: r.pattern, Data: data, Event: r.answer == noValue}
	message.Metadata.Set(micro.MetaCorrelationID, x.correlationID)
	if x.traceparent != "" {
		message.Metadata.Set(micro.MetaTraceparent, x.traceparent)
	}
	switch r.answer {
	case oneValue:
		r.serveOne(ctx, w, message)
	case manyValues:
		r.serveMany(ctx, w, req, message)
	case noValue:
		r.serveEvent(ctx, w, message)
	}
}
