package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/policy"
	"github.com/msctl/msctl/runtime/telemetry"
)

// wires are the ways from service to service that a trace takes. place returns the address of a service that is about to listen.
var wires = []struct {
	name  string
	start func(testing.TB, ...string) *testenv.Broker // nil for TCP
	dial  func(url, place string) micro.Conn
	serve func(url, place string) micro.Listener
	nest  string // --transport
}{
	{
		"tcp", nil,
		func(_, port string) micro.Conn { return microtcp.Dial("127.0.0.1:" + port) },
		func(_, port string) micro.Listener { return microtcp.Listen("127.0.0.1:" + port) }, "tcp",
	},
	{
		"rabbitmq", testenv.RabbitMQ,
		func(url, queue string) micro.Conn { return microrabbit.Dial(url, queue) },
		func(url, queue string) micro.Listener { return microrabbit.Listen(url, queue) }, "rmq",
	},
	{
		"redis", testenv.PrivateRedis,
		func(url, _ string) micro.Conn { return microredis.Dial(url) },
		func(url, _ string) micro.Listener { return microredis.Listen(url) }, "redis",
	},
	{
		"nats", testenv.PrivateNATS,
		func(url, _ string) micro.Conn { return micronats.Dial(url) },
		func(url, _ string) micro.Listener { return micronats.Listen(url) }, "nats",
	},
}

type (
	byID struct {
		ID string `json:"id" path:"id"`
	}
	order struct {
		ID    string `json:"id"`
		Stock int    `json:"stock"`
	}
)

var (
	findOrder  = micro.NewMethod[byID, order](micro.Cmd("findOrder"))
	findItem   = micro.NewMethod[byID, order](micro.Cmd("findItem"))
	countStock = micro.NewMethod[byID, int](micro.Cmd("countStock"))
)

// TestTrace checks that one request is one trace: four spans from the gateway through a Go service to a NestJS service, and
// a fifth in the Go service behind that, over every transport.
func TestTrace(t *testing.T) {
	snippet := documented(t)
	for _, wire := range wires {
		t.Run(wire.name, func(t *testing.T) {
			testenv.NeedNest(t, testenv.Nest12)
			url, place := "", func(name string) string { return testenv.Unique(t, name) }
			args := []string{"--transport", wire.nest, "--snippet", snippet}
			if wire.start == nil {
				place = func(string) string { return testenv.Port(t) }
			} else {
				url = wire.start(t).URL
				args = append(args, "--url", url)
			}
			received := newReceiver(t)
			at := map[string]string{"orders": place("orders"), "items": place("items"), "stock": place("stock")}

			stock := received.telemetry(t, "stock")
			s := micro.NewServer(micro.WithLogger(discard), stock.Server())
			countStock.Handle(s, func(context.Context, byID) (int, error) { return 3, nil })
			endStock := running(t, s, wire.serve(url, at["stock"]))

			args = append(args, "--stock", at["stock"])
			if wire.name == "rabbitmq" {
				args = append(args, "--queue", at["items"])
			}
			nest := testenv.TraceNest(t, args...)
			if wire.start == nil {
				at["items"] = strconv.Itoa(nest.Port)
			}

			orders := received.telemetry(t, "orders")
			items := micro.NewClient(wire.dial(url, at["items"]), orders.Client("items", policy.New()))
			s = micro.NewServer(micro.WithLogger(discard), orders.Server())
			findOrder.Handle(s, func(ctx context.Context, in byID) (order, error) { return findItem.Call(ctx, items, in) })
			endOrders := running(t, s, wire.serve(url, at["orders"]))

			edge := received.telemetry(t, "gateway")
			client := micro.NewClient(wire.dial(url, at["orders"]), edge.Client("orders", policy.New()))
			// One attempt with enough time: a retry on a busy machine would add spans.
			gw := gateway.New("shop", gateway.WithLogger(discard), gateway.WithPublic(), gateway.WithTimeout(time.Minute), gateway.WithObserver(edge.ObserveHTTP))
			gateway.Route(gw, "GET /orders/{id}", client, findOrder)
			w := httptest.NewRecorder()
			gw.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/orders/7", nil))
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"stock":3`) {
				t.Errorf("response %d %s", w.Code, w.Body)
			}

			_, _ = client.Close(), items.Close()
			endOrders()
			endStock()
			for _, tel := range []*telemetry.Telemetry{edge, orders, stock} {
				tel.Close() // exports
			}
			want := []string{
				`gateway server GET /orders/{id}`,
				`gateway client {"cmd":"findOrder"}`,
				`orders server {"cmd":"findOrder"}`,
				`orders client {"cmd":"findItem"}`,
				`stock server {"cmd":"countStock"}`, // its parent is the span before, through NestJS
			}
			if diff := cmp.Diff(want, received.chain(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTracedLogs checks that the log lines of a gateway and of a service have the IDs of the spans that the collector gets.
func TestTracedLogs(t *testing.T) {
	received := newReceiver(t)
	tel := received.telemetry(t, "shop")
	var text bytes.Buffer // slog's handler writes one line at a time
	log := slog.New(telemetry.LogHandler(slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})))
	s := micro.NewServer(micro.WithLogger(log), tel.Server())
	countStock.Handle(s, func(ctx context.Context, _ byID) (int, error) {
		log.InfoContext(ctx, "counting")
		return 3, nil
	})
	network := microtest.New()
	end := running(t, s, network)
	client := network.Client(tel.Client("stock", nil))
	gw := gateway.New("shop", gateway.WithLogger(log), gateway.WithPublic(), gateway.WithTimeout(time.Minute), gateway.WithObserver(tel.ObserveHTTP))
	gateway.Route(gw, "GET /stock/{id}", client, countStock)
	gw.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/stock/7", nil))
	_ = client.Close()
	end()
	tel.Close()
	close(received.spans)
	want := map[string]string{} // the IDs, by kind and name of the span
	for span := range received.spans {
		want[fmt.Sprint(span.Kind, " ", span.Name)] = fmt.Sprintf("%x %x", span.TraceId, span.SpanId)
	}
	spanOf := map[string]string{
		"request":  "SPAN_KIND_SERVER GET /stock/{id}",
		"counting": `SPAN_KIND_SERVER {"cmd":"countStock"}`,
		"handled":  `SPAN_KIND_SERVER {"cmd":"countStock"}`,
	}
	for line := range strings.Lines(text.String()) {
		var got struct {
			Msg, TraceID, SpanID string
		}
		if err := json.Unmarshal([]byte(strings.NewReplacer("trace_id", "TraceID", "span_id", "SpanID").Replace(line)), &got); err != nil {
			t.Fatal(err)
		}
		if ids := got.TraceID + " " + got.SpanID; want[spanOf[got.Msg]] == "" || ids != want[spanOf[got.Msg]] {
			t.Errorf("%q has the IDs %s, want %s", got.Msg, ids, want[spanOf[got.Msg]])
		}
		delete(spanOf, got.Msg)
	}
	if len(spanOf) > 0 {
		t.Errorf("no log lines %v", spanOf)
	}
}

var discard = slog.New(slog.DiscardHandler)

// documented returns the code in docs/telemetry.md for NestJS services.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "telemetry.md"))
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)\n```ts\n(.*?)```\n").FindSubmatch(text)
	if code == nil {
		t.Fatal("docs/telemetry.md contains no TypeScript")
	}
	return string(code[1])
}

// running serves until the returned function is called, which waits for the end.
func running(t *testing.T, s *micro.Server, l micro.Listener) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	testenv.Eventually(t, time.Minute, "the service is ready", func() bool { return s.Ready(ctx) == nil })
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// receiver is a collector that keeps the spans that it gets as OTLP, by the name of their service.
type receiver struct {
	url   string
	spans chan receivedSpan
}

type receivedSpan struct {
	service string
	*trace.Span
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{spans: make(chan receivedSpan, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var export collector.ExportTraceServiceRequest
		body, err := io.ReadAll(req.Body)
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if err != nil {
			t.Error(err)
		}
		for _, resource := range export.ResourceSpans {
			service := ""
			for _, a := range resource.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.GetStringValue()
				}
			}
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					r.spans <- receivedSpan{service, span}
				}
			}
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// telemetry returns the telemetry of a service that exports to the receiver.
func (r *receiver) telemetry(t *testing.T, service string) *telemetry.Telemetry {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.url)
	tel := telemetry.New(service, telemetry.WithLogger(discard))
	t.Cleanup(tel.Close)
	return tel
}

// chain returns the spans received, each the parent of the next. They must belong to one trace, and no other span may exist.
func (r *receiver) chain(t *testing.T) []string {
	t.Helper()
	close(r.spans)
	byParent := map[string]receivedSpan{}
	for s := range r.spans {
		if other, ok := byParent[string(s.ParentSpanId)]; ok {
			t.Errorf("%s %s and %s %s have the same parent", s.service, s.Name, other.service, other.Name)
		}
		byParent[string(s.ParentSpanId)] = s
	}
	var chain []string
	first := byParent[""]
	for at, ok := first, first.Span != nil; ok; at, ok = byParent[string(at.SpanId)] {
		if string(at.TraceId) != string(first.TraceId) {
			t.Errorf("%s %s belongs to another trace", at.service, at.Name)
		}
		kind := strings.ToLower(strings.TrimPrefix(at.Kind.String(), "SPAN_KIND_"))
		chain = append(chain, fmt.Sprintf("%s %s %s", at.service, kind, at.Name))
	}
	if len(chain) != len(byParent) {
		t.Errorf("%d of %d spans are not in the chain", len(byParent)-len(chain), len(byParent))
	}
	return chain
}
