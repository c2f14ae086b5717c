package telemetry

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestServiceMetrics checks the counts of messages of every outcome, on both sides.
func TestServiceMetrics(t *testing.T) {
	tel := newTelemetry(t, WithVersion("1.2.0"))
	c, stop := serving(t, newServer(tel), tel.Client("items", policy.New(policy.WithBudget(0.5, 2))))
	for _, in := range []string{"x", "y", "409", "boom"} {
		_, _ = micro.Call[string](t.Context(), c, get, in)
	}
	if err := c.Emit(t.Context(), seen, nil); err != nil {
		t.Error(err)
	}
	_, _ = micro.Call[string](t.Context(), c, micro.Cmd("unknown"), nil)
	expired := &micro.Request{Pattern: get, Data: []byte(`"late"`)}
	expired.Metadata.Set(micro.MetaTimeout, "0")
	raw, stopRaw := serving(t, newServer(tel), micro.WithoutMetadata())
	_ = raw.Do(t.Context(), expired, micro.ReplyFunc(func(micro.Value) error { return nil }))
	stopRaw()
	stop()
	families := scrape(t, tel)
	want := map[string]float64{
		`msctl_messages_total{kind=request,outcome=ok,pattern={"cmd":"get"}}`:                        2,
		`msctl_messages_total{kind=request,outcome=error,pattern={"cmd":"get"}}`:                     1,
		`msctl_messages_total{kind=request,outcome=failed,pattern={"cmd":"get"}}`:                    1,
		`msctl_messages_total{kind=request,outcome=expired,pattern={"cmd":"get"}}`:                   1,
		`msctl_messages_total{kind=request,outcome=no_handler,pattern=other}`:                        1,
		`msctl_messages_total{kind=event,outcome=ok,pattern=seen}`:                                   1,
		`msctl_message_duration_seconds{kind=request,pattern={"cmd":"get"}}`:                         5,
		`msctl_message_duration_seconds{kind=request,pattern=other}`:                                 1,
		`msctl_message_duration_seconds{kind=event,pattern=seen}`:                                    1,
		`msctl_client_requests_total{kind=request,outcome=ok,pattern={"cmd":"get"},to=items}`:        2,
		`msctl_client_requests_total{kind=request,outcome=error,pattern={"cmd":"get"},to=items}`:     2,
		`msctl_client_requests_total{kind=request,outcome=error,pattern={"cmd":"unknown"},to=items}`: 1,
		`msctl_client_requests_total{kind=event,outcome=ok,pattern=seen,to=items}`:                   1,
		`msctl_client_request_duration_seconds{kind=request,pattern={"cmd":"get"},to=items}`:         4,
		`msctl_client_request_duration_seconds{kind=request,pattern={"cmd":"unknown"},to=items}`:     1,
		`msctl_client_request_duration_seconds{kind=event,pattern=seen,to=items}`:                    1,
		`msctl_client_attempts_total{outcome=ok,pattern={"cmd":"get"},to=items}`:                     2,
		`msctl_client_attempts_total{outcome=error,pattern={"cmd":"get"},to=items}`:                  2,
		`msctl_client_attempts_total{outcome=error,pattern={"cmd":"unknown"},to=items}`:              1,
		`msctl_client_attempts_total{outcome=ok,pattern=seen,to=items}`:                              1,
	}
	got := only(values(families), "msctl_messages", "msctl_message_", "msctl_client_requests", "msctl_client_request_", "msctl_client_attempts")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"go_goroutines", "go_memstats_heap_alloc_bytes", "msctl_build_info", "msctl_client_retry_budget", "msctl_client_breaker_state"} {
		if families[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
}

// TestInFlight checks the gauges while a message is being handled.
func TestInFlight(t *testing.T) {
	tel := newTelemetry(t)
	s := newServer(tel)
	running, end := make(chan struct{}), make(chan struct{})
	micro.Handle(s, micro.Cmd("hold"), func(context.Context, micro.None) (micro.None, error) {
		close(running)
		<-end
		return micro.None{}, nil
	})
	c, stop := serving(t, s, tel.Client("items", nil))
	done := make(chan error)
	go func() {
		_, err := micro.Call[micro.None](t.Context(), c, micro.Cmd("hold"), nil)
		done <- err
	}()
	<-running
	want := map[string]float64{
		`msctl_messages_in_flight{kind=request,pattern={"cmd":"hold"}}`:                 1,
		`msctl_client_requests_in_flight{kind=request,pattern={"cmd":"hold"},to=items}`: 1,
	}
	prefixes := []string{"msctl_messages_in_flight", "msctl_client_requests_in_flight"}
	if diff := cmp.Diff(want, only(values(scrape(t, tel)), prefixes...)); diff != "" {
		t.Error(diff)
	}
	close(end)
	if err := <-done; err != nil {
		t.Error(err)
	}
	stop()
	if diff := cmp.Diff(map[string]float64{}, only(values(scrape(t, tel)), prefixes...)); diff != "" {
		t.Error(diff)
	}
}

// TestPolicyMetrics checks what a policy does: retries, hedges, what it holds back, and its state.
func TestPolicyMetrics(t *testing.T) {
	tel := newTelemetry(t)
	synctest.Test(t, func(t *testing.T) { // so the budget does not grow
		p := policy.New(policy.WithRetries(1), policy.WithBudget(0, 1), policy.WithBreaker(policy.Breaker{Ratio: 1, Minimum: 2, Cooldown: time.Hour}))
		results := make(chan error, 3)
		conn := connFunc(func(context.Context, *micro.Request) error { return <-results })
		c := micro.NewClient(conn, tel.Client("items", p))
		for _, err := range []error{micro.ErrUnreachable, nil, micro.ErrUnreachable} {
			results <- err
		}
		// The first is retried. The second fails, but the budget is spent. Neither opens the breaker.
		for range 2 {
			_ = c.Do(t.Context(), &micro.Request{Pattern: seen, Event: true}, nil)
		}
		results <- micro.ErrTimeout
		results <- micro.ErrTimeout
		for range 3 { // two open it, and the third is held back
			_ = c.Do(t.Context(), &micro.Request{Pattern: get}, nil)
		}

		hedged := micro.NewClient(connFunc(func(ctx context.Context, req *micro.Request) error {
			if req.Attempt == 1 {
				<-ctx.Done() // until the hedge has been answered
				return ctx.Err()
			}
			return nil
		}), tel.Client("users", policy.New(policy.WithHedge(policy.Hedge{Delay: time.Millisecond}))))
		if err := hedged.Do(t.Context(), &micro.Request{Pattern: get}, nil); err != nil {
			t.Error(err)
		}
	})
	got := only(values(scrape(t, tel)), "msctl_client_attempts", "msctl_client_retries", "msctl_client_hedges", "msctl_client_breaker", "msctl_client_requests_total")
	want := map[string]float64{
		`msctl_client_requests_total{kind=event,outcome=ok,pattern=seen,to=items}`:                 1,
		`msctl_client_requests_total{kind=event,outcome=unreachable,pattern=seen,to=items}`:        1,
		`msctl_client_requests_total{kind=request,outcome=timeout,pattern={"cmd":"get"},to=items}`: 2,
		`msctl_client_requests_total{kind=request,outcome=shed,pattern={"cmd":"get"},to=items}`:    1,
		`msctl_client_requests_total{kind=request,outcome=ok,pattern={"cmd":"get"},to=users}`:      1,
		`msctl_client_attempts_total{outcome=unreachable,pattern=seen,to=items}`:                   2,
		`msctl_client_attempts_total{outcome=ok,pattern=seen,to=items}`:                            1,
		`msctl_client_attempts_total{outcome=timeout,pattern={"cmd":"get"},to=items}`:              2,
		`msctl_client_attempts_total{outcome=ok,pattern={"cmd":"get"},to=users}`:                   1,
		`msctl_client_attempts_total{outcome=canceled,pattern={"cmd":"get"},to=users}`:             1,
		`msctl_client_retries_total{pattern=seen,to=items}`:                                        1,
		`msctl_client_hedges_total{pattern={"cmd":"get"},to=users}`:                                1,
		`msctl_client_attempts_refused_total{pattern=seen,reason=budget,to=items}`:                 1,
		`msctl_client_attempts_refused_total{pattern={"cmd":"get"},reason=budget,to=items}`:        1,
		`msctl_client_attempts_refused_total{pattern={"cmd":"get"},reason=breaker,to=items}`:       2,
		`msctl_client_breaker_changes_total{state=open,to=items}`:                                  1,
		`msctl_client_breaker_state{to=items}`:                                                     1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestHealthChecks checks that health checks and descriptions are neither counted nor traced.
func TestHealthChecks(t *testing.T) {
	tel, exporter := traced(t)
	p := policy.New(policy.WithRetries(1), policy.WithBudget(0, 0.1))
	c, stop := serving(t, newServer(tel, micro.WithName("items", "")), tel.Client("items", p))
	for _, pattern := range []micro.Pattern{micro.HealthPattern, micro.HealthOf("items"), micro.DescribePattern, micro.DescribeOf("items")} {
		if _, err := micro.Call[any](t.Context(), c, pattern, nil); err != nil {
			t.Error(err)
		}
	}
	stop()
	if _, err := micro.Call[any](t.Context(), c, micro.HealthPattern, nil); err == nil { // a retry, or one that the budget does not permit
		t.Error("a closed client has sent a message")
	}
	if got := only(values(scrape(t, tel)), "msctl_messages", "msctl_client_requests", "msctl_client_attempts", "msctl_client_retries"); len(got) != 0 {
		t.Errorf("counted %v", got)
	}
	if spans := flushed(t, tel, exporter); len(spans) != 0 {
		t.Errorf("%d spans", len(spans))
	}
}

// connFunc is a connection with the behavior of the test.
type connFunc func(context.Context, *micro.Request) error

func (f connFunc) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	return f(ctx, req)
}
func (f connFunc) Publish(ctx context.Context, req *micro.Request) error { return f(ctx, req) }
func (f connFunc) Close() error                                          { return nil }

// TestCardinality checks that nothing that a stranger sends adds a series.
func TestCardinality(t *testing.T) {
	tel := newTelemetry(t)
	s := newServer(tel)
	c, stop := serving(t, s, micro.WithoutMetadata())
	request := func(i int) {
		_, _ = micro.Call[micro.None](t.Context(), c, micro.Cmd(fmt.Sprint("unknown", i)), nil)
		_ = c.Emit(t.Context(), micro.Name(fmt.Sprint("event", i)), nil)
		req := httptest.NewRequest("GET", fmt.Sprint("/random/", i), nil)
		_, end := tel.ObserveHTTP(req)
		end("", 404)
	}
	request(0)
	before := len(values(scrape(t, tel)))
	for i := range 10_000 {
		request(i)
	}
	stop()
	if after := len(values(scrape(t, tel))); after != before {
		t.Errorf("%d series before, %d after", before, after)
	}
	got := only(values(scrape(t, tel)), "msctl_messages_total", "msctl_http_requests_total")
	want := map[string]float64{
		`msctl_messages_total{kind=request,outcome=no_handler,pattern=other}`: 10_001,
		`msctl_messages_total{kind=event,outcome=no_handler,pattern=other}`:   10_001,
		`msctl_http_requests_total{route=other,status=404}`:                   10_001,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestCardinalityOfClients checks that a client that forwards any pattern has a bounded number
// of series.
func TestCardinalityOfClients(t *testing.T) {
	tel := newTelemetry(t)
	c := micro.NewClient(connFunc(func(context.Context, *micro.Request) error { return nil }), tel.Client("items", policy.New()))
	for i := range 10_000 {
		_ = c.Emit(t.Context(), micro.Name(fmt.Sprint("event", i)), nil)
	}
	got := only(values(scrape(t, tel)), "msctl_client_requests_total")
	if n := got[`msctl_client_requests_total{kind=event,outcome=ok,pattern=other,to=items}`]; len(got) != maxPatterns+1 || n != 10_000-maxPatterns {
		t.Errorf("%d series, %v of others", len(got), n)
	}
}

// TestLabels checks labels of patterns that are no plain text.
func TestLabels(t *testing.T) {
	lone, err := micro.ParsePattern(`"\ud800"`)
	if err != nil {
		t.Fatal(err)
	}
	long := make([]byte, maxLabel)
	for i := range long {
		long[i] = 'x'
	}
	for p, want := range map[micro.Pattern]string{
		{}:                       other,
		lone:                     "\uFFFD",
		micro.Name("a\nb"):       "a\nb",
		micro.Name(string(long)): other,
		micro.Cmd("x"):           `{"cmd":"x"}`,
	} {
		if got := label(p); got != want {
			t.Errorf("%s: label %q, want %q", p.JSON(), got, want)
		}
	}
}

// TestLint applies the rules of promtool to our metrics.
func TestLint(t *testing.T) {
	tel := newTelemetry(t)
	c, stop := serving(t, newServer(tel), tel.Client("items", policy.Recommended()))
	_, _ = micro.Call[string](t.Context(), c, get, "x")
	stop()
	_, end := tel.ObserveHTTP(httptest.NewRequest("GET", "/", nil))
	end("GET /", 200)
	_, text := fetch(t, listening(t, tel, t.Context())+"/metrics")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestDocumented checks that docs/telemetry.md lists the metrics that there are.
func TestDocumented(t *testing.T) {
	names := func(files ...string) []string {
		var found []string
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, regexp.MustCompile(`msctl_[a-z]+_[a-z_]+`).FindAllString(string(text), -1)...)
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	if diff := cmp.Diff(names("metrics.go", "client.go"), names("../../docs/telemetry.md")); diff != "" {
		t.Errorf("(-code +docs):\n%s", diff)
	}
}
