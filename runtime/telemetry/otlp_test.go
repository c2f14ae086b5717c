package telemetry

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/msctl/msctl/runtime/micro"
)

// newCollector returns the URL of a server that receives OTLP, and the exports that it gets.
func newCollector(t *testing.T) (url string, exports chan *collector.ExportTraceServiceRequest) {
	t.Helper()
	exports = make(chan *collector.ExportTraceServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		export := &collector.ExportTraceServiceRequest{}
		if err == nil {
			err = proto.Unmarshal(body, export)
		}
		if err != nil || req.URL.Path != "/v1/traces" || req.Header.Get("Api-Key") != "secret" {
			t.Errorf("%s %s with key %q: %v", req.Method, req.URL, req.Header.Get("Api-Key"), err)
		}
		exports <- export
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	return server.URL, exports
}

// TestEnvironment checks the variables of OpenTelemetry that select the collector, and what it
// receives.
func TestEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  []string // NAME=VALUE; URL stands for the collector's
		want []string // the attributes of the resource; nil for no spans
	}{
		{"nothing", nil, nil},
		{"endpoint", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=URL"}, []string{"service.name=shop", "service.version=1.2.0"}},
		{"endpoint of traces", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=URL/v1/traces"}, []string{"service.name=shop", "service.version=1.2.0"}},
		{"name and attributes", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=URL/", "OTEL_SERVICE_NAME=other", "OTEL_RESOURCE_ATTRIBUTES=region=eu,service.version=2"}, []string{"region=eu", "service.name=other", "service.version=2"}},
		{"disabled", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=URL", "OTEL_SDK_DISABLED=true"}, nil},
		{"other exporter", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=URL", "OTEL_TRACES_EXPORTER=none"}, nil},
		{"sampler", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=URL", "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, exports := newCollector(t)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret")
			for _, s := range tt.set {
				name, value, _ := strings.Cut(s, "=")
				t.Setenv(name, strings.ReplaceAll(value, "URL", url))
			}
			tel := New("shop", WithVersion("1.2.0"), WithLogger(discard))
			c, stop := serving(t, newServer(tel))
			if _, err := micro.Call[string](t.Context(), c, get, "x"); err != nil {
				t.Error(err)
			}
			stop()
			tel.Close() // exports
			if len(exports) == 0 {
				if tt.want != nil {
					t.Error("no spans")
				}
				return
			}
			resource := (<-exports).ResourceSpans[0]
			var got []string
			for _, a := range resource.Resource.Attributes {
				if !strings.HasPrefix(a.Key, "telemetry.sdk.") {
					got = append(got, a.Key+"="+a.Value.GetStringValue())
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if spans := resource.ScopeSpans[0].Spans; len(spans) != 1 || spans[0].Name != get.String() {
				t.Errorf("spans %v", spans)
			}
		})
	}
}

// TestUnavailableCollector checks that a service works while its collector is away, that the
// lost spans are counted, and that an invalid setting does not keep it from starting.
func TestUnavailableCollector(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for endpoint, lostSpans := range map[string]float64{closed.URL: 1, "http://[invalid": 0} {
		t.Run(endpoint, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
			var log lockedBuffer
			tel := New("shop", WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			c, stop := serving(t, newServer(tel))
			if got, err := micro.Call[string](t.Context(), c, get, "x"); err != nil || got != "x" {
				t.Error(got, err)
			}
			stop()
			tel.Close()
			if got := lost(t, tel)["msctl_spans_dropped_total export_failed"]; lostSpans > 0 && got != lostSpans {
				t.Errorf("%v lost spans", got)
			}
			if n := strings.Count(log.String(), "\n"); n != 1 {
				t.Errorf("log:\n%s", log.String())
			}
		})
	}
}
