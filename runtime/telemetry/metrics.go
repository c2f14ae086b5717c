package telemetry

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// buckets are the upper bounds of all histograms, in seconds: from what a message between two
// processes takes to the longest timeout that is common.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// other is the label of routes and patterns that the program has not registered.
const other = "other"

// metrics are the vectors of all metrics; docs/telemetry.md describes each.
type metrics struct {
	httpRequests *prometheus.CounterVec
	httpSeconds  *prometheus.HistogramVec
	httpInFlight prometheus.Gauge

	messages        *prometheus.CounterVec
	messageSeconds  *prometheus.HistogramVec
	messageInFlight *prometheus.GaugeVec

	requests        *prometheus.CounterVec
	requestSeconds  *prometheus.HistogramVec
	requestInFlight *prometheus.GaugeVec

	attempts *prometheus.CounterVec
	retries  *prometheus.CounterVec
	hedges   *prometheus.CounterVec
	refused  *prometheus.CounterVec
	late     *prometheus.CounterVec
	breaker  *prometheus.CounterVec

	spansExported prometheus.Counter
	spansDropped  *prometheus.CounterVec
}

func newMetrics(t *Telemetry) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		t.registry.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		t.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		t.registry.MustRegister(v)
		return v
	}
	m := &metrics{
		httpRequests: counter("msctl_http_requests_total", "HTTP requests that have ended.", "route", "status"),
		httpSeconds:  histogram("msctl_http_request_duration_seconds", "Time from the header of an HTTP request to the end of its response.", "route"),
		httpInFlight: gauge("msctl_http_requests_in_flight", "HTTP requests that have begun and not ended.").WithLabelValues(),

		messages:        counter("msctl_messages_total", "Messages that the server has finished.", "pattern", "kind", "outcome"),
		messageSeconds:  histogram("msctl_message_duration_seconds", "Time from the start of a message's guards to the end of its reply.", "pattern", "kind"),
		messageInFlight: gauge("msctl_messages_in_flight", "Messages that the server is handling.", "pattern", "kind"),

		requests:        counter("msctl_client_requests_total", "Requests and events of clients that have ended, each with all its attempts.", "to", "pattern", "kind", "outcome"),
		requestSeconds:  histogram("msctl_client_request_duration_seconds", "Time of a client's request or event, with all its attempts and the delays between them.", "to", "pattern", "kind"),
		requestInFlight: gauge("msctl_client_requests_in_flight", "Requests and events of clients that have not ended.", "to", "pattern", "kind"),

		attempts: counter("msctl_client_attempts_total", "Attempts that a policy has made, with retries and hedges.", "to", "pattern", "outcome"),
		retries:  counter("msctl_client_retries_total", "Attempts that repeated a failed one.", "to", "pattern"),
		hedges:   counter("msctl_client_hedges_total", "Attempts that were made while another one was pending.", "to", "pattern"),
		refused:  counter("msctl_client_attempts_refused_total", "Attempts that were due but not made.", "to", "pattern", "reason"),
		late:     counter("msctl_client_late_replies_total", "Replies to attempts that had been abandoned.", "to", "pattern"),
		breaker:  counter("msctl_client_breaker_changes_total", "Changes of a breaker's state.", "to", "state"),

		spansExported: counter("msctl_spans_exported_total", "Spans that have been exported.").WithLabelValues(),
		spansDropped:  counter("msctl_spans_dropped_total", "Spans that are lost.", "reason"),
	}
	t.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(t),
		&t.clients,
	)
	return m
}

// buildInfo returns a metric of the constant 1 that names the build in its labels.
func buildInfo(t *Telemetry) prometheus.Collector {
	labels := prometheus.Labels{"service": t.name, "version": t.version, "go": runtime.Version(), "revision": ""}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				labels["revision"] = s.Value
			}
		}
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "msctl_build_info", Help: "The build of the program, as labels.", ConstLabels: labels,
	}, func() float64 { return 1 })
}

// kindOf returns the label for requests and events.
func kindOf(event bool) string {
	if event {
		return "event"
	}
	return "request"
}
