package gateway

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/principal"
	"github.com/msctl/msctl/runtime/validate"
)

// route is one HTTP operation and its message.
type route struct {
	gateway *Gateway
	method  string
	path    string
	client  *micro.Client
	pattern micro.Pattern
	input   *input
	in, out reflect.Type // of the HTTP request and response
	// message and reply are in and out without WithInput and WithOutput.
	message, reply reflect.Type
	answer         answer
	convert        func(context.Context, []byte) ([]byte, error) // of WithInput: HTTP data to that of the message; nil without
	output         *output                                       // of WithOutput; nil without
	pages          func(data, reply []byte) (Page, error)        // of WithPages; nil without
	version        func(reply []byte) (int64, error)             // of WithVersionTag; nil without

	status  int
	timeout time.Duration
	events  EventStream
	unknown validate.Unknown
	// unknownQuery is unknown for query parameters.
	unknownQuery validate.Unknown
	types        []string // media types of bodies
	access       access
	hook         *hook        // of a webhook; nil for other routes
	idempotency  *Idempotency // nil without
	op           *huma.Operation
	priority     Priority
	places       ConcurrencyLimiter // of the client; nil for none
}

// answer defines how the values of a reply become a response.
type answer uint8

const (
	oneValue answer = iota
	manyValues
	noValue // an event
)

// Route maps requests that match target, in the syntax of http.ServeMux, such as
// "GET /items/{id}", to a method: the request's path, query, and body become its input,
// and its reply becomes the response. A reply without a value is a response without a
// body. Route panics if target or a tag of In is invalid, or if the route exists.
func Route[In, Out any](g *Gateway, target string, to *micro.Client, m micro.Method[In, Out], opts ...RouteOption) {
	g.add(target, to, m.Pattern(), reflect.TypeFor[In](), reflect.TypeFor[Out](), oneValue, opts)
}

// Stream is [Route] for a handler that replies with any number of values. The response
// is a JSON array, sent when it is complete. For requests that accept application/x-ndjson, it is
// one JSON value per line, and for those that accept text/event-stream, one server-sent event per
// value ([WithEventStream]), sent as they arrive.
func Stream[In, Out any](g *Gateway, target string, to *micro.Client, m micro.Method[In, Out], opts ...RouteOption) {
	g.add(target, to, m.Pattern(), reflect.TypeFor[In](), reflect.TypeFor[Out](), manyValues, opts)
}

// Event maps requests to an event. The response is 202 Accepted as soon as the
// transport has accepted the event.
func Event[In any](g *Gateway, target string, to *micro.Client, topic micro.Topic[In], opts ...RouteOption) {
	g.add(target, to, topic.Pattern(), reflect.TypeFor[In](), nil, noValue, opts)
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
		gateway: g, method: method, path: path, client: to, pattern: p, in: in, out: out, message: in, reply: out, answer: a,
		status: defaultStatus(method, a), timeout: g.timeout, events: g.events, unknown: g.unknown, unknownQuery: g.unknownQuery, types: g.types, access: access{public: g.public, rates: g.limits.rates},
		op: &huma.Operation{Method: method, Path: path, Tags: defaultTags(path)},
	}
	r.places = g.placesOf(to)
	for _, o := range opts {
		o.applyRoute(r)
	}
	if r.version != nil && r.output != nil {
		panic(fmt.Sprintf("gateway: route %s: WithVersionTag cannot be combined with WithOutput", target))
	}
	var err error
	if r.input, err = newInput(r.in, method, path); err != nil {
		panic(fmt.Sprintf("gateway: route %s: %v", target, err))
	}
	r.op.Metadata = withAccess(r.op.Metadata, r.access)
	g.document(r)
	serve := r.handler()
	g.api.Adapter().Handle(r.op, func(ctx huma.Context) {
		req, w := humago.Unwrap(ctx)
		serve(ctx.Context(), w, req)
	})
}

// handler returns the function that handles the requests of a route.
func (r *route) handler() func(context.Context, http.ResponseWriter, *http.Request) {
	if r.idempotency == nil && r.repeatable() {
		r.idempotency = r.gateway.idempotency
	}
	r.prepareIdempotency()
	switch {
	case r.hook != nil:
		r.hook.prepare(r)
		return r.serveWebhook
	case r.idempotency != nil:
		return r.serveIdempotent
	}
	return r.serve
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

// serve handles one request.
func (r *route) serve(ctx context.Context, w http.ResponseWriter, req *http.Request) {
	x := exchangeOf(ctx)
	if r.crowded() {
		x.fail(w, overloadedProblem().because(errOverloaded))
		return
	}
	body, problem := r.input.readBody(req, r)
	if problem != nil {
		x.fail(w, problem)
		return
	}
	ctx, cancel := r.limited(ctx, req)
	defer cancel()
	if r.input.body || req.Body == http.NoBody {
		readingEnds(w) // net/http reads a body that the route does not, and must not wait for it forever
	}
	data, problem := r.input.data(body, req, x.principal, r)
	if problem == nil && r.convert != nil {
		data, problem = r.converted(ctx, data)
	}
	if problem != nil {
		x.fail(w, problem)
		return
	}
	r.send(ctx, w, req, data)
}

// readingEnds removes the limit for reading a request, which must not interrupt its handling.
func readingEnds(w http.ResponseWriter) {
	// The error is ignored: a writer without a connection has no limit.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}

// send sends the message of a request, and writes the response.
func (r *route) send(ctx context.Context, w http.ResponseWriter, req *http.Request, data []byte) {
	x := exchangeOf(ctx)
	message := &micro.Request{Pattern: r.pattern, Data: data, Event: r.answer == noValue}
	message.SetCorrelationID(x.correlationID)
	if x.given {
		message.Metadata.Set(micro.MetaCorrelationID, x.correlationID)
	}
	if x.traceparent != "" {
		message.Metadata.Set(micro.MetaTraceparent, x.traceparent)
	}
	for _, key := range slices.Sorted(maps.Keys(x.metadata)) {
		message.Metadata.Set(key, x.metadata[key])
	}
	signed, err := r.gateway.sign(ctx)
	if err != nil {
		x.fail(w, internalProblem(err))
		return
	}
	if signed != "" {
		message.Metadata.Set(principal.MetadataKey, signed)
	}
	switch r.answer {
	case oneValue:
		r.serveOne(ctx, w, req, message)
	case manyValues:
		r.serveMany(ctx, w, req, message)
	case noValue:
		r.serveEvent(ctx, w, message)
	}
}
