package telemetry

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

// BenchmarkCall is what telemetry adds to a call, on both sides.
func BenchmarkCall(b *testing.B) {
	for _, name := range []string{"off", "metrics", "metrics and traces, not sampled", "metrics and traces"} {
		b.Run(name, func(b *testing.B) {
			if name == "metrics and traces, not sampled" {
				b.Setenv("OTEL_TRACES_SAMPLER", "always_off")
			}
			tel := New("bench", WithLogger(discard))
			defer tel.Close()
			if name != "off" && name != "metrics" {
				tel.traceTo(exporterFunc(func(context.Context, []sdktrace.ReadOnlySpan) error { return nil }))
			}
			server := []micro.ServerOption{micro.WithLogger(discard)}
			var client []micro.ClientOption
			if name != "off" {
				server, client = append(server, tel.Server()), append(client, tel.Client("items", nil))
			}
			s := micro.NewServer(server...)
			micro.Handle(s, get, func(_ context.Context, in string) (string, error) { return in, nil })
			c := microtest.Serve(b, s, client...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := micro.Call[string](b.Context(), c, get, "x"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
