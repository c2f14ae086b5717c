package gateway_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/webhook"
	"github.com/msctl/msctl/runtime/micro"
)

// queue is a connection that records what is sent. It answers requests with their data.
type queue struct {
	before func(*micro.Request) error // called first; nil for nothing

	mu   sync.Mutex
	sent []string // data and message ID of each message
}

func (q *queue) Publish(_ context.Context, req *micro.Request) error {
	if q.before != nil {
		if err := q.before(req); err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sent = append(q.sent, string(req.Data)+" "+req.Metadata.Get(micro.MetaMessageID))
	return nil
}

func (q *queue) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	if err := q.Publish(ctx, req); err != nil {
		return err
	}
	return reply.Send(micro.Value{Raw: slices.Clone(req.Data), Last: true})
}

func (q *queue) Close() error { return nil }

func (q *queue) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.sent)
}

type payment struct {
	ID     string `json:"id" minLength:"1"`
	Amount int    `json:"amount,omitempty" minimum:"0"`
}

var (
	paid    = micro.NewTopic[payment](micro.Name("payment.succeeded"))
	confirm = micro.NewMethod[payment, payment](micro.Cmd("confirm"))
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func verifier(t *testing.T, v gateway.Verifier, err error) gateway.Verifier {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func standard(t *testing.T) gateway.Verifier {
	t.Helper()
	v, err := webhook.Standard(hookSecret)
	return verifier(t, v, err)
}

// hooks is a gateway with the webhooks of three senders, in front of q.
func hooks(t *testing.T, q *queue, opts ...gateway.Option) http.Handler {
	t.Helper()
	client := micro.NewClient(q, micro.WithLogger(quiet()))
	gw := gateway.New("shop", append([]gateway.Option{gateway.WithLogger(quiet()), gateway.WithAuthentication(names{"Authorization"})}, opts...)...)
	gateway.Webhook(gw, "POST /payments", client, paid, standard(t))
	gateway.WebhookRoute(gw, "POST /confirmations", client, confirm, standard(t))
	github, err := webhook.GitHub(githubSecret)
	gateway.Webhook(gw, "POST /github", client, micro.NewTopic[json.RawMessage](micro.Name("github")), verifier(t, github, err))
	stripe, err := webhook.Stripe(stripeSecret)
	gateway.Webhook(gw, "POST /stripe", client, paid, verifier(t, stripe, err), gateway.WithTolerance(time.Minute))
	return gw.Handler()
}

const (
	githubSecret = "shared with the repository"
	stripeSecret = "whsec_0123456789abcdef"
)

// delivery is a webhook, and how it was sent.
type delivery struct {
	path, body string
	header     map[string]string
}

// signed returns a webhook that the official library has signed.
func signed(t *testing.T, path, id, body string, at time.Time) delivery {
	t.Helper()
	library, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := library.Sign(id, at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return delivery{path, body, map[string]string{
		"Content-Type": "application/json", "webhook-id": id, "webhook-timestamp": strconv.FormatInt(at.Unix(), 10), "webhook-signature": signature,
	}}
}

func macOf(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func fromGitHub(id, body string) delivery {
	return delivery{"/github", body, map[string]string{
		"Content-Type": "application/json", "X-Github-Event": "push", "X-Github-Delivery": id, "X-Hub-Signature-256": "sha256=" + macOf(githubSecret, body),
	}}
}

func fromStripe(body string, at time.Time) delivery {
	t := strconv.FormatInt(at.Unix(), 10)
	return delivery{"/stripe", body, map[string]string{"Content-Type": "application/json", "Stripe-Signature": "t=" + t + ",v1=" + macOf(stripeSecret, t+"."+body)}}
}

// with returns the webhook with another header; an empty value removes it.
func (d delivery) with(name, value string) delivery {
	header := map[string]string{}
	for n, v := range d.header {
		header[n] = v
	}
	header[name] = value
	if value == "" {
		delete(header, name)
	}
	d.header = header
	return d
}

func (d delivery) to(h http.Handler) *httptest.ResponseRecorder {
	req := httptest.NewRequest("POST", d.path, strings.NewReader(d.body))
	for name, value := range d.header {
		req.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// wants sends a webhook and compares the status and the number of messages sent so far.
func (q *queue) wants(t *testing.T, h http.Handler, what string, d delivery, status, messages int) {
	t.Helper()
	if w := d.to(h); w.Code != status || q.count() != messages {
		t.Errorf("%s: status %d, want %d; %d messages, want %d: %s", what, w.Code, status, q.count(), messages, w.Body)
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := hooks(t, q)
	const body = " {\"amount\": 990, \"id\":\"p_1\",\r\n\t\"unknown\":{\"a\":[1.00e2]}} "
	at := time.Now()
	good := signed(t, "/payments", "msg_1", body, at)
	if w := good.to(h); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if want := []string{body + " msg_1"}; !slices.Equal(q.sent, want) {
		t.Errorf("sent %q, want %q", q.sent, want)
	}
	for what, c := range map[string]struct {
		delivery

		status int
	}{
		"replayed":               {good, 401},
		"without a signature":    {good.with("webhook-signature", ""), 401},
		"without an ID":          {good.with("webhook-id", ""), 401},
		"another ID":             {good.with("webhook-id", "msg_2"), 401},
		"another body":           {delivery{good.path, strings.Replace(body, "p_1", "p_2", 1), good.header}, 401},
		"another time":           {good.with("webhook-timestamp", strconv.FormatInt(at.Unix()+1, 10)), 401},
		"late":                   {signed(t, "/payments", "msg_3", body, at.Add(-5*time.Minute-2*time.Second)), 401},
		"early":                  {signed(t, "/payments", "msg_4", body, at.Add(5*time.Minute+30*time.Second)), 401},
		"a form":                 {good.with("Content-Type", "application/x-www-form-urlencoded"), 400},
		"without a type":         {good.with("Content-Type", ""), 400},
		"another charset":        {good.with("Content-Type", "application/json; charset=latin1"), 400},
		"compressed":             {good.with("Content-Encoding", "gzip"), 415},
		"no JSON":                {signed(t, "/payments", "msg_5", `{"id":`, at), 400},
		"two values":             {signed(t, "/payments", "msg_6", `{"id":"a"}{}`, at), 400},
		"nothing":                {signed(t, "/payments", "msg_7", "", at), 400},
		"deep":                   {signed(t, "/payments", "msg_8", `{"id":"a","b":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+"}", at), 400},
		"against the rules":      {signed(t, "/payments", "msg_9", `{"id":"a","amount":-1}`, at), 400},
		"too large":              {signed(t, "/payments", "msg_10", `{"id":"`+strings.Repeat("a", 1<<20)+`"}`, at), 413},
		"for a route of its own": {signed(t, "/stripe", "msg_11", `{"id":"a"}`, at), 401},
	} {
		w := c.to(h)
		if w.Code != c.status || q.count() != 1 {
			t.Errorf("%s: %d %s; %d messages", what, w.Code, w.Body, q.count())
		}
		if w.Code == 401 && w.Body.String() != `{"message":"Unauthorized","statusCode":401}` {
			t.Errorf("%s: %s", what, w.Body) // the reason is for the log
		}
	}
	q.wants(t, h, "late, but in time", signed(t, "/payments", "msg_20", body, at.Add(-4*time.Minute)), 200, 2)
	q.wants(t, h, "early, but in time", signed(t, "/payments", "msg_21", body, at.Add(4*time.Minute)), 200, 3)
	q.wants(t, h, "with a charset", signed(t, "/payments", "msg_22", body, at).with("Content-Type", "application/json; charset=utf-8"), 200, 4)
	q.wants(t, h, "the same ID on another route", signed(t, "/confirmations", "msg_1", `{"id":"p_1"}`, at), 200, 5)
}

// TestWebhookSignedAgain checks that a sender that has not received the response, and signs the
// event again, gets the same response.
func TestWebhookSignedAgain(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := hooks(t, q)
	at := time.Now()
	first := signed(t, "/confirmations", "msg_1", `{"id":"p_1"}`, at).to(h)
	again := signed(t, "/confirmations", "msg_1", `{"id":"p_1"}`, at.Add(time.Second)).to(h)
	if again.Code != 200 || again.Body.String() != first.Body.String() || first.Body.String() != `{"id":"p_1"}` || q.count() != 1 {
		t.Errorf("%d %s, then %d %s; %d messages", first.Code, first.Body, again.Code, again.Body, q.count())
	}
	if a, b := first.Header().Get("X-Correlation-Id"), again.Header().Get("X-Correlation-Id"); a == b {
		t.Errorf("both responses have the correlation ID %s", a)
	}
	q.wants(t, h, "Stripe", fromStripe(`{"id":"evt_1"}`, at), 200, 2)
	q.wants(t, h, "Stripe, replayed", fromStripe(`{"id":"evt_1"}`, at), 401, 2)
	q.wants(t, h, "Stripe, again", fromStripe(`{"id":"evt_1"}`, at.Add(time.Second)), 200, 2)
	q.wants(t, h, "Stripe, another event", fromStripe(`{"id":"evt_2"}`, at), 200, 3)
	q.wants(t, h, "Stripe, late", fromStripe(`{"id":"evt_3"}`, at.Add(-62*time.Second)), 401, 3)
	if want := []string{`{"id":"p_1"} msg_1`, `{"id":"evt_1"} evt_1`, `{"id":"evt_2"} evt_2`}; !slices.Equal(q.sent, want) {
		t.Errorf("sent %q, want %q", q.sent, want)
	}
}

// TestWebhookWithoutTime checks a sender that signs neither a time nor an ID: another delivery
// ID, which is not signed, is no other webhook.
func TestWebhookWithoutTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		var got micro.Metadata
		q.before = func(req *micro.Request) error { got = req.Metadata.Clone(); return nil }
		h := hooks(t, q)
		const body = `{"ref":"main"}`
		q.wants(t, h, "first", fromGitHub("id-1", body), 200, 1)
		if got.Get("x-github-event") != "push" || got.Get("x-github-delivery") != "id-1" || len(got.Get(micro.MetaMessageID)) != 64 {
			t.Errorf("metadata %+v", got)
		}
		q.wants(t, h, "replayed", fromGitHub("id-1", body), 401, 1)
		q.wants(t, h, "replayed with another ID", fromGitHub("id-2", body), 401, 1)
		q.wants(t, h, "another", fromGitHub("id-3", `{"ref":"other"}`), 200, 2)
		q.wants(t, h, "unsafe metadata", fromGitHub("id\x1b[2J", `{"ref":"third"}`), 200, 3)
		if got.Get("x-github-delivery") != "" {
			t.Errorf("metadata %+v", got)
		}
		<-time.After(24*time.Hour - time.Second) // of the bubble's clock
		q.wants(t, h, "replayed within a day", fromGitHub("id-1", body), 401, 3)
	})
}

// TestWebhookReplay checks that an accepted webhook is rejected as long as its time is valid,
// even if the clock of its sender is fast.
func TestWebhookReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		h := hooks(t, q)
		d := signed(t, "/payments", "msg_1", `{"id":"p_1"}`, time.Now().Add(5*time.Minute))
		q.wants(t, h, "first", d, 200, 1)
		for range 40 {
			q.wants(t, h, "replayed", d, 401, 1)
			<-time.After(20 * time.Second)
		}
	})
}

// TestWebhookFailure checks that a webhook whose event was not accepted gets no 2xx and can be
// sent again, also as it is.
func TestWebhookFailure(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		err    error
		status int
	}{
		"unreachable": {micro.ErrUnreachable, 503},
		"lost":        {micro.ErrConnectionLost, 503},
		"unconfirmed": {micro.ErrTimeout, 503},
		"full":        {micro.ErrShed, 503},
		"unroutable":  {micro.ErrNotServed, 503},
		"panic":       {nil, 500},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			fails := true
			q := &queue{before: func(*micro.Request) error {
				if fails && c.err == nil {
					panic("broken")
				}
				if fails {
					return fmt.Errorf("publish: %w", c.err)
				}
				return nil
			}}
			h := hooks(t, q)
			d := signed(t, "/payments", "msg_1", `{"id":"p_1"}`, time.Now())
			q.wants(t, h, "failed", d, c.status, 0)
			q.wants(t, h, "failed again", d, c.status, 0)
			fails = false
			q.wants(t, h, "sent again", d, 200, 1)
			q.wants(t, h, "replayed", d, 401, 1)
		})
	}
}

// TestWebhookConcurrent sends one webhook a thousand times at once.
func TestWebhookConcurrent(t *testing.T) {
	t.Parallel()
	const copies = 1000
	leave := make(chan struct{})
	q := &queue{before: func(*micro.Request) error { <-leave; return nil }}
	h := hooks(t, q, gateway.WithTimeout(time.Hour)) // longer than a busy machine needs
	d := signed(t, "/payments", "msg_1", `{"id":"p_1"}`, time.Now())
	statuses := make(chan int, copies)
	for range copies {
		go func() { statuses <- d.to(h).Code }()
	}
	count := map[int]int{}
	for i := range copies {
		if i == copies/2 {
			close(leave) // so far, all copies have met the one that is being handled
		}
		count[<-statuses]++
	}
	if count[200] != 1 || count[409] < copies/2 || count[409]+count[401] != copies-1 || q.count() != 1 {
		t.Errorf("statuses %v; %d messages", count, q.count())
	}
}

// TestWebhookDisconnected checks that an event is accepted once if its sender does not wait for
// the response.
func TestWebhookDisconnected(t *testing.T) {
	t.Parallel()
	sender, disconnect := context.WithCancel(t.Context())
	q := &queue{before: func(*micro.Request) error { disconnect(); return nil }}
	h := hooks(t, q)
	d := signed(t, "/payments", "msg_1", `{"id":"p_1"}`, time.Now())
	req := httptest.NewRequestWithContext(sender, "POST", d.path, strings.NewReader(d.body))
	for name, value := range d.header {
		req.Header.Set(name, value)
	}
	h.ServeHTTP(httptest.NewRecorder(), req)
	q.wants(t, h, "signed again", signed(t, "/payments", "msg_1", `{"id":"p_1"}`, time.Now().Add(time.Second)), 200, 1)
}

// TestWebhookLog checks that the log has the reason of a rejection, and no secret.
func TestWebhookLog(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	h := hooks(t, &queue{}, gateway.WithLogger(slog.New(slog.NewJSONHandler(&text, nil))))
	d := signed(t, "/payments", "msg_1", `{"id":"p_1"}`, time.Now().Add(-time.Hour))
	d.to(h)
	d.with("webhook-signature", "v1,c2VjcmV0").to(h)
	d.with("webhook-signature", "").to(h)
	for _, want := range []string{"the webhook was signed 1h0m", "the signature is not valid", "the header webhook-signature is missing"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log lacks %q: %s", want, text.String())
		}
	}
	for _, secret := range []string{d.header["webhook-signature"], "c2VjcmV0", hookSecret[6:]} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the log contains %q", secret)
		}
	}
}

func TestWebhookPanics(t *testing.T) {
	t.Parallel()
	type inPath struct {
		ID string `json:"id" path:"id"`
	}
	type inBody struct {
		Payment payment `json:"payment" in:"body"`
	}
	client := micro.NewClient(&queue{})
	for name, add := range map[string]func(*gateway.Gateway){
		"webhooks are sent with POST": func(g *gateway.Gateway) {
			gateway.Webhook(g, "PUT /hook", client, paid, standard(t))
		},
		"webhook POST /hook/{id}: the input must be the body": func(g *gateway.Gateway) {
			gateway.Webhook(g, "POST /hook/{id}", client, micro.NewTopic[inPath](micro.Name("x")), standard(t))
		},
		"webhook POST /hook: the input must be the body": func(g *gateway.Gateway) {
			gateway.Webhook(g, "POST /hook", client, micro.NewTopic[inBody](micro.Name("x")), standard(t))
		},
		"scopes and roles have no effect": func(g *gateway.Gateway) {
			gateway.Webhook(g, "POST /hook", client, paid, standard(t), gateway.WithRoles("admin"))
		},
		"a webhook needs a verifier": func(g *gateway.Gateway) { gateway.Webhook(g, "POST /hook", client, paid, nil) },
		"WithTolerance is for webhooks": func(g *gateway.Gateway) {
			gateway.Event(g, "POST /hook", client, paid, gateway.WithTolerance(time.Minute))
		},
		"must be positive": func(*gateway.Gateway) { gateway.WithTolerance(0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); !strings.Contains(fmt.Sprint(p), name) {
					t.Errorf("panic %v", p)
				}
			}()
			add(gateway.New("test"))
		})
	}
}

func TestWebhookDocument(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	hooks(t, &queue{}).ServeHTTP(w, httptest.NewRequest("GET", "/api-json", nil))
	var doc struct {
		Paths map[string]map[string]struct {
			Security  []map[string][]string
			Responses map[string]any
		}
		Components struct {
			SecuritySchemes map[string]struct{ Type, In, Name string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct{ scheme, header string }{
		"/payments": {"standardWebhooks", "webhook-signature"}, "/github": {"githubWebhooks", "X-Hub-Signature-256"}, "/stripe": {"stripeWebhooks", "Stripe-Signature"},
	} {
		op := doc.Paths[path]["post"]
		scheme := doc.Components.SecuritySchemes[want.scheme]
		if len(op.Security) != 1 || op.Security[0][want.scheme] == nil || scheme.Type != "apiKey" || scheme.In != "header" || scheme.Name != want.header {
			t.Errorf("%s: %+v, %+v", path, op.Security, scheme)
		}
		for _, status := range []string{"200", "400", "401", "409", "503"} {
			if op.Responses[status] == nil {
				t.Errorf("%s: no response %s", path, status)
			}
		}
	}
}
