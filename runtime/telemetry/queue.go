package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exportTimeout limits the export of one batch.
const exportTimeout = 10 * time.Second

// spanLimits are the sizes of a queue and of its batches, and how long a span waits for others.
type spanLimits struct {
	queue, batch int
	delay        time.Duration
}

// spanQueue passes ended spans on to an exporter, in batches. Unlike the batcher of the SDK, it
// counts what it loses: spans that find the queue full, and those that could not be exported.
// Its goroutine ends with Shutdown.
type spanQueue struct {
	exporter sdktrace.SpanExporter
	log      *slog.Logger
	limits   spanLimits
	exported prometheus.Counter
	full     prometheus.Counter
	failed   prometheus.Counter

	waiting chan sdktrace.ReadOnlySpan
	flushes chan chan struct{}
	stop    chan struct{} // closed by Shutdown
	once    sync.Once
	done    chan struct{}   // closed when the goroutine has ended
	ctx     context.Context // of the exports
	cancel  context.CancelFunc

	failing bool // the last export has failed; only the goroutine uses it
}

func newSpanQueue(exporter sdktrace.SpanExporter, m *metrics, log *slog.Logger, limits spanLimits) *spanQueue {
	q := &spanQueue{
		exporter: exporter, log: log, limits: limits,
		exported: m.spansExported,
		full:     m.spansDropped.WithLabelValues("queue_full"),
		failed:   m.spansDropped.WithLabelValues("export_failed"),
		waiting:  make(chan sdktrace.ReadOnlySpan, limits.queue),
		flushes:  make(chan chan struct{}),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	go q.run()
	return q
}

// OnStart is a method of sdktrace.SpanProcessor.
func (q *spanQueue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd adds a span to the queue. It never blocks.
func (q *spanQueue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case <-q.stop:
		q.full.Inc()
		return
	default:
	}
	select {
	case q.waiting <- s:
	default:
		q.full.Inc()
	}
}

// ForceFlush exports the spans that are waiting.
func (q *spanQueue) ForceFlush(ctx context.Context) error {
	flushed := make(chan struct{})
	select {
	case q.flushes <- flushed:
	case <-q.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown exports the spans that are waiting until ctx ends, and ends the goroutine.
func (q *spanQueue) Shutdown(ctx context.Context) error {
	q.once.Do(func() { close(q.stop) })
	select {
	case <-q.done:
	case <-ctx.Done():
		q.cancel() // what is left fails at once
		<-q.done
	}
	q.cancel()
	return q.exporter.Shutdown(ctx)
}

func (q *spanQueue) run() {
	defer close(q.done)
	tick := time.NewTicker(q.limits.delay)
	defer tick.Stop()
	var batch []sdktrace.ReadOnlySpan
	for {
		select {
		case s := <-q.waiting:
			if batch = append(batch, s); len(batch) == q.limits.batch {
				batch = q.export(batch)
			}
		case <-tick.C:
			batch = q.export(batch)
		case flushed := <-q.flushes:
			batch = q.drain(batch)
			close(flushed)
		case <-q.stop:
			q.drain(batch)
			return
		}
	}
}

// drain exports the batch and everything that is waiting.
func (q *spanQueue) drain(batch []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	for range len(q.waiting) {
		if batch = append(batch, <-q.waiting); len(batch) == q.limits.batch {
			batch = q.export(batch)
		}
	}
	return q.export(batch)
}

// export exports a batch and returns the empty one. The first of several failures is logged,
// and so is their end.
func (q *spanQueue) export(batch []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	if len(batch) == 0 {
		return batch
	}
	ctx, cancel := context.WithTimeout(q.ctx, exportTimeout)
	defer cancel()
	err := q.exporter.ExportSpans(ctx, batch)
	if err == nil {
		q.exported.Add(float64(len(batch)))
	} else {
		q.failed.Add(float64(len(batch)))
	}
	switch failing := err != nil; {
	case failing && !q.failing:
		q.log.Warn("spans are lost, because they cannot be exported: msctl_spans_dropped_total counts them", "error", err)
	case !failing && q.failing:
		q.log.Info("spans are exported again")
	}
	q.failing = err != nil
	clear(batch) // so that the spans can be collected
	return batch[:0]
}
