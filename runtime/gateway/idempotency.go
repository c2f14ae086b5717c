package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/micro"
)

const (
	headerIdempotency = "Idempotency-Key"
	headerReplayed    = "Idempotent-Replayed"
	maxIdempotencyKey = 255
)

// Idempotency configures [WithIdempotency]. Its zero value is the default.
type Idempotency struct {
	// Required rejects requests without a key with status 400.
	Required bool
	// TTL is how long a response is kept. The default is 24 h.
	TTL time.Duration
	// MaxResponse limits the bodies of kept responses, in bytes. A request whose response was
	// larger is not handled again, but gets status 409. The default is 1 MiB.
	MaxResponse int
}

// WithIdempotency lets clients repeat POST and PATCH requests of a [Route] or an [Event] without
// sending a second message, by the header Idempotency-Key: a request with the same key from the
// same caller gets the response of the first one, with Idempotent-Replayed: true. If it differs in
// its URL, its body, or a header or claim that is input of the route, it gets status 422, and while the first one is being handled, 409.
//
// Responses are kept in the store of the gateway ([WithStore]) if they are successful or an error
// that the service has chosen, with a status from 400 to 499 other than 408, 425, and 429. After
// any other error, the request can be repeated, and sends another message. A service receives the
// key in the metadata micro.MetaIdempotencyKey.
//
// On a gateway, it applies to all of its routes and events that can have it. On a route that
// cannot, it panics.
func WithIdempotency(c Idempotency) GatewayOrRouteOption {
	return scopedOption{func(g *Gateway) { g.idempotency = &c }, func(r *route) { r.idempotency = &c }}
}

// prepareIdempotency completes the configuration of a route when all of its options are known.
func (r *route) prepareIdempotency() {
	c := r.idempotency
	if c == nil {
		return
	}
	if !r.repeatable() {
		panic(fmt.Sprintf("gateway: route %s %s: WithIdempotency is for POST and PATCH, and for neither streams nor webhooks", r.method, r.path))
	}
	own := Idempotency{c.Required, cmp.Or(max(c.TTL, 0), 24*time.Hour), cmp.Or(max(c.MaxResponse, 0), 1<<20)}
	r.idempotency = &own
	r.documentIdempotency()
}

// repeatable reports whether requests may have an idempotency key: not if HTTP defines their
// method as idempotent anyway.
func (r *route) repeatable() bool {
	return r.hook == nil && r.answer != manyValues && (r.method == http.MethodPost || r.method == http.MethodPatch)
}

// serveIdempotent handles one request.
func (r *route) serveIdempotent(ctx context.Context, w http.ResponseWriter, req *http.Request) {
	x := exchangeOf(ctx)
	key, problem := idempotencyKey(req.Header)
	switch {
	case problem == nil && key == "" && r.idempotency.Required:
		problem = badRequest([]string{"the header Idempotency-Key is required"})
	case problem == nil && key == "":
		r.serve(ctx, w, req)
		return
	}
	var body []byte
	if problem == nil {
		body, problem = sentBody(req, r.gateway.bodyLimit)
	}
	if problem != nil {
		x.fail(w, problem)
		return
	}
	x.metadata = map[string]string{micro.MetaIdempotencyKey: key}
	t := task{
		key:  "idempotency:" + hashOf(r.gateway.name, r.method, r.op.Path, callerKey(x, req), key),
		hash: r.hash(x, req, body),
		handle: func(ctx context.Context, w http.ResponseWriter) {
			req.Body = io.NopCloser(bytes.NewReader(body))
			r.serve(ctx, w, req)
		},
		keep: func(status int) time.Duration {
			if x.problem == nil || chosen(x.problem, status) {
				return r.idempotency.TTL
			}
			return 0
		},
	}
	once := once{gateway: r.gateway, lease: r.timeout + leaseSlack, limit: r.idempotency.MaxResponse}
	earlier, problem := once.do(ctx, w, t)
	switch {
	case problem != nil:
		x.fail(w, problem)
	case earlier == nil:
	case earlier.Hash != t.hash:
		x.fail(w, keyReused())
	case earlier.Status == 0:
		w.Header().Set("Retry-After", "1")
		x.fail(w, keyInProgress())
	case earlier.TooLarge:
		x.fail(w, newProblem(http.StatusConflict, "The request was handled, but its response is too large to be sent again"))
	default:
		w.Header().Set(headerReplayed, "true")
		earlier.send(w)
	}
}

// hash returns a hash of everything that the message of a request can be made of.
func (r *route) hash(x *exchange, req *http.Request, body []byte) string {
	claims, _ := r.input.claimed(x.principal) // without them, the request is rejected
	all := []string{req.URL.EscapedPath(), req.URL.RawQuery, req.Header.Get("Content-Type"), req.Header.Get("Content-Encoding"), string(body), string(jsonOf(claims))}
	for _, f := range r.input.header {
		all = append(all, string(jsonOf(req.Header.Values(f.Header))))
	}
	return hashOf(all...)
}

// chosen reports whether the problem of a response is an error that the service has chosen, and
// that another attempt would not change.
func chosen(p *problem, status int) bool {
	var remote *micro.Error
	return errors.As(p.cause, &remote) && remote.Remote() && status >= 400 && status <= 499 &&
		status != http.StatusRequestTimeout && status != http.StatusTooEarly && status != http.StatusTooManyRequests
}

// callerKey identifies the caller of a request. An anonymous one is its address.
func callerKey(x *exchange, req *http.Request) string {
	if x.principal != nil {
		return hashOf(x.principal.Issuer, x.principal.Subject)
	}
	return addressKey(req)
}

// sentBody returns the body of a request as it was sent, which may be compressed.
func sentBody(req *http.Request, limit int64) ([]byte, *problem) {
	if req.Body == nil {
		return nil, nil
	}
	if req.ContentLength > limit {
		return nil, tooLargeProblem()
	}
	body, err := readWithin(req.Body, limit)
	if err != nil {
		return nil, unreadable(err)
	}
	return body, nil
}

// idempotencyKey returns the key of a request; empty if it has none. The key is a string of
// RFC 9651, in quotes, or the same without quotes, which many clients send.
func idempotencyKey(h http.Header) (string, *problem) {
	values := h.Values(headerIdempotency)
	if len(values) == 0 {
		return "", nil
	}
	key, valid := values[0], len(values) == 1
	if quoted, ok := strings.CutPrefix(key, `"`); ok {
		key, valid = strings.CutSuffix(quoted, `"`)
		valid = valid && len(values) == 1
	}
	if !valid || key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
		return "", badRequest([]string{fmt.Sprintf("the header Idempotency-Key must have 1 to %d visible ASCII characters without quotes and backslashes", maxIdempotencyKey)})
	}
	return key, nil
}

func keyReused() *problem {
	return newProblem(http.StatusUnprocessableEntity, "The Idempotency-Key was used for another request")
}

func keyInProgress() *problem {
	return newProblem(http.StatusConflict, "A request with the same Idempotency-Key is being handled")
}

// documentIdempotency adds the key and its responses to the OpenAPI document.
func (r *route) documentIdempotency() {
	shortest, longest := 1, maxIdempotencyKey
	r.op.Parameters = append(r.op.Parameters, &huma.Param{
		Name: headerIdempotency, In: "header", Required: r.idempotency.Required,
		Description: "A unique key, such as a UUID. A request that is repeated with the same key gets the response of the first one.",
		Schema:      &huma.Schema{Type: huma.TypeString, MinLength: &shortest, MaxLength: &longest},
	})
	g, all := r.gateway, r.op.Responses
	g.cors.expose(headerReplayed)
	for status, response := range all {
		if status[0] == '2' && response.Headers != nil {
			response.Headers[headerReplayed] = &huma.Header{Description: "true for the response of an earlier request with the same key", Schema: &huma.Schema{Type: huma.TypeString}}
		}
	}
	all["409"] = g.ownFailure(keyInProgress(), "A request with the same key is being handled, or its response is too large to be sent again", "Retry-After")
	all["422"] = g.ownFailure(keyReused(), "The key was used for a request with other input")
}
