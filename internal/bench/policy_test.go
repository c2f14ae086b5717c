package bench

import (
	"fmt"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/policytext"
)

// TestClientPolicy: presets, and settings that replace parts of them.
func TestClientPolicy(t *testing.T) {
	cases := map[string]string{
		"":                                  "timeout 5s, no retries",
		"--retries 2":                       "timeout 5s, 2 retries 1s apart",
		"--retries 2 --retry-delay 0s":      "timeout 5s, 2 retries at once",
		"--retries 2 --backoff exponential": "timeout 5s, 2 retries 1s apart and doubling",
		"--retries 2 --jitter full":         "timeout 5s, 2 retries 1s apart with full jitter",
		"--retries 2 --jitter equal":        "timeout 5s, 2 retries 1s apart with equal jitter",
		"--policy naive --timeout 300ms":    "timeout 300ms, 3 retries at once",
		"--policy naive --retries 1":        "timeout 1s, 1 retry at once",
		"--policy nest":                     "timeout 5s per value, 2 retries 1s apart on any error even after a value",
		"--policy backoff":                  "timeout 1s, 3 retries 100ms to 5s apart with full jitter",
		"--policy backoff --jitter none --retry-delay 7s":    "timeout 1s, 3 retries 7s apart",
		"--policy backoff --backoff constant":                "timeout 1s, 3 retries 100ms apart with full jitter",
		"--policy budget --budget 5%":                        "timeout 1s, 3 retries 100ms to 5s apart with full jitter, budget 5%",
		"--policy budget --budget none":                      "timeout 1s, 3 retries 100ms to 5s apart with full jitter",
		"--policy recommended --deadline 1500ms --retries 4": "timeout 1s, 4 retries 50ms to 1s apart with full jitter, budget 20%+10/s, deadline 1.5s",
		"--breaker 50%":                                   "timeout 5s, no retries, breaker 50%/10s+5s",
		"--breaker 20%/30s+1s,min=5,probes=2":             "timeout 5s, no retries, breaker 20%/30s+1s,min=5,probes=2",
		"--breaker none":                                  "timeout 5s, no retries",
		"--hedge 50ms":                                    "timeout 5s, no retries, hedge 50ms",
		"--hedge p95,max=2 --budget 5%":                   "timeout 5s, no retries, hedge p95,max=2, budget 5%",
		"--hedge none --policy naive":                     "timeout 1s, 3 retries at once",
		"--policy naive --retry-on timeout,5xx":           "timeout 1s, 3 retries at once on timeout,5xx",
		"--policy nest --retry-on transient":              "timeout 5s per value, 2 retries 1s apart even after a value",
		"--policy naive --retry-on never":                 "timeout 1s, 3 retries at once on never",
		"--policy naive --hedge p99 --breaker 100%/1m":    "timeout 1s, 3 retries at once, hedge p99, breaker 100%/1m0s+5s",
		"--policy recommended --hedge p99 --retry-on 503": "timeout 1s, 2 retries 50ms to 1s apart with full jitter on 503, hedge p99, budget 20%+10/s, deadline 3s",
	}
	for flags, want := range cases {
		s, err := specOf(t, strings.Fields(flags)...)
		if err != nil {
			t.Errorf("%s: %v", flags, err)
		} else if got := policytext.Describe(s.ClientPolicy().Settings()); got != want {
			t.Errorf("%s: %s, want %s", flags, got, want)
		}
	}
}

// TestHedgeThatIsNeverSent checks that a hedge is rejected if attempts end before it is due,
// but not in a sweep in which other runs may send it.
func TestHedgeThatIsNeverSent(t *testing.T) {
	cases := map[string]string{
		"--hedge 2s --timeout 1s":                     "--hedge 2s is never sent: the timeout of the policy is 1s",
		"--hedge 1s,max=2 --policy naive":             "--hedge 1s,max=2 is never sent: the timeout of the policy is 1s",
		"--hedge 900ms --deadline 500ms":              "--hedge 900ms is never sent: the deadline of the policy is 500ms",
		"--hedge 2s --timeout 1s --sweep retries=0,1": "--hedge 2s is never sent: the timeout of the policy is 1s",
		"--hedge 900ms --timeout 1s":                  "",
		"--hedge p95 --timeout 1ms":                   "",
		"--hedge none --timeout 1ms":                  "",
		"--hedge 2s --sweep timeout=1s,3s":            "",
		"--sweep hedge=500ms,2s --timeout 1s":         "",
		"--hedge 2s --sweep policy=naive,nest":        "",
	}
	for flags, want := range cases {
		s, err := specOf(t, strings.Fields(flags)...)
		if err != nil {
			t.Fatalf("%s: %v", flags, err)
		}
		err = s.checkHedge()
		if text := fmt.Sprint(err); want == "" && err != nil || want != "" && (text != want || exit.Code(err) != exit.Usage) {
			t.Errorf("%s: %v, want %q", flags, err, want)
		}
	}
}

// TestPolicyErrors: with the flag, the column, and a caret
// below it.
func TestPolicyErrors(t *testing.T) {
	cases := []struct{ flag, value, want string }{
		{"--breaker", "", "--breaker, column 1: a breaker is a failure ratio"},
		{"--breaker", "half", "--breaker, column 1: a breaker is a failure ratio"},
		{"--breaker", "150%", "--breaker, column 1: the ratio must be more than 0% and at most 100%"},
		{"--breaker", "50%/10", "--breaker, column 5: \"10\" is not a duration greater than 0, such as 5s\n  50%/10\n      ^"},
		{"--breaker", "50%/10s+5s,min=x", "--breaker, column 16: \"x\" is not a whole number of 1 or more"},
		{"--hedge", "p100", "--hedge, column 1: a quantile must be between p50 and p99.9\n  p100\n  ^"},
		{"--hedge", "soon", "--hedge, column 1: a hedge is a delay or a quantile of the latencies: 50ms, p95, or none"},
		{"--hedge", "50ms,2", "--hedge, column 6: a comma must be followed by max=2"},
		{"--retry-on", "timeout,resets", "--retry-on, column 9: unknown error class \"resets\": "},
		{"--retry-on", "never,503", "--retry-on, column 1: never cannot be combined with other classes"},
	}
	for _, c := range cases {
		err := NewSpec().Set(c.flag[2:], c.value)
		if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.flag, c.value, err, c.want)
		}
	}
}
