package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/memory"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/principal"
)

// post is a POST or PATCH request, with a key unless it is empty.
type post struct {
	target, body, key string
	caller            string // as in names
	address           string
	method            string // POST by default
}

func (p post) to(h http.Handler) *httptest.ResponseRecorder {
	req := httptest.NewRequest("POST", p.target, strings.NewReader(p.body))
	if p.method != "" {
		req.Method = p.method
	}
	req.Header.Set("Content-Type", "application/json")
	if p.key != "" {
		req.Header.Set("Idempotency-Key", p.key)
	}
	if p.caller != "" {
		req.Header.Set("Authorization", "Bearer "+p.caller)
	}
	if p.address != "" {
		req.RemoteAddr = p.address
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// accepted is a response with a header of its own.
type accepted struct {
	Location string  `header:"Location"`
	Payment  payment `in:"body"`
}

// idempotent is a gateway whose routes send to q.
func idempotent(q micro.Conn, c gateway.Idempotency, opts ...gateway.Option) http.Handler {
	client := micro.NewClient(q, micro.WithLogger(quiet()))
	gw := gateway.New("shop", append([]gateway.Option{
		gateway.WithLogger(quiet()), gateway.WithPublic(), gateway.WithAuthentication(names{"Authorization"}), gateway.WithIdempotency(c),
	}, opts...)...)
	gateway.Route(gw, "POST /payments", client, confirm, gateway.WithOutput(func(_ context.Context, p payment) (accepted, error) {
		return accepted{"/payments/" + p.ID, p}, nil
	}))
	gateway.Route(gw, "PATCH /payments/{id}", client, micro.NewMethod[amountChange, json.RawMessage](micro.Cmd("change")))
	gateway.Event(gw, "POST /paid", client, paid)
	gateway.Stream(gw, "POST /stream", client, confirm)
	gateway.Route(gw, "PUT /payments", client, confirm)
	return gw.Handler()
}

type amountChange struct {
	ID     string `json:"id" path:"id"`
	Force  bool   `json:"force,omitempty" query:"force"`
	Amount int    `json:"amount"`
}

const onePayment = `{"id":"p_1","amount":990}`

// TestIdempotency checks which requests get the response of an earlier one.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	var key string
	q := &queue{before: func(req *micro.Request) error { key = req.Metadata.Get(micro.MetaIdempotencyKey); return nil }}
	h := idempotent(q, gateway.Idempotency{})
	first := post{target: "/payments", body: onePayment, key: "k1"}
	one := first.to(h)
	if one.Code != 201 || one.Header().Get("Location") != "/payments/p_1" || one.Header().Get("Idempotent-Replayed") != "" || key != "k1" {
		t.Fatalf("%d %v %s; key %q", one.Code, one.Header(), one.Body, key)
	}
	two := first.to(h)
	if two.Code != 201 || two.Body.String() != one.Body.String() || two.Header().Get("Idempotent-Replayed") != "true" || q.count() != 1 {
		t.Errorf("%d %v %s; %d messages", two.Code, two.Header(), two.Body, q.count())
	}
	for _, name := range []string{"Location", "Content-Type", "Content-Length"} {
		if a, b := one.Header().Get(name), two.Header().Get(name); a != b {
			t.Errorf("%s: %q, then %q", name, a, b)
		}
	}
	if a, b := one.Header().Get("X-Correlation-Id"), two.Header().Get("X-Correlation-Id"); a == b {
		t.Errorf("both responses have the correlation ID %s", a)
	}
	messages := 1
	for _, c := range []struct {
		what string
		post

		status int
		sends  bool
	}{
		{"another body", post{target: "/payments", body: `{"id":"p_1","amount":991}`, key: "k1"}, 422, false},
		{"another query", post{target: "/payments?a=1", body: onePayment, key: "k1"}, 422, false},
		{"another key", post{target: "/payments", body: onePayment, key: "k2"}, 201, true},
		{"the key in quotes", post{target: "/payments", body: onePayment, key: `"k1"`}, 201, false},
		{"no key", post{target: "/payments", body: onePayment}, 201, true},
		{"no key again", post{target: "/payments", body: onePayment}, 201, true},
		{"another spelling of the path", post{target: "/Payments/", body: onePayment, key: "k1"}, 201, false},
		{"another route", post{target: "/paid", body: onePayment, key: "k1"}, 202, true},
		{"another route, again", post{target: "/paid", body: onePayment, key: "k1"}, 202, false},
		{"a parameter in the path", post{target: "/payments/1?force=true", body: `{"amount":1}`, key: "k1", method: "PATCH"}, 200, true},
		{"a parameter in the path, again", post{target: "/payments/1?force=true", body: `{"amount":1}`, key: "k1", method: "PATCH"}, 200, false},
		{"another one", post{target: "/payments/2?force=true", body: `{"amount":1}`, key: "k1", method: "PATCH"}, 422, false},
		{"another method", post{target: "/payments", body: onePayment, key: "k1", method: "PUT"}, 200, true},
		{"a stream", post{target: "/stream", body: onePayment, key: "k1"}, 200, true},
		{"a stream, again", post{target: "/stream", body: onePayment, key: "k1"}, 200, true},
		{"another caller", post{target: "/payments", body: onePayment, key: "k1", caller: "alice"}, 201, true},
		{"another caller, again", post{target: "/payments", body: onePayment, key: "k1", caller: "alice", address: "192.0.2.9:1"}, 201, false},
		{"another caller's body", post{target: "/payments", body: `{"id":"p_2"}`, key: "k1", caller: "bob"}, 201, true},
		{"another address", post{target: "/payments", body: onePayment, key: "k1", address: "192.0.2.9:1"}, 201, true},
		{"another port", post{target: "/payments", body: onePayment, key: "k1", address: "192.0.2.1:9"}, 201, false},
	} {
		w := c.to(h)
		if c.sends {
			messages++
		}
		if w.Code != c.status || q.count() != messages || (w.Header().Get("Idempotent-Replayed") == "true") != (!c.sends && c.status < 400) {
			t.Errorf("%s: %d %v %s; %d messages, want %d", c.what, w.Code, w.Header(), w.Body, q.count(), messages)
		}
		messages = q.count()
	}
}

// TestIdempotencyInput checks that input from a header or a claim is part of the request.
func TestIdempotencyInput(t *testing.T) {
	t.Parallel()
	type input struct {
		ID     string `json:"id"`
		Tenant string `json:"tenant,omitempty" header:"X-Tenant"`
		Plan   string `json:"plan,omitempty" claim:"plan"`
	}
	q := &queue{}
	plan := "free"
	gw := gateway.New("test", gateway.WithLogger(quiet()), gateway.WithAuthentication(planned{&plan}))
	gateway.Route(gw, "POST /payments", micro.NewClient(q), micro.NewMethod[input, json.RawMessage](micro.Cmd("x")), gateway.WithIdempotency(gateway.Idempotency{}))
	send := func(tenant string) int {
		req := httptest.NewRequest("POST", "/payments", strings.NewReader(`{"id":"p_1"}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "k")
		req.Header.Set("X-Tenant", tenant)
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, req)
		return w.Code
	}
	for _, c := range []struct {
		tenant, plan string
		status       int
	}{{"a", "free", 201}, {"a", "free", 201}, {"b", "free", 422}, {"a", "paid", 422}} {
		plan = c.plan
		if status := send(c.tenant); status != c.status {
			t.Errorf("%+v: %d", c, status)
		}
	}
	if q.count() != 1 {
		t.Errorf("%d messages", q.count())
	}
}

// planned authenticates a user with a claim.
type planned struct{ plan *string }

func (planned) Scheme() (string, *huma.SecurityScheme) { return names{"Authorization"}.Scheme() }

func (p planned) Authenticate(*http.Request) (*principal.Principal, error) {
	return &principal.Principal{Subject: "alice", Claims: json.RawMessage(`{"plan":"` + *p.plan + `"}`)}, nil
}

// TestIdempotencyKeys checks which keys are accepted.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := idempotent(q, gateway.Idempotency{Required: true})
	for key, status := range map[string]int{
		"8e03978e-40d5-43e8-bc93-6894a57f9324": 201, `"8e03978e"`: 201, strings.Repeat("k", 255): 201, `"` + strings.Repeat("k", 255) + `"`: 201, "a,b;c=d": 201,
		strings.Repeat("k", 256): 400, `"`: 400, `""`: 400, `"a`: 400, `a"`: 400, `"a";p=1`: 400, `"a\"b"`: 400, "a b": 400, "a\tb": 400, "ä": 400, "a\x00": 400, " ": 400,
	} {
		w := post{target: "/payments", body: onePayment, key: key}.to(h)
		if w.Code != status {
			t.Errorf("%q: %d %s", key, w.Code, w.Body)
		}
	}
	if w := (post{target: "/payments", body: onePayment}).to(h); w.Code != 400 || !strings.Contains(w.Body.String(), "the header Idempotency-Key is required") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	req := httptest.NewRequest("POST", "/payments", strings.NewReader(onePayment))
	req.Header["Idempotency-Key"] = []string{"a", "b"}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, req); w.Code != 400 {
		t.Errorf("two keys: %d %s", w.Code, w.Body)
	}
}

// TestIdempotencyErrors checks which errors a repeated request gets again, and which it may
// overcome.
func TestIdempotencyErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    string // of the service, as JSON; empty for none
		local  error
		status int
		kept   bool
	}{
		{`{"status":402,"message":"declined"}`, nil, 402, true},
		{`{"status":404,"message":"no"}`, nil, 404, true},
		{`{"status":409,"message":"no"}`, nil, 409, true},
		{`{"status":400,"message":["a","b"]}`, nil, 400, true},
		{`{"status":408,"message":"late"}`, nil, 408, false},
		{`{"status":425,"message":"early"}`, nil, 425, false},
		{`{"status":429,"message":"often"}`, nil, 429, false},
		{`{"status":500,"message":"no"}`, nil, 500, false},
		{`{"status":503,"message":"no"}`, nil, 503, false},
		{`"broken"`, nil, 500, false},
		{"", micro.ErrUnreachable, 503, false},
		{"", micro.ErrConnectionLost, 503, false},
		{"", micro.ErrTimeout, 503, false},
		{"", micro.ErrNoHandler, 501, false},
		{"", micro.Errorf(404, "a guard of the gateway"), 404, false},
	} {
		t.Run(fmt.Sprint(c.status, c.err, c.local), func(t *testing.T) {
			t.Parallel()
			calls := 0
			s := micro.NewServer(micro.WithLogger(quiet()))
			micro.Handle(s, confirm.Pattern(), func(_ context.Context, p payment) (payment, error) {
				if calls++; calls == 1 && c.err != "" {
					return p, micro.NewError(json.RawMessage(c.err))
				}
				return p, nil
			})
			client := microtest.Serve(t, s, micro.WithInterceptors(func(next micro.Handler) micro.Handler {
				return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
					if c.local != nil {
						if calls++; calls == 1 {
							return c.local
						}
					}
					return next(ctx, req, reply)
				}
			}))
			gw := newGateway(gateway.WithIdempotency(gateway.Idempotency{}))
			gateway.Route(gw, "POST /payments", client, confirm)
			p := post{target: "/payments", body: onePayment, key: "k"}
			first := p.to(gw.Handler())
			second := p.to(gw.Handler())
			if kept := second.Code == first.Code && second.Body.String() == first.Body.String(); first.Code != c.status || kept != c.kept || !kept && second.Code != 201 {
				t.Errorf("%d %s, then %d %s", first.Code, first.Body, second.Code, second.Body)
			}
		})
	}
}

// TestIdempotencyOfInvalid checks that a request that is rejected before its message is sent does
// not use up its key.
func TestIdempotencyOfInvalid(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := idempotent(q, gateway.Idempotency{}, gateway.WithBodyLimit(1000))
	for _, body := range []string{"{", `{"id":""}`, `{"id":"a","amount":-1}`, `{"id":"a","more":1}`, `{"id":"` + strings.Repeat("a", 1000) + `"}`} {
		if w := (post{target: "/payments", body: body, key: "k"}).to(h); w.Code != 400 && w.Code != 413 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	if w := (post{target: "/payments", body: onePayment, key: "k"}).to(h); w.Code != 201 || q.count() != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestIdempotencyConcurrent sends a request to two gateways with one store a hundred times at once.
func TestIdempotencyConcurrent(t *testing.T) {
	t.Parallel()
	const copies = 100
	leave := make(chan struct{})
	q := &queue{before: func(*micro.Request) error { <-leave; return nil }}
	store, timeout := gateway.WithStore(memory.New(memory.Limits{})), gateway.WithTimeout(time.Hour) // longer than a busy machine needs
	gateways := []http.Handler{idempotent(q, gateway.Idempotency{}, store, timeout), idempotent(q, gateway.Idempotency{}, store, timeout)}
	p := post{target: "/payments", body: onePayment, key: "k"}
	responses := make(chan *httptest.ResponseRecorder, copies)
	for i := range copies {
		go func() { responses <- p.to(gateways[i%2]) }()
	}
	for range copies - 1 {
		if w := <-responses; w.Code != 409 || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	}
	other := post{target: "/payments", body: `{"id":"p_2"}`, key: "k"}
	if w := other.to(gateways[0]); w.Code != 422 {
		t.Errorf("another body, meanwhile: %d %s", w.Code, w.Body)
	}
	close(leave)
	first := <-responses
	again := p.to(gateways[1])
	if first.Code != 201 || again.Code != 201 || again.Body.String() != first.Body.String() || q.count() != 1 {
		t.Errorf("%d %s, then %d %s; %d messages", first.Code, first.Body, again.Code, again.Body, q.count())
	}
}

// TestIdempotencyDisconnected checks that a client that has lost its connection gets the response
// when it repeats the request.
func TestIdempotencyDisconnected(t *testing.T) {
	t.Parallel()
	client, disconnect := context.WithCancel(t.Context())
	q := &queue{before: func(*micro.Request) error { disconnect(); return nil }}
	h := idempotent(q, gateway.Idempotency{})
	req := httptest.NewRequestWithContext(client, "POST", "/payments", strings.NewReader(onePayment))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "k")
	h.ServeHTTP(httptest.NewRecorder(), req)
	if w := (post{target: "/payments", body: onePayment, key: "k"}).to(h); w.Code != 201 || w.Body.String() != onePayment || q.count() != 1 {
		t.Errorf("%d %s; %d messages", w.Code, w.Body, q.count())
	}
}

// TestIdempotencyTime checks how long a response is kept, and how long a gateway that has died
// blocks a key.
func TestIdempotencyTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		store := &faulty{Store: memory.New(memory.Limits{})}
		h := idempotent(q, gateway.Idempotency{TTL: time.Hour}, gateway.WithStore(store), gateway.WithTimeout(time.Second))
		wants := func(what, key string, status, messages int) {
			t.Helper()
			if w := (post{target: "/payments", body: onePayment, key: key}).to(h); w.Code != status || q.count() != messages {
				t.Errorf("%s: %d %s; %d messages", what, w.Code, w.Body, q.count())
			}
		}
		wants("first", "a", 201, 1)
		<-time.After(time.Hour - time.Second)
		wants("within the hour", "a", 201, 1)
		<-time.After(2 * time.Second)
		wants("after an hour", "a", 201, 2)

		store.end = errors.New("no store") // as if the gateway had died
		wants("before it dies", "b", 201, 3)
		store.end = nil
		wants("as long as it may be in progress", "b", 409, 3)
		<-time.After(6*time.Second + time.Millisecond)
		wants("afterwards", "b", 201, 4)

		store.add = errors.New("no store")
		wants("without the store", "c", 503, 4)
		wants("without the store and a key", "", 201, 5)
	})
}

func TestIdempotencyTooLarge(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h := idempotent(q, gateway.Idempotency{MaxResponse: len(onePayment)})
	for _, c := range []struct {
		body   string
		status int
	}{{onePayment, 201}, {`{"id":"p_12","amount":990}`, 409}} {
		p := post{target: "/payments", body: c.body, key: fmt.Sprint("k", len(c.body))}
		first, second := p.to(h), p.to(h)
		if first.Code != 201 || second.Code != c.status {
			t.Errorf("%d %s, then %d %s", first.Code, first.Body, second.Code, second.Body)
		}
	}
	if q.count() != 2 {
		t.Errorf("%d messages", q.count())
	}
}

// TestIdempotencyPanic checks that a panic frees the key.
func TestIdempotencyPanic(t *testing.T) {
	t.Parallel()
	broken := true
	q := &queue{before: func(*micro.Request) error {
		if broken {
			panic("broken")
		}
		return nil
	}}
	h := idempotent(q, gateway.Idempotency{})
	p := post{target: "/payments", body: onePayment, key: "k"}
	if w := p.to(h); w.Code != 500 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	broken = false
	if w := p.to(h); w.Code != 201 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestIdempotencyPanics(t *testing.T) {
	t.Parallel()
	client := micro.NewClient(&queue{})
	option := gateway.WithIdempotency(gateway.Idempotency{})
	for name, add := range map[string]func(*gateway.Gateway){
		"GET":    func(g *gateway.Gateway) { gateway.Route(g, "GET /x", client, confirm, option) },
		"PUT":    func(g *gateway.Gateway) { gateway.Route(g, "PUT /x", client, confirm, option) },
		"stream": func(g *gateway.Gateway) { gateway.Stream(g, "POST /x", client, confirm, option) },
		"webhook": func(g *gateway.Gateway) {
			gateway.Webhook(g, "POST /x", client, paid, standard(t), option)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); !strings.Contains(fmt.Sprint(p), "WithIdempotency is for POST and PATCH") {
					t.Errorf("panic %v", p)
				}
			}()
			add(gateway.New("test"))
		})
	}
	gateway.Webhook(gateway.New("test", option), "POST /x", client, paid, standard(t)) // the option of the gateway does not apply
}

// TestIdempotencyCORS checks that a page of another origin sees whether a response was replayed.
func TestIdempotencyCORS(t *testing.T) {
	t.Parallel()
	h := idempotent(&queue{}, gateway.Idempotency{}, gateway.WithCORS("https://shop.example"))
	req := httptest.NewRequest("POST", "/payments", strings.NewReader(onePayment))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", "https://shop.example")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if exposed := w.Header().Get("Access-Control-Expose-Headers"); w.Code != 201 || !strings.Contains(exposed, "Idempotent-Replayed") {
		t.Errorf("%d, exposed headers %q", w.Code, exposed)
	}
}

func TestIdempotencyDocument(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	idempotent(&queue{}, gateway.Idempotency{}).ServeHTTP(w, httptest.NewRequest("GET", "/api-json", nil))
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string }
			Responses  map[string]struct{ Headers map[string]any }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]bool{"post /payments": true, "patch /payments/{id}": true, "post /paid": true, "put /payments": false, "post /stream": false} {
		method, path, _ := strings.Cut(target, " ")
		op := doc.Paths[path][method]
		var has bool
		for _, p := range op.Parameters {
			has = has || p.Name == "Idempotency-Key" && p.In == "header"
		}
		_, conflict := op.Responses["409"]
		_, reused := op.Responses["422"]
		var replayed bool
		for status, r := range op.Responses {
			replayed = replayed || status < "300" && r.Headers["Idempotent-Replayed"] != nil
		}
		if has != want || conflict != want || reused != want || replayed != want {
			t.Errorf("%s: parameter %t, 409 %t, 422 %t, header %t", target, has, conflict, reused, replayed)
		}
	}
}
