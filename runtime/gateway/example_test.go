package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/memory"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

// A gateway in front of a service, and its responses to two requests.
func ExampleNew() {
	type greeting struct {
		Name  string `json:"name" path:"name"`
		Times int    `json:"times,omitempty" minimum:"1" maximum:"3" default:"1"`
	}
	greet := micro.Cmd("greet")
	log := slog.New(slog.DiscardHandler)

	service := micro.NewServer(micro.WithLogger(log))
	micro.Handle(service, greet, func(_ context.Context, g greeting) (string, error) {
		return strings.Repeat("Hello "+g.Name+"! ", g.Times), nil
	})
	network := microtest.New() // outside of tests: microtcp.Listen and microtcp.Dial
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- service.Serve(ctx, network) }()

	gw := gateway.New("greeter", gateway.WithLogger(log))
	gateway.Route(gw, "GET /hello/{name}", network.Client(), micro.NewMethod[greeting, string](greet), gateway.WithPublic(), gateway.WithSummary("Greet a user"))

	for _, path := range []string{"/hello/Ada?times=2", "/hello/Ada?times=9&loud=yes"} {
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Println(w.Code, w.Body)
	}
	stop()
	fmt.Println(<-served)
	// Output:
	// 200 "Hello Ada! Hello Ada! "
	// 400 {"message":["times must not be greater than 3"],"error":"Bad Request","statusCode":400}
	// <nil>
}

// An observer of all requests; that of runtime/telemetry counts and traces them.
func ExampleWithObserver() {
	observe := func(req *http.Request) (context.Context, func(route string, status int)) {
		return req.Context(), func(route string, status int) { fmt.Printf("%s: %d\n", route, status) }
	}
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithObserver(observe))
	gw.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/health/live", nil))
	// Output: GET /health/live: 200
}

// Each caller may send two requests at once, and two per minute in the long run.
func ExampleWithRateLimit() {
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithPublic(),
		gateway.WithStore(memory.New(memory.Limits{Counters: 100_000})), // or redisstore.Open, for several gateways
		gateway.WithOutage(gateway.LimitLocally(2)),                     // of that Redis
		gateway.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/8")),
		gateway.WithAddressLimit(gateway.Rate{Limit: 100, Period: time.Minute}),
		gateway.WithRateLimit(gateway.Rate{Limit: 2, Period: time.Minute}),
	)
	gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/address"}, func(ctx context.Context, _ *struct{}) (*struct{ Body string }, error) {
		return &struct{ Body string }{gateway.ClientAddress(ctx).String()}, nil
	})

	for range 3 {
		req := httptest.NewRequest("GET", "/address", nil)
		req.RemoteAddr = "10.0.0.1:5000"
		req.Header.Set("X-Forwarded-For", "203.0.113.7")
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, req)
		fmt.Println(w.Code, w.Header().Get("X-RateLimit-Remaining"), strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// 200 1 "203.0.113.7"
	// 200 0 "203.0.113.7"
	// 429 0 {"statusCode":429,"message":"ThrottlerException: Too Many Requests"}
}

// Of requests to one service, at most 100 are in progress, and twice as many with payments.
func ExampleWithConcurrency() {
	network := microtest.New()
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithPublic(),
		gateway.WithConcurrency(100),
		gateway.WithHeaderLimits(2048, 16<<10, 50),
		gateway.WithConnectionLimits(1000, 10*time.Second),
	)
	pay := micro.NewMethod[struct{}, struct{}](micro.Cmd("pay"))
	gateway.Route(gw, "POST /payments", network.Client(), pay, gateway.WithPriority(gateway.PriorityHigh))

	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/api?"+strings.Repeat("x", 2048), nil))
	fmt.Println(w.Code, w.Body)
	// Output:
	// 414 {"message":"The URL is too long","error":"Request URI Too Long","statusCode":414}
}
