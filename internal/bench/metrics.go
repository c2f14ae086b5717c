package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// metrics serves the figures of the run in progress, or of the last one, in the text
// format of Prometheus. A nil *metrics serves nothing. Its goroutine ends with close.
type metrics struct {
	server  *http.Server
	address string // host:port
	ended   chan struct{}
	live    atomic.Pointer[liveRun]
}

// liveRun is the run whose figures are served.
type liveRun struct {
	name string
	run  Live
}

// scrapeTimeout bounds a request for the metrics.
const scrapeTimeout = 10 * time.Second

// serveMetrics serves at an address until close is called.
func serveMetrics(ctx context.Context, address string) (*metrics, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	m := &metrics{address: l.Addr().String(), ended: make(chan struct{})}
	m.server = &http.Server{Handler: http.HandlerFunc(m.serve), ReadTimeout: scrapeTimeout, WriteTimeout: scrapeTimeout}
	go func() {
		defer close(m.ended)
		if err := m.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			_ = l.Close()
		}
	}()
	return m, nil
}

// follow makes a run the one whose figures are served.
func (m *metrics) follow(name string, run Live) {
	if m != nil {
		m.live.Store(&liveRun{name, run})
	}
}

func (m *metrics) close() {
	if m != nil {
		_ = m.server.Close()
		<-m.ended
	}
}

func (m *metrics) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	live := m.live.Load()
	if live == nil {
		return // no run has started
	}
	snap := live.run.Snapshot(1)
	_ = writeMetrics(w, live.name, &snap) // the client may have gone
}

// exposition writes metrics of one run in the text format of Prometheus.
type exposition struct {
	out *bufio.Writer
	run string
}

// writeMetrics writes the figures of a snapshot: those of the reports, so far.
func writeMetrics(to io.Writer, run string, s *load.Snapshot) error {
	e := exposition{bufio.NewWriter(to), run}
	t := &s.Totals
	e.metric("offered_requests_total", "counter", "Requests that were due, without the warm-up.", sample{value: float64(t.Offered)})
	var outcomes []sample
	for _, o := range load.Outcomes() {
		outcomes = append(outcomes, sample{labels: [][2]string{{"outcome", o.String()}}, value: float64(t.Outcomes[o])})
	}
	e.metric("requests_total", "counter", "Requests that have ended, by outcome.", outcomes...)
	var statuses []sample
	for _, s := range s.Statuses {
		statuses = append(statuses, sample{labels: [][2]string{{"status", strconv.Itoa(s.Status)}}, value: float64(s.Count)})
	}
	if len(statuses) > 0 {
		e.metric("responses_total", "counter", "Requests by the HTTP status of their last response.", statuses...)
	}
	e.metric("on_time_requests_total", "counter", "Ok requests that were answered within the objective; 0 without one.", sample{value: float64(t.OnTime)})
	e.metric("attempts_total", "counter", "Messages sent for requests.", sample{value: float64(t.Attempts)})
	e.metric("retries_total", "counter", "Attempts after a failed one.", sample{value: float64(t.Retries)})
	e.metric("late_answers_total", "counter", "Replies that arrived after their attempt had timed out.", sample{value: float64(t.Late)})
	e.metric("bytes_total", "counter", "Size of the data sent and received.",
		sample{labels: [][2]string{{"direction", "sent"}}, value: float64(t.BytesSent)}, sample{labels: [][2]string{{"direction", "received"}}, value: float64(t.BytesReceived)})
	e.metric("in_flight_requests", "gauge", "Requests without an outcome.", sample{value: float64(s.InFlight)})
	e.metric("rate_per_second", "gauge", "Current rate of an open load; 0 for users.", sample{value: s.Rate})
	e.metric("users", "gauge", "Current number of users of a closed load; 0 for a rate.", sample{value: float64(s.Users)})
	e.metric("goodput_per_second", "gauge", "Ok requests per second.", sample{value: s.Goodput()})
	e.metric("amplification_ratio", "gauge", "Attempts per request.", sample{value: t.Amplification()})
	e.metric("wasted_ratio", "gauge", "Share of the replies that were not used.", sample{value: t.Wasted()})
	e.latency("request_duration_seconds", "Latency of requests from when they were due, of ok requests and of all.", &s.OK, &s.All)
	e.latency("attempt_duration_seconds", "Latency of attempts from the write to the reply, of ok replies and of all.", &s.Attempt, &s.AttemptAll)
	if s.Users == 0 {
		e.metric("lateness_seconds", "summary", "How long after they were due requests were sent.", summary(nil, &s.Lag)...)
	}
	return e.out.Flush()
}

// sample is one line of a metric.
type sample struct {
	suffix string
	labels [][2]string
	value  float64
}

// metric writes a metric with its samples.
func (e *exposition) metric(name, kind, help string, samples ...sample) {
	name = "msctl_bench_" + name
	fmt.Fprintf(e.out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, s := range samples {
		labels := `run="` + escaped(e.run) + `"`
		for _, l := range s.labels {
			labels += "," + l[0] + `="` + escaped(l[1]) + `"`
		}
		fmt.Fprintf(e.out, "%s%s{%s} %s\n", name, s.suffix, labels, strconv.FormatFloat(s.value, 'g', -1, 64))
	}
}

// latency writes the distributions of ok requests and of all as a summary.
func (e *exposition) latency(name, help string, ok, all *load.Latency) {
	var samples []sample
	for _, d := range []struct {
		of string
		*load.Latency
	}{{"ok", ok}, {"all", all}} {
		samples = append(samples, summary([][2]string{{"requests", d.of}}, d.Latency)...)
	}
	e.metric(name, "summary", help, samples...)
}

// summary returns the samples of a distribution, with labels.
func summary(labels [][2]string, d *load.Latency) (samples []sample) {
	for _, q := range []struct {
		quantile string
		value    time.Duration
	}{{"0.5", d.P50}, {"0.9", d.P90}, {"0.95", d.P95}, {"0.99", d.P99}, {"0.999", d.P999}, {"1", d.Max}} {
		if d.Count > 0 {
			samples = append(samples, sample{labels: append(slices.Clip(labels), [2]string{"quantile", q.quantile}), value: q.value.Seconds()})
		}
	}
	return append(samples, sample{"_sum", labels, d.Mean.Seconds() * float64(d.Count)}, sample{"_count", labels, float64(d.Count)})
}

// escaped escapes the value of a label.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(text)
}
