package telemetry_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/policy"
	"github.com/msctl/msctl/runtime/telemetry"
)

// A service and its client with metrics and, if the environment names a collector, traces.
func ExampleNew() {
	ctx, stop := context.WithCancel(context.Background())
	log := slog.New(telemetry.LogHandler(slog.DiscardHandler))
	t := telemetry.New("items", telemetry.WithVersion("1.2.0"), telemetry.WithLogger(log))
	defer t.Close()

	findItem := micro.Cmd("findItem")
	s := micro.NewServer(t.Server(), micro.WithLogger(log))
	micro.Handle(s, findItem, func(_ context.Context, id int) (string, error) { return "Cup", nil })
	network := microtest.New() // outside of tests: microtcp.Listen and microtcp.Dial
	served := make(chan error)
	go func() { served <- s.Serve(ctx, network) }()

	// Empty without telemetry; ":9464" or "0.0.0.0:9464" with it.
	if err := t.Listen(ctx, os.Getenv("PRIVATE_ADDRESS"), s); err != nil {
		fmt.Println(err)
	}
	items := network.Client(t.Client("items", policy.Recommended()))
	fmt.Println(micro.Call[string](ctx, items, findItem, 7))
	stop()
	fmt.Println(<-served)
	// Output:
	// Cup <nil>
	// <nil>
}

// A gateway: gateway.New("shop", gateway.WithObserver(t.ObserveHTTP)).
func ExampleTelemetry_ObserveHTTP() {
	t := telemetry.New("gateway", telemetry.WithTrustedTraces(func(req *http.Request) bool {
		return strings.HasPrefix(req.RemoteAddr, "10.") // the load balancer
	}))
	defer t.Close()
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, end := t.ObserveHTTP(req)
		defer end("GET /items/{id}", http.StatusOK)
		_, _ = io.WriteString(w, http.StatusText(http.StatusOK))
		_ = ctx // for the messages that the request causes
	})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/items/7", nil))
	fmt.Println(w.Body)
	// Output: OK
}

// Metrics of your own are served with the others.
func ExampleTelemetry_Registry() {
	t := telemetry.New("orders")
	defer t.Close()
	paid := prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_paid_total", Help: "Orders that have been paid."})
	t.Registry().MustRegister(paid)
	paid.Inc()
	_, span := t.TracerProvider().Tracer("orders").Start(context.Background(), "charge the card")
	span.End() // spans of your own, too
	// Output:
}

// Log lines of a message or request have the IDs of its span.
func ExampleLogHandler() {
	log := slog.New(telemetry.LogHandler(slog.NewJSONHandler(os.Stderr, nil)))
	log.InfoContext(context.Background(), "no span, no IDs")
	// Output:
}
