package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/msctl/msctl/runtime/micro"
)

// Server observes the messages of a server: each is counted and, with traces, gets a span that
// continues the trace of its sender.
func (t *Telemetry) Server() micro.ServerOption { return micro.WithObserver(t.observeMessage) }

func (t *Telemetry) observeMessage(ctx context.Context, req *micro.Request, handler micro.Pattern) (context.Context, func(error)) {
	m := t.handlers.of(handler, req.Event)
	m.inFlight.Inc()
	start := time.Now()
	ctx, span := t.startServerSpan(ctx, req, m.pattern)
	return ctx, func(err error) {
		outcome := served(err, handler)
		m.inFlight.Dec()
		m.seconds.Observe(time.Since(start).Seconds())
		m.count(outcome)
		endSpan(span, err, outcome)
	}
}

// handlers are the metrics of a server's messages by handler. The handlers of a program do not
// change, so each is looked up among the vectors once. The zero value requires metrics.
type handlers struct {
	metrics *metrics
	known   sync.Map // of *series by handlerKey
}

type handlerKey struct {
	pattern micro.Pattern
	event   bool
}

func (h *handlers) of(pattern micro.Pattern, event bool) *series {
	key := handlerKey{pattern, event}
	if s, ok := h.known.Load(key); ok {
		return s.(*series)
	}
	label, kind := label(pattern), kindOf(event)
	s := &series{
		pattern:  label,
		inFlight: h.metrics.messageInFlight.WithLabelValues(label, kind),
		seconds:  h.metrics.messageSeconds.WithLabelValues(label, kind),
		counters: func(outcome string) prometheus.Counter {
			return h.metrics.messages.WithLabelValues(label, kind, outcome)
		},
	}
	known, _ := h.known.LoadOrStore(key, s)
	return known.(*series)
}

// maxLabel limits the length of a pattern as a label, in bytes.
const maxLabel = 200

// label returns the text of a pattern as a label.
func label(p micro.Pattern) string {
	if p.IsZero() || len(p.JSON()) > maxLabel {
		return other
	}
	return p.String()
}

// series are the metrics with one combination of labels.
type series struct {
	pattern  string // the label
	inFlight prometheus.Gauge
	seconds  prometheus.Observer
	counters func(outcome string) prometheus.Counter
	outcomes sync.Map // of prometheus.Counter by outcome
}

// count counts an outcome.
func (s *series) count(outcome string) {
	c, ok := s.outcomes.Load(outcome)
	if !ok {
		c, _ = s.outcomes.LoadOrStore(outcome, s.counters(outcome))
	}
	c.(prometheus.Counter).Inc()
}
