package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/memory"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/principal"
)

// byName authenticates a caller by the name in the header X-Caller.
type byName struct{ checked atomic.Int64 }

func (a *byName) Authenticate(req *http.Request) (*principal.Principal, error) {
	a.checked.Add(1)
	switch name := req.Header.Get("X-Caller"); name {
	case "":
		return nil, gateway.ErrNoCredentials
	case "wrong":
		return nil, errors.New("wrong")
	default:
		return &principal.Principal{Subject: name}, nil
	}
}

func (*byName) Scheme() (string, *huma.SecurityScheme) {
	return "byName", &huma.SecurityScheme{Type: "apiKey", In: "header", Name: "X-Caller"}
}

// from is a request of a caller from an address.
func from(h http.Handler, target, address, caller string, header ...string) *httptest.ResponseRecorder {
	method, path, _ := strings.Cut(target, " ")
	req := httptest.NewRequest(method, path, strings.NewReader("{}"))
	req.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 1000).String()
	req.Header.Set("Content-Type", "application/json")
	if caller != "" {
		req.Header.Set("X-Caller", caller)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// statuses sends requests of a caller until one is limited or n are sent, and returns the number
// that were not.
func admitted(t *testing.T, n int, send func() *httptest.ResponseRecorder) int {
	t.Helper()
	for i := range n {
		if send().Code == http.StatusTooManyRequests {
			return i
		}
	}
	return n
}

type anything = json.RawMessage

func anyRoute(g *gateway.Gateway, target string, c *micro.Client, opts ...gateway.RouteOption) {
	gateway.Route(g, target, c, micro.NewMethod[anything, anything](echo), opts...)
}

const addr1, addr2 = "203.0.113.1", "203.0.113.2"

// TestRateLimit checks the responses of a limited route: those that NestJS's throttler sends, and
// the standard headers.
func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, c := overEcho(t, gateway.WithRateLimit(gateway.Rate{Limit: 5, Period: time.Minute}))
		anyRoute(gw, "POST /items", c)
		anyRoute(gw, "POST /free", c, gateway.WithRateLimit())
		h := gw.Handler()
		for i := range 6 {
			w := from(h, "POST /items", addr1, "")
			want := map[string]string{
				"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": fmt.Sprint(4 - i), "X-RateLimit-Reset": fmt.Sprint(12 * (i + 1)),
				"RateLimit-Limit": "5", "RateLimit-Remaining": fmt.Sprint(4 - i), "RateLimit-Reset": fmt.Sprint(12 * (i + 1)),
				"RateLimit": fmt.Sprintf(`"default";r=%d;t=%d`, 4-i, 12*(i+1)), "RateLimit-Policy": `"default";q=5;w=60`, "Retry-After": "",
			}
			status := http.StatusCreated
			if i == 5 {
				status = http.StatusTooManyRequests
				want["X-RateLimit-Remaining"], want["RateLimit-Remaining"] = "0", "0"
				want["X-RateLimit-Reset"], want["RateLimit-Reset"], want["RateLimit"], want["Retry-After"] = "60", "60", `"default";r=0;t=60`, "12"
				const body = `{"statusCode":429,"message":"ThrottlerException: Too Many Requests"}`
				if w.Body.String() != body {
					t.Errorf("body %s, want %s", w.Body, body)
				}
			}
			if w.Code != status {
				t.Errorf("request %d: status %d", i+1, w.Code)
			}
			for name, value := range want {
				if got := w.Header().Get(name); got != value {
					t.Errorf("request %d: %s: %q, want %q", i+1, name, got, value)
				}
			}
		}
		if w := from(h, "POST /items", addr2, ""); w.Code != http.StatusCreated {
			t.Errorf("another address: %d", w.Code)
		}
		if w := from(h, "POST /free", addr1, ""); w.Code != http.StatusCreated || w.Header().Get("RateLimit") != "" {
			t.Errorf("a route without a limit: %d, %q", w.Code, w.Header().Get("RateLimit"))
		}
		<-time.After(12 * time.Second)
		if got := admitted(t, 5, func() *httptest.ResponseRecorder { return from(h, "POST /items", addr1, "") }); got != 1 {
			t.Errorf("after a fifth of the period, %d requests are admitted", got)
		}
	})
}

// TestCallers checks who counts as one caller.
func TestCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, c := overEcho(t, gateway.WithAuthentication(&byName{}), gateway.WithRateLimit(gateway.Rate{Limit: 3, Period: time.Hour}))
		anyRoute(gw, "POST /items", c)
		anyRoute(gw, "POST /orders", c)
		anyRoute(gw, "POST /closed", c, gateway.WithScopes("x"))
		tenant := gateway.Rate{Limit: 3, Period: time.Hour, Name: "tenant", By: func(req *http.Request) string {
			if p := principal.FromContext(req.Context()); p != nil {
				name, _, _ := strings.Cut(p.Subject, "@")
				return name
			}
			return ""
		}}
		anyRoute(gw, "POST /tenants", c, gateway.WithRateLimit(tenant))
		total := gateway.WithRateLimit(gateway.Rate{Limit: 3, Period: time.Hour, Name: "total", AllRoutes: true})
		anyRoute(gw, "POST /a", c, total)
		anyRoute(gw, "POST /b", c, total)
		gateway.Operation(gw, huma.Operation{Method: "POST", Path: "/login"}, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
		h := gw.Handler()
		for _, step := range []struct {
			name, target, address, caller string
			admitted                      int
		}{
			{"an address", "POST /items", addr1, "", 3},
			{"wrong credentials of the same address, on a public route", "POST /items", addr1, "wrong", 0},
			{"a subject at the same address", "POST /items", addr1, "ada", 3},
			{"the subject at another address", "POST /items", addr2, "ada", 0},
			{"the subject on another route", "POST /orders", addr1, "ada", 3},
			{"an IPv6 address", "POST /items", "2001:db8:0:1::1", "", 3},
			{"one in the same network", "POST /items", "2001:db8:0:1:ffff::2", "", 0},
			{"one in another network", "POST /items", "2001:db8:0:2::1", "", 3},
			{"failed credentials", "POST /closed", addr1, "wrong", 3},
			{"a caller who may not", "POST /closed", addr1, "eve", 3},
			{"a tenant", "POST /tenants", addr1, "acme@ada", 3},
			{"another user of the tenant", "POST /tenants", addr1, "acme@bob", 0},
			{"without a tenant", "POST /tenants", addr1, "", 10},
			{"one of the routes together", "POST /a", addr1, "ada", 3},
			{"the other one of them", "POST /b", addr1, "ada", 0},
			{"an operation", "POST /login", addr1, "", 3},
		} {
			if got := admitted(t, 10, func() *httptest.ResponseRecorder { return from(h, step.target, step.address, step.caller) }); got != step.admitted {
				t.Errorf("%s: %d requests are admitted, want %d", step.name, got, step.admitted)
			}
		}
	})
}

// TestSeveralRates checks that requests keep to all rates, and which headers show which.
func TestSeveralRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, c := overEcho(t, gateway.WithCORS("https://shop.example"))
		anyRoute(gw, "POST /items", c, gateway.WithRateLimit(
			gateway.Rate{Limit: 2, Period: time.Second},
			gateway.Rate{Limit: 3, Period: time.Hour, Name: "long"},
		))
		h := gw.Handler()
		send := func() *httptest.ResponseRecorder {
			return from(h, "POST /items", addr1, "", "Origin", "https://shop.example")
		}
		w := send()
		for name, want := range map[string]string{
			"X-RateLimit-Remaining": "1", "X-RateLimit-Remaining-long": "2", "RateLimit-Remaining": "1", "RateLimit-Limit": "2",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if got := w.Header().Values("RateLimit"); len(got) != 2 || len(w.Header().Values("RateLimit-Policy")) != 2 {
			t.Errorf("RateLimit: %q", got)
		}
		exposed := strings.ToLower(w.Header().Get("Access-Control-Expose-Headers"))
		for _, name := range []string{"ratelimit", "ratelimit-policy", "ratelimit-remaining", "x-ratelimit-remaining", "x-ratelimit-reset-long", "retry-after-long"} {
			if !strings.Contains(exposed, name) {
				t.Errorf("pages cannot read %s: %s", name, exposed)
			}
		}
		send()
		if w := send(); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || w.Header().Get("Retry-After-long") != "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		<-time.After(time.Minute)
		send()
		if w := send(); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After-long") != "1140" || w.Header().Get("Retry-After") != "1140" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

// TestAddressLimit checks that it counts before the credentials are checked, for everything but
// health checks.
func TestAddressLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		method := &byName{}
		gw, c := overEcho(t, gateway.WithAuthentication(method), gateway.WithAddressLimit(gateway.Rate{Limit: 10, Period: time.Hour}))
		anyRoute(gw, "POST /items", c)
		h := gw.Handler()
		for i := range 5 {
			from(h, "POST /items", addr1, fmt.Sprint("user", i))
			from(h, "POST /nothing", addr1, "")
		}
		w := from(h, "POST /items", addr1, "user9")
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "360" || method.checked.Load() != 5 {
			t.Errorf("%d %v, %d credentials checked", w.Code, w.Header(), method.checked.Load())
		}
		if w := from(h, "GET /nothing", addr1, ""); w.Code != http.StatusTooManyRequests {
			t.Errorf("a request without a route: %d", w.Code)
		}
		if w := from(h, "GET /health/live", addr1, ""); w.Code != http.StatusOK {
			t.Errorf("a health check: %d", w.Code)
		}
		// A rate of the same name is another limit.
		gw, c = overEcho(t, gateway.WithAddressLimit(gateway.Rate{Limit: 3, Period: time.Hour}))
		anyRoute(gw, "POST /items", c, gateway.WithRateLimit(gateway.Rate{Limit: 3, Period: time.Hour, Name: "address", AllRoutes: true}))
		if got := admitted(t, 5, func() *httptest.ResponseRecorder { return from(gw.Handler(), "POST /items", addr1, "") }); got != 3 {
			t.Errorf("%d requests are admitted, want 3", got)
		}
		if w := from(h, "POST /items", addr2, "user9"); w.Code != http.StatusCreated || w.Header().Get("RateLimit") != "" {
			t.Errorf("another address: %d %v", w.Code, w.Header())
		}
	})
}

// TestTrustedProxies checks that addresses are accepted from trusted proxies only.
func TestTrustedProxies(t *testing.T) {
	rate := gateway.WithRateLimit(gateway.Rate{Limit: 3, Period: time.Hour})
	proxies := gateway.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/8"))
	var log lines
	for _, tt := range []struct {
		name, address, forwarded string
		opts                     []gateway.Option
		admitted                 int
	}{
		{"no proxies, invented addresses", addr1, "198.51.100.%d", []gateway.Option{rate}, 3},
		{"proxies, but another connection", addr1, "198.51.100.%d", []gateway.Option{rate, proxies}, 3},
		{"a proxy, invented addresses", "10.0.0.1", "198.51.100.%d, 203.0.113.9", []gateway.Option{rate, proxies}, 3},
		{"a proxy, several clients", "10.0.0.1", "198.51.100.%d", []gateway.Option{rate, proxies}, 10},
	} {
		gw, c := overEcho(t, append(tt.opts, gateway.WithLogger(slog.New(slog.NewJSONHandler(&log, nil))))...)
		anyRoute(gw, "POST /items", c)
		n := 0
		got := admitted(t, 10, func() *httptest.ResponseRecorder {
			n++
			forwarded := tt.forwarded
			if strings.Contains(forwarded, "%") {
				forwarded = fmt.Sprintf(forwarded, n)
			}
			return from(gw.Handler(), "POST /items", tt.address, "", "X-Forwarded-For", forwarded)
		})
		if got != tt.admitted {
			t.Errorf("%s: %d requests are admitted, want %d", tt.name, got, tt.admitted)
		}
	}
	all := log.all(t)
	warnings := 0
	for _, line := range all {
		if line["level"] == "WARN" {
			warnings++
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings about a proxy that is not trusted", warnings)
	}
	if last := all[len(all)-1]; last["client"] != "198.51.100.10" {
		t.Errorf("log: %v", last)
	}
}

// brokenStore is a store that is not available.
type brokenStore struct{ *memory.Store }

func (brokenStore) GetWithTime(context.Context, string) (int64, time.Time, error) {
	return 0, time.Time{}, errors.New("the store has a password: hunter2")
}

func TestStoreOutage(t *testing.T) {
	for _, tt := range []struct {
		name     string
		outage   []gateway.Option
		admitted int
		status   int
	}{
		{"default", nil, 6, http.StatusTooManyRequests},
		{"locally", []gateway.Option{gateway.WithOutage(gateway.LimitLocally(2))}, 3, http.StatusTooManyRequests},
		{"admit", []gateway.Option{gateway.WithOutage(gateway.AdmitAll())}, 10, http.StatusCreated},
		{"reject", []gateway.Option{gateway.WithOutage(gateway.RejectAll())}, 0, http.StatusServiceUnavailable},
	} {
		opts := append([]gateway.Option{gateway.WithStore(brokenStore{memory.New(memory.Limits{})}), gateway.WithRateLimit(gateway.Rate{Limit: 6, Period: time.Hour})}, tt.outage...)
		gw, c := overEcho(t, opts...)
		anyRoute(gw, "POST /items", c)
		created := 0
		var last *httptest.ResponseRecorder
		for range 10 {
			if last = from(gw.Handler(), "POST /items", addr1, ""); last.Code == http.StatusCreated {
				created++
			}
		}
		if created != tt.admitted || last.Code != tt.status || strings.Contains(last.Body.String(), "hunter2") {
			t.Errorf("%s: %d requests are admitted, the last response is %d %s", tt.name, created, last.Code, last.Body)
		}
	}
}

func TestInvalidRates(t *testing.T) {
	ok := gateway.Rate{Limit: 1, Period: time.Second}
	for name, set := range map[string]func(){
		"zero":           func() { gateway.WithRateLimit(gateway.Rate{}) },
		"no period":      func() { gateway.WithRateLimit(gateway.Rate{Limit: 1}) },
		"negative":       func() { gateway.WithRateLimit(gateway.Rate{Limit: -1, Period: time.Second}) },
		"too fast":       func() { gateway.WithRateLimit(gateway.Rate{Limit: 10, Period: 9}) },
		"burst":          func() { gateway.WithRateLimit(gateway.Rate{Limit: 1, Period: time.Second, Burst: -1}) },
		"name":           func() { gateway.WithRateLimit(gateway.Rate{Limit: 1, Period: time.Second, Name: "a\r\nb"}) },
		"twice":          func() { gateway.WithRateLimit(ok, ok) },
		"of the address": func() { gateway.WithAddressLimit(gateway.Rate{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			set()
		}()
	}
}

// TestLimitsAreDocumented checks the OpenAPI document of limited and other routes.
func TestLimitsAreDocumented(t *testing.T) {
	gw, c := overEcho(t)
	limited := gateway.WithRateLimit(gateway.Rate{Limit: 5, Period: time.Minute})
	anyRoute(gw, "POST /items", c, limited)
	anyRoute(gw, "POST /free", c)
	gateway.Operation(gw, huma.Operation{Method: "POST", Path: "/login"}, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil }, limited)
	var doc struct {
		Paths map[string]struct {
			Post struct {
				Responses map[string]struct {
					Ref     string `json:"$ref"`
					Headers map[string]any
				}
			}
		}
	}
	if err := json.Unmarshal(from(gw.Handler(), "GET /api-json", addr1, "").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, wanted := range map[string]bool{"/items": true, "/login": true, "/free": false} {
		responses := doc.Paths[path].Post.Responses
		got := responses["429"].Ref == "#/components/responses/TooManyRequests"
		_, remaining := responses["201"].Headers["X-RateLimit-Remaining"]
		if got != wanted || path == "/items" && !remaining || path == "/free" && remaining {
			t.Errorf("%s: %v", path, responses)
		}
	}
}

// BenchmarkLimitedRoute is BenchmarkRoute with a limit.
func BenchmarkLimitedRoute(b *testing.B) {
	for _, opts := range [][]gateway.Option{nil, {gateway.WithRateLimit(gateway.Rate{Limit: 1e9, Period: time.Hour})}} {
		b.Run(fmt.Sprint(len(opts), "limits"), func(b *testing.B) {
			gw := newGateway(opts...)
			gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/nothing"}, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
			h := gw.Handler()
			b.ReportAllocs()
			for b.Loop() {
				if w := from(h, "GET /nothing", addr1, ""); w.Code != http.StatusNoContent {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
