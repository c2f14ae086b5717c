package cli

import (
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/exit"
	"github.com/spf13/cobra"
)

// policyOf builds the policy that the flags of a bench say.
func policyOf(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var f benchPolicy
	cmd := &cobra.Command{Use: "bench"}
	f.register(cmd, "How patiently")
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	p, err := f.build()
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

// TestBenchPolicyFlags: breaker, hedge and what is retried, over presets.
func TestBenchPolicyFlags(t *testing.T) {
	cases := map[string]string{
		"--breaker 50%":                                   "timeout 5s, no retries, breaker 50%/10s+5s",
		"--breaker 20%/30s+1s,min=5,probes=2":             "timeout 5s, no retries, breaker 20%/30s+1s,min=5,probes=2",
		"--breaker none":                                  "timeout 5s, no retries",
		"--hedge 50ms":                                    "timeout 5s, no retries, hedge 50ms",
		"--hedge p95,max=2 --budget 5%":                   "timeout 5s, no retries, hedge p95,max=2, budget 5%",
		"--hedge none --policy naive":                     "timeout 1s, 3 retries at once",
		"--policy naive --retry-on timeout,5xx":           "timeout 1s, 3 retries at once on timeout,5xx",
		"--policy nest":                                   "timeout 5s, 2 retries 1s apart on any error",
		"--policy nest --retry-on transient":              "timeout 5s, 2 retries 1s apart",
		"--policy naive --retry-on never":                 "timeout 1s, 3 retries at once on never",
		"--policy naive --hedge p99 --breaker 100%/1m":    "timeout 1s, 3 retries at once, hedge p99, breaker 100%/1m0s+5s",
		"--policy recommended --hedge p99 --retry-on 503": "timeout 1s, 2 retries 50ms to 1s apart with full jitter on 503, hedge p99, budget 20%+10/s, deadline 3s",
	}
	for flags, want := range cases {
		if got, err := policyOf(t, strings.Fields(flags)...); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", flags, got, err, want)
		}
	}
}

// TestBenchPolicyFlagsPointAtWhatIsWrong: with the flag, the column, and a caret
// below it.
func TestBenchPolicyFlagsPointAtWhatIsWrong(t *testing.T) {
	cases := []struct{ flag, value, want string }{
		{"--breaker", "", "--breaker, column 1: a breaker is a share of failures"},
		{"--breaker", "half", "--breaker, column 1: a breaker is a share of failures"},
		{"--breaker", "150%", "--breaker, column 1: the share must be more than 0% and at most 100%"},
		{"--breaker", "50%/10", "--breaker, column 5: \"10\" is not a duration of more than 0, such as 5s\n  50%/10\n      ^"},
		{"--breaker", "50%/10s+5s,min=x", "--breaker, column 16: \"x\" is not a whole number of 1 or more"},
		{"--hedge", "p100", "--hedge, column 1: a quantile is from p50 to p99.9\n  p100\n  ^"},
		{"--hedge", "soon", "--hedge, column 1: hedge after a duration or a quantile of the latencies: 50ms, p95, or none"},
		{"--hedge", "50ms,2", "--hedge, column 6: after a comma comes max=2"},
		{"--retry-on", "timeout,resets", "--retry-on, column 9: \"resets\" is not a class of errors: "},
		{"--retry-on", "never,503", "--retry-on, column 1: never cannot be with others"},
	}
	for _, c := range cases {
		_, err := policyOf(t, c.flag+"="+c.value)
		if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.flag, c.value, err, c.want)
		}
	}
}
