package gateway

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/principal"
	"github.com/msctl/msctl/runtime/validate"
)

// Verifier recognizes the sender of webhooks by its signature. Package webhook has those for
// common senders. Its methods are called concurrently.
type Verifier interface {
	// Verify checks the signature of a webhook, whose body is as it was sent. With an error,
	// the webhook is rejected with status 401; the error is logged and never sent.
	Verify(header http.Header, body []byte) (Delivery, error)
	// Scheme names and describes the signature in the OpenAPI document.
	Scheme() (name string, scheme *huma.SecurityScheme)
}

// Delivery is a webhook whose signature is valid.
type Delivery struct {
	// ID identifies the event, and is the same when the sender sends the event again. It must
	// be signed. Empty means that only its body and Sent identify the webhook.
	ID string
	// Sent is when the sender signed the webhook; zero if it does not sign a time.
	Sent time.Time
	// Metadata is added to that of the message. Values that are longer than 128 bytes, or have
	// characters other than letters, digits, and -_.:/+=, are dropped.
	Metadata map[string]string
}

const (
	defaultTolerance = 5 * time.Minute
	// timelessMemory is how long a webhook without a time is remembered.
	timelessMemory = 24 * time.Hour
)

// hook is the part of a route for webhooks.
type hook struct {
	verifier  Verifier
	tolerance time.Duration
	once      once
}

// Webhook is [Event] for the webhooks of another program, which authenticate themselves by their
// signature instead of a token or an API key. The data of the event is the body as it was sent,
// after the signature and then the rules of In have been checked; In may be json.RawMessage.
// The ID of the webhook is the metadata micro.MetaMessageID. The response is 200 as soon as the
// transport has accepted the event.
//
// A webhook gets status 401 if its signature is not valid, if it was signed too long ago
// ([WithTolerance]), or if it has been accepted before. A sender that has not received the
// response may sign the same event again: it gets the same response, and no second event is
// sent. The store of the gateway remembers accepted webhooks: see [WithStore]. Webhook panics
// like Event, and unless the target is POST and has no input in its URL.
func Webhook[In any](g *Gateway, target string, to *micro.Client, topic micro.Topic[In], v Verifier, opts ...RouteOption) {
	g.add(target, to, topic.Pattern(), reflect.TypeFor[In](), nil, noValue, hooked(v, opts))
}

// WebhookRoute is [Webhook] for a method. The sender gets the reply.
func WebhookRoute[In, Out any](g *Gateway, target string, to *micro.Client, m micro.Method[In, Out], v Verifier, opts ...RouteOption) {
	g.add(target, to, m.Pattern(), reflect.TypeFor[In](), reflect.TypeFor[Out](), oneValue, hooked(v, opts))
}

// WithTolerance sets how far the time of a webhook may be from the gateway's. The default is
// 5 min. It panics on a route that is not a [Webhook], and if d is not positive.
func WithTolerance(d time.Duration) RouteOption {
	if d <= 0 {
		panic(fmt.Sprintf("gateway: WithTolerance(%v): must be positive", d))
	}
	return routeOption(func(r *route) {
		if r.hook == nil {
			panic(fmt.Sprintf("gateway: route %s %s: WithTolerance is for webhooks", r.method, r.path))
		}
		r.hook.tolerance = d
	})
}

// hooked returns the options of a route for webhooks.
func hooked(v Verifier, opts []RouteOption) []RouteOption {
	if v == nil {
		panic("gateway: a webhook needs a verifier")
	}
	first := routeOption(func(r *route) {
		r.hook = &hook{verifier: v, tolerance: defaultTolerance}
		r.access.public, r.access.scopes, r.access.roles = true, nil, nil
		r.status = http.StatusOK
		r.unknown = validate.Allow // the sender decides what it sends
	})
	return append([]RouteOption{first}, opts...)
}

// prepare completes the hook when all options of its route are known.
func (h *hook) prepare(r *route) {
	switch {
	case r.method != http.MethodPost:
		panic(fmt.Sprintf("gateway: webhook %s %s: webhooks are sent with POST", r.method, r.path))
	case len(r.input.elsewhere()) > 0, r.input.whole != nil:
		panic(fmt.Sprintf("gateway: webhook %s %s: the input must be the body, which is signed", r.method, r.path))
	case !r.access.public:
		panic(fmt.Sprintf("gateway: webhook %s %s: its signature is its credential, so scopes and roles have no effect", r.method, r.path))
	}
	r.gateway.documentWebhook(r)
	h.once = once{gateway: r.gateway, lease: r.timeout + leaseSlack, limit: int(r.gateway.bodyLimit)}
}

// serveWebhook handles one request.
func (r *route) serveWebhook(ctx context.Context, w http.ResponseWriter, req *http.Request) {
	x := exchangeOf(ctx)
	body, d, problem := r.received(req)
	if problem == nil {
		readingEnds(w)
		problem = r.checkBody(body)
	}
	data := body
	if problem == nil && r.convert != nil {
		data, problem = r.converted(ctx, body)
	}
	if problem != nil {
		x.fail(w, problem)
		return
	}
	x.principal = nil // the sender is the caller, whatever other credentials it has sent
	ctx = principal.NewContext(ctx, nil)
	x.metadata = d.metadata()
	t := task{key: "webhook:" + hashOf(r.gateway.name, r.op.Path, d.ID), hash: hashOf(d.ID, d.sentText(), string(body))}
	t.handle = func(ctx context.Context, w http.ResponseWriter) {
		ctx, cancel := context.WithTimeout(ctx, r.timeout)
		defer cancel()
		r.send(ctx, w, req, data)
	}
	t.keep = func(int) time.Duration {
		switch {
		case x.problem != nil:
			return 0 // the sender sends it again
		case d.Sent.IsZero():
			return timelessMemory
		}
		// It may be that far ahead, and then that late. The clock of the store is another one.
		return 2*r.hook.tolerance + time.Minute
	}
	earlier, problem := r.hook.once.do(ctx, w, t)
	switch {
	case problem != nil:
		x.fail(w, problem)
	case earlier == nil:
	case earlier.Status == 0:
		w.Header().Set("Retry-After", "1")
		x.fail(w, webhookInProgress())
	case earlier.Hash == t.hash:
		x.fail(w, unauthorizedProblem().because(errors.New("the webhook was accepted before")))
	default:
		earlier.send(w)
	}
}

// received returns the body of a webhook if it is signed and in time. It must not be compressed:
// the signature is of what was sent.
func (r *route) received(req *http.Request) (body []byte, d Delivery, p *problem) {
	kind, parameters, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if charset := parameters["charset"]; err != nil || !slices.Contains(r.types, kind) || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, d, webhookType(r.types)
	}
	if encoding := req.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, d, compressedWebhook()
	}
	if body, p = decoded(req, r.gateway.bodyLimit); p != nil {
		return nil, d, p
	}
	if d, err = r.hook.verifier.Verify(req.Header, body); err != nil {
		return nil, d, unauthorizedProblem().because(err)
	}
	if age := time.Since(d.Sent); !d.Sent.IsZero() && age.Abs() > r.hook.tolerance {
		return nil, d, unauthorizedProblem().because(fmt.Errorf("the webhook was signed %v ago", age.Round(time.Second)))
	}
	if d.ID == "" {
		d.ID = hashOf(d.sentText(), string(body))
	} else if !plausible(d.ID) {
		d.ID = hashOf(d.ID)
	}
	return body, d, nil
}

// checkBody checks the body of a webhook by the rules of its type. It is forwarded as it is.
func (r *route) checkBody(body []byte) *problem {
	tree, err := validate.Parse(body)
	if err != nil {
		return newProblem(http.StatusBadRequest, "The body cannot be read: "+err.Error())
	}
	if r.input.rules == nil {
		return nil
	}
	if problems := r.input.rules.Check(tree, body, r.unknown); len(problems) > 0 {
		return badRequest(problems)
	}
	if r.input.check != nil {
		if err := r.input.check(body); err != nil {
			return refusal(err)
		}
	}
	return nil
}

// sentText returns the time of a webhook as text; empty if it has none.
func (d *Delivery) sentText() string {
	if d.Sent.IsZero() {
		return ""
	}
	return strconv.FormatInt(int64(d.Sent.Sub(time.Unix(0, 0))), 10)
}

// metadata returns what is added to that of the message.
func (d *Delivery) metadata() map[string]string {
	all := map[string]string{}
	for key, value := range d.Metadata {
		if plausible(value) {
			all[key] = value
		}
	}
	all[micro.MetaMessageID] = d.ID
	return all
}

// documentWebhook adds the signature and the responses of a webhook to the OpenAPI document.
func (g *Gateway) documentWebhook(r *route) {
	name, scheme := r.hook.verifier.Scheme()
	components := g.api.OpenAPI().Components
	if components.SecuritySchemes == nil {
		components.SecuritySchemes = map[string]*huma.SecurityScheme{}
	}
	components.SecuritySchemes[name] = scheme
	r.op.Security = []map[string][]string{{name: {}}}
	all := r.op.Responses
	all["401"] = g.ownFailure(unauthorizedProblem(), "The signature is not valid, or the webhook is late, or it was accepted before")
	all["409"] = g.ownFailure(webhookInProgress(), "The same webhook is being handled", "Retry-After")
	all["415"] = g.ownFailure(compressedWebhook(), "The body is compressed")
	if all["400"] == nil { // a type without rules
		all["400"] = g.ownFailure(webhookType(r.types), "The body is not JSON")
	}
}

func webhookInProgress() *problem {
	return newProblem(http.StatusConflict, "The webhook is being handled")
}

// webhookType is the problem of a body with another media type: 400 instead of 415, as in NestJS,
// where the handler of a webhook finds no raw body then.
func webhookType(types []string) *problem {
	return newProblem(http.StatusBadRequest, "The body must be JSON: send Content-Type: "+strings.Join(types, " or "))
}

func compressedWebhook() *problem {
	return newProblem(http.StatusUnsupportedMediaType, "A webhook must not be compressed")
}
