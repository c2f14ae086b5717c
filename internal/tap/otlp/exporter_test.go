package otlp

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/msctl/msctl/internal/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is a collector. Its fields are guarded by mu.
type receiver struct {
	mu       sync.Mutex
	requests []*collector.ExportTraceServiceRequest
	bodies   []string // as they arrived
	paths    []string
	header   http.Header // of the last request
	statuses []int       // of the next responses; then 200
	rejects  int64
	retry    string
	hold     chan struct{} // if set, responses wait until it is closed
	arrived  chan struct{} // if set, receives one for each request
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	export := &collector.ExportTraceServiceRequest{}
	if err != nil || proto.Unmarshal(body, export) != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "no export", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests, r.bodies, r.paths = append(r.requests, export), append(r.bodies, string(body)), append(r.paths, req.URL.String())
	r.header = req.Header
	if r.arrived != nil {
		r.arrived <- struct{}{}
	}
	if hold := r.hold; hold != nil {
		r.mu.Unlock()
		select {
		case <-hold:
		case <-req.Context().Done():
		}
		r.mu.Lock()
	}
	if len(r.statuses) > 0 {
		status := r.statuses[0]
		r.statuses = r.statuses[1:]
		if status == http.StatusTemporaryRedirect {
			w.Header().Set("Location", "/elsewhere")
		}
		w.Header().Set("Retry-After", r.retry)
		w.WriteHeader(status)
		return
	}
	reply, err := proto.Marshal(&collector.ExportTraceServiceResponse{PartialSuccess: &collector.ExportTracePartialSuccess{RejectedSpans: r.rejects}})
	if err == nil {
		_, _ = w.Write(reply)
	}
}

func (r *receiver) spans() (list []*trace.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, request := range r.requests {
		for _, resource := range request.ResourceSpans {
			list = append(list, resource.ScopeSpans[0].Spans...)
		}
	}
	return list
}

// quick are limits for tests: retries follow at once, and nothing is given up because the machine is slow.
func quick() limits {
	l := standardLimits()
	l.delay, l.pause, l.attempt, l.retries, l.closing = time.Millisecond, time.Millisecond, time.Minute, time.Minute, time.Minute
	return l
}

func endpoint(t *testing.T, url string) *Endpoint {
	t.Helper()
	e, err := Parse(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func message(t *testing.T, text string) tap.Message {
	t.Helper()
	m, err := tap.ParseMessage([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	sent    = `{"kind":"send","trace":"` + traceID + `","span":"b7ad6b7169203331","parent":"00f067aa0ba902b7","pattern":"{\"cmd\":\"find\"}","attempt":2,"transport":"tcp","peer":"127.0.0.1:3002",
		"correlation":"c1","start":1000,"took":500,"outcome":"error","error":{"message":"none","status":404},"values":1,"in":9,"out":4,"data":{"id":"secret-data"},"reply":[1],"metadata":{"a":"secret-meta"},"service":"gateway","runtime":"go1.26","pid":7}`
)

// TestFailures checks which failures are repeated, what is counted, and that errors contain no credentials.
func TestFailures(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=cAnArY7731,Authorization=Bearer%20cAnArY7731")
	for _, tt := range []struct {
		name     string
		statuses []int
		rejects  int64
		requests int
		want     Stats
		err      string
	}{
		{"temporary", []int{503, 429, 502, 504}, 0, 5, Stats{Sent: 1}, "status 504 Gateway Timeout"},
		{"rejected", nil, 1, 1, Stats{Lost: 1}, "the collector rejected spans"},
		{"credentials", []int{401}, 0, 1, Stats{Lost: 1}, "status 401 Unauthorized: OTEL_EXPORTER_OTLP_HEADERS sets"},
		{"no collector", []int{404}, 0, 1, Stats{Lost: 1}, "status 404 Not Found: is it the address"},
		{"a redirect", []int{307}, 0, 1, Stats{Lost: 1}, "status 307 Temporary Redirect"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := receiver{statuses: tt.statuses, rejects: tt.rejects, arrived: make(chan struct{}, 10)}
			server := httptest.NewServer(&r)
			defer server.Close()
			x := endpoint(t, strings.Replace(server.URL, "http://", "http://ada:cAnArY7731@", 1)+"/base/?key=cAnArY7731").start("", false, quick())
			x.Add(message(t, sent))
			for range tt.requests {
				<-r.arrived
			}
			first := <-x.Failing()
			stats := x.Close()
			if stats.Last == nil || first == nil || !strings.HasPrefix(stats.Last.Error(), tt.err) {
				t.Fatalf("%v, then %v; want %s", first, stats.Last, tt.err)
			}
			text := x.at.String() + first.Error() + stats.Last.Error()
			if stats.Last = nil; stats != tt.want || len(r.requests) != tt.requests || strings.Contains(text, "cAnArY") {
				t.Errorf("%+v after %d requests: %s", stats, len(r.requests), text)
			}
			if r.header.Get("Api-Key") != "cAnArY7731" || !strings.HasPrefix(r.paths[0], "/base/v1/traces?key=cAnArY7731") {
				t.Errorf("%v to %s", r.header, r.paths[0])
			}
		})
	}
}

// TestUnreachable checks that a collector that does not exist, or does not reply, neither delays a message nor the end,
// and that what is lost is counted.
func TestUnreachable(t *testing.T) {
	none := httptest.NewServer(http.NotFoundHandler())
	none.Close()
	silent := receiver{hold: make(chan struct{})}
	server := httptest.NewServer(&silent)
	defer server.Close()
	defer close(silent.hold)
	for _, url := range []string{none.URL, server.URL} {
		l := quick()
		l.queue, l.batch, l.closing, l.pause, l.retries = 10, 5, 10*time.Millisecond, time.Hour, 10*time.Hour
		x := endpoint(t, url).start("", false, l)
		m := message(t, sent)
		for range 1000 { // far more than the queue has room for
			x.Add(m)
		}
		x.mu.Lock()
		waiting := len(x.queue)
		x.mu.Unlock()
		stats := x.Close()
		if waiting > 10 || stats.Sent != 0 || stats.Lost != 1000 {
			t.Errorf("%d are waiting, %+v", waiting, stats)
		}
		x.Add(m)
		if stats := x.Close(); stats.Lost != 1001 {
			t.Errorf("after the end: %+v", stats)
		}
	}
}

// TestQueueWeight checks that large messages are bounded by their bytes, and that all of a batch arrive.
func TestQueueWeight(t *testing.T) {
	r := receiver{hold: make(chan struct{})}
	server := httptest.NewServer(&r)
	defer server.Close()
	l := quick()
	l.queueWeight, l.batchWeight = 1<<20, 100<<10
	x := endpoint(t, server.URL).start("", true, l)
	m := message(t, sent)
	m.Data = json.RawMessage(`"` + strings.Repeat("x", 16<<10) + `"`)
	for range 500 {
		x.Add(m)
	}
	x.mu.Lock()
	weight := x.weight
	x.mu.Unlock()
	close(r.hold)
	stats := x.Close()
	if weight > 1<<20 || stats.Sent+stats.Lost != 500 || stats.Lost == 0 || stats.Sent != len(r.spans()) {
		t.Errorf("%d bytes are waiting, %+v", weight, stats)
	}
}
