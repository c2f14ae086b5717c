package telemetry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporterFunc is an exporter with the behavior of the test.
type exporterFunc func(ctx context.Context, spans []sdktrace.ReadOnlySpan) error

func (f exporterFunc) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	return f(ctx, spans)
}
func (f exporterFunc) Shutdown(context.Context) error { return nil }

// lost returns the counters of spans.
func lost(t *testing.T, tel *Telemetry) map[string]float64 {
	t.Helper()
	families, err := tel.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			if strings.HasPrefix(f.GetName(), "msctl_spans_") {
				name := f.GetName()
				for _, l := range m.Label {
					name += " " + l.GetValue()
				}
				all[name] = m.GetCounter().GetValue()
			}
		}
	}
	return all
}

// TestFullQueue checks that a collector that hangs does not block the program, that what finds the queue full
// is counted, and that Close ends in time.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
		t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
		tel := New("shop", WithLogger(discard))
		tel.traceTo(exporterFunc(func(ctx context.Context, _ []sdktrace.ReadOnlySpan) error {
			<-ctx.Done()
			return ctx.Err()
		}))
		for range 50 {
			_, span := tel.tracer.Start(t.Context(), "x")
			span.End()
			synctest.Wait() // the queue has taken what it can
		}
		want := map[string]float64{"msctl_spans_exported_total": 0, "msctl_spans_dropped_total queue_full": 36, "msctl_spans_dropped_total export_failed": 0}
		if diff := cmp.Diff(want, lost(t, tel)); diff != "" {
			t.Error(diff)
		}
		start := time.Now()
		tel.Close()
		if took := time.Since(start); took > closeTimeout+time.Second {
			t.Errorf("Close took %s", took)
		}
		want["msctl_spans_dropped_total export_failed"] = 14
		if diff := cmp.Diff(want, lost(t, tel)); diff != "" {
			t.Error(diff)
		}
		_, span := tel.tracer.Start(t.Context(), "x")
		span.End() // after Close: counted, and no panic
		want["msctl_spans_dropped_total queue_full"]++
		if diff := cmp.Diff(want, lost(t, tel)); diff != "" {
			t.Error(diff)
		}
	})
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestFailingCollector checks that an outage costs one line of the log, and that spans are
// exported again when it is over.
func TestFailingCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		tel := New("shop", WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		var err error
		tel.traceTo(exporterFunc(func(context.Context, []sdktrace.ReadOnlySpan) error { return err }))
		send := func(result error) {
			err = result
			_, span := tel.tracer.Start(t.Context(), "x")
			span.End()
			<-time.After(6 * time.Second) // longer than a span waits for others
			synctest.Wait()
		}
		for range 5 {
			send(errors.New("connection refused"))
		}
		send(nil)
		send(nil)
		tel.Close()
		want := map[string]float64{"msctl_spans_exported_total": 2, "msctl_spans_dropped_total queue_full": 0, "msctl_spans_dropped_total export_failed": 5}
		if diff := cmp.Diff(want, lost(t, tel)); diff != "" {
			t.Error(diff)
		}
		if text := log.String(); strings.Count(text, "connection refused") != 1 || strings.Count(text, "\n") != 2 {
			t.Errorf("log:\n%s", text)
		}
	})
}

// TestCloseFlushes checks that Close exports what is waiting, and that it can be called again.
func TestCloseFlushes(t *testing.T) {
	got := 0 // the exporter's goroutine has ended when Close returns
	tel := newTelemetry(t)
	tel.traceTo(exporterFunc(func(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
		got += len(spans)
		return nil
	}))
	for range 1000 {
		_, span := tel.tracer.Start(t.Context(), "x")
		span.End()
	}
	tel.Close()
	tel.Close()
	if got != 1000 {
		t.Errorf("%d spans", got)
	}
}
