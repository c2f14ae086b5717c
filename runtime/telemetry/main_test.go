package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what must happen soon; it is long because much else may run here.
const soon = time.Minute

var discard = slog.New(slog.DiscardHandler)

// The patterns of the test server.
var (
	get  = micro.Cmd("get")   // replies with its data, or fails if the data is an error
	seen = micro.Name("seen") // an event
)

var errBoom = errors.New("boom")

// newServer returns a server that t observes.
func newServer(t *Telemetry, opts ...micro.ServerOption) *micro.Server {
	s := micro.NewServer(append([]micro.ServerOption{micro.WithLogger(discard), t.Server()}, opts...)...)
	micro.Handle(s, get, func(_ context.Context, in string) (string, error) {
		switch in {
		case "boom":
			return "", errBoom
		case "409":
			return "", micro.Errorf(409, "conflict")
		}
		return in, nil
	})
	micro.HandleEvent(s, seen, func(context.Context, micro.None) error { return nil })
	return s
}

// newTelemetry returns telemetry that ends with the test.
func newTelemetry(t testing.TB, opts ...Option) *Telemetry {
	t.Helper()
	tel := New("shop", append([]Option{WithLogger(discard)}, opts...)...)
	t.Cleanup(tel.Close)
	return tel
}

// traced returns telemetry with the spans that have ended.
func traced(t testing.TB, opts ...Option) (*Telemetry, *tracetest.InMemoryExporter) {
	t.Helper()
	tel := newTelemetry(t, opts...)
	spans := tracetest.NewInMemoryExporter()
	tel.traceTo(spans)
	return tel, spans
}

// flushed returns the spans that have ended, in that order.
func flushed(t testing.TB, tel *Telemetry, spans *tracetest.InMemoryExporter) tracetest.SpanStubs {
	t.Helper()
	if err := tel.spans.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return spans.GetSpans()
}

// served runs a server until the test ends or stop is called, which waits for its messages.
func serving(t *testing.T, s *micro.Server, opts ...micro.ClientOption) (c *micro.Client, stop func()) {
	t.Helper()
	n := microtest.New()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, n) }()
	c = n.Client(opts...)
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = c.Close()
	}
	t.Cleanup(stop)
	return c, stop
}

// listening opens the private port and returns its URL.
func listening(t *testing.T, tel *Telemetry, ctx context.Context, servers ...probe.Readiness) string {
	t.Helper()
	if err := tel.Listen(ctx, "127.0.0.1:0", servers...); err != nil {
		t.Fatal(err)
	}
	address, err := tel.private[len(tel.private)-1].Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + address.String()
}

// fetch returns a response.
func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// scrape reads the metrics over HTTP with Prometheus's own parser.
func scrape(t *testing.T, tel *Telemetry) map[string]*dto.MetricFamily {
	t.Helper()
	status, text := fetch(t, listening(t, tel, t.Context())+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// values returns the samples of our metrics as "name{label=value,…}": the count of histograms,
// and the value of everything else. Zeros are left out.
func values(families map[string]*dto.MetricFamily) map[string]float64 {
	found := map[string]float64{}
	for name, f := range families {
		if !strings.HasPrefix(name, "msctl_") {
			continue
		}
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(labels)
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if value != 0 {
				found[name+"{"+strings.Join(labels, ",")+"}"] = value
			}
		}
	}
	return found
}

// only returns the values whose names begin with one of the prefixes.
func only(all map[string]float64, prefixes ...string) map[string]float64 {
	all = maps.Clone(all)
	maps.DeleteFunc(all, func(name string, _ float64) bool {
		return !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	})
	return all
}
