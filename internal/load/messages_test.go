package load_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/web"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestWeightedMessages checks that each message is sent according to its weight, evenly
// among the others, and has its own totals.
func TestWeightedMessages(t *testing.T) {
	users := func(n int) string { return fmt.Sprintf("users=%d", n) }
	bubble(t, []int{0, 1}, users, checkWeights)
}

func checkWeights(t testing.TB, users int) {
	t.Helper()
	const n = requests // weights 1, 2, and 5: 5, 10, and 25
	retried := newActor(&scenario{script: []behavior{{status: 503}, {}}})
	failing := newActor(&scenario{script: []behavior{{status: 404}}})
	conns := inMemory(t, map[string]micro.Handler{"plain": answer, "retried": retried.handle, "failing": failing.handle}).conns
	var mu sync.Mutex
	order, seqs := make([]string, n), map[string][]uint64{}
	payload := func(of string) load.Payload {
		return func(seq uint64) []byte {
			mu.Lock()
			defer mu.Unlock()
			seqs[of] = append(seqs[of], seq)
			return []byte(`{}`)
		}
	}
	plan := load.Plan{
		Messages: []load.Message{
			{Conns: conns, Pattern: micro.Cmd("plain"), Payload: payload("plain")},
			{Conns: conns, Pattern: micro.Cmd("retried"), Weight: 2, Name: "again", Payload: payload("again")},
			{Conns: conns, Pattern: micro.Cmd("failing"), Weight: 5, Payload: payload("failing")},
		},
		Policy: persistent(3)(), Users: users, Requests: n,
		OnResult: func(r load.Request) {
			mu.Lock()
			defer mu.Unlock()
			order[r.Seq] = r.Message
		},
	}
	if users == 0 {
		plan.Pacer = vegeta.ConstantPacer{Freq: 200, Per: time.Second}
	}
	res := run(t, plan)
	checkParts(t, res)
	for i := range res.Messages {
		m := &res.Messages[i]
		m.Latency, m.AllLatency, m.OK, m.All = load.Latency{Count: m.Latency.Count}, load.Latency{Count: m.AllLatency.Count}, nil, nil
	}
	plain, failed := `{"cmd":"plain"}`, `{"cmd":"failing"}`
	want := []load.MessageTotals{
		{Name: plain, Offered: 5, Attempts: 5, Latency: load.Latency{Count: 5}, AllLatency: load.Latency{Count: 5}},
		{Name: "again", Offered: 10, Attempts: 20, Latency: load.Latency{Count: 10}, AllLatency: load.Latency{Count: 10}},
		{Name: failed, Offered: 25, Attempts: 25, AllLatency: load.Latency{Count: 25}},
	}
	want[0].Outcomes[load.OK], want[1].Outcomes[load.OK], want[2].Outcomes[load.Error] = 5, 10, 25
	if diff := cmp.Diff(want, res.Messages); diff != "" {
		t.Errorf("messages -want +got\n%s", diff)
	}
	for begin := 0; begin < n; begin += 8 { // the weights' sum
		got := map[string]int{}
		for _, name := range order[begin : begin+8] {
			got[name]++
		}
		if diff := cmp.Diff(map[string]int{plain: 1, "again": 2, failed: 5}, got); diff != "" {
			t.Errorf("requests %d to %d: -want +got\n%s", begin, begin+7, diff)
		}
	}
	for of, count := range map[string]int{"plain": 5, "again": 10, "failing": 25} {
		slices.Sort(seqs[of])
		for i, seq := range seqs[of] {
			if seq != uint64(i) || len(seqs[of]) != count {
				t.Fatalf("%s: data was made for the numbers %d, want each of %d once: a retry sends what the first attempt did", of, seqs[of], count)
			}
		}
	}
}

// flaky is a web service that handles the first attempt of a request with a handler,
// and replies to the next one.
type flaky struct {
	first http.HandlerFunc

	mu   sync.Mutex // guards the fields below
	seen map[string]bool
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Correlation-Id")
	f.mu.Lock()
	again := f.seen[id]
	f.seen[id] = true
	f.mu.Unlock()
	if !again {
		f.first(w, r)
		return
	}
	_, _ = io.WriteString(w, `"ok"`)
}

// TestHTTPUnderAPolicy checks that retries over HTTP are as exact as those of messages.
func TestHTTPUnderAPolicy(t *testing.T) {
	const n = requests
	busy := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	silent := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server notices the end of its client only after it has read everything
		<-r.Context().Done()
	}
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	type httpCase struct {
		name   string
		first  http.HandlerFunc
		policy *policy.Policy
		want   counts
	}
	cases := []httpCase{
		{"503", busy, persistent(0)(), counts{Error: n, Attempts: n, Used: n}},
		{"503, retried", busy, persistent(1)(), counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Discarded: n}},
		{"resets, retried", abort, persistent(1)(), counts{OK: n, Attempts: 2 * n, Retries: n, Used: n}},
		{"a hedge", silent, persistent(0, policy.WithHedge(policy.Hedge{Delay: 20 * ms}))(), counts{OK: n, Attempts: 2 * n, Hedges: n, Used: n, Lost: n}},
	}
	if realClock() { // the second attempt must be answered within its timeout
		cases = append(cases, httpCase{"timeouts, retried", silent, trying(1)(), counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Lost: n}})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(&flaky{first: c.first, seen: map[string]bool{}})
			t.Cleanup(server.Close)
			conn, err := web.Dial(server.URL, web.Options{Method: http.MethodPost})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			res := runReal(t, load.Plan{
				Messages: []load.Message{{Conns: []micro.Conn{conn}, Pattern: micro.Name("POST /")}}, Policy: c.policy,
				Pacer: vegeta.ConstantPacer{Freq: 200, Per: time.Second}, Requests: n,
			})
			checkParts(t, res)
			if diff := cmp.Diff(c.want, countsOf(res.Totals)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
