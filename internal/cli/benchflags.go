package cli

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/runtime/policy"
)

// benchPolicy are the flags that say under which policy requests are made: a
// preset, and what differs from it.
type benchPolicy struct {
	policyFlags
	preset   string
	budget   string
	breaker  string
	hedge    string
	retryOn  string
	deadline time.Duration
	given    func(flag string) bool
}

// register adds the flags to a command.
func (f *benchPolicy) register(cmd *cobra.Command, heading string) {
	flags := cmd.Flags()
	flags.StringVar(&f.preset, "policy", "none", "begin with the policy `NAME`: "+strings.Join(policy.PresetNames(), ", "))
	groupFlags(cmd, heading, "policy")
	f.policyFlags.register(cmd, heading)
	for _, name := range []string{"timeout", "retries", "retry-delay", "backoff", "jitter"} {
		flags.Lookup(name).DefValue = noDefault(flags.Lookup(name)) // the preset's
	}
	flags.StringVar(&f.budget, "budget", "", "allow retries for a `SHARE` of the requests and some a second: 20%+10/s, or none")
	flags.StringVar(&f.retryOn, "retry-on", "", "retry these `FAILURES`: timeout, unreachable, reset, error, 503, 5xx, any, never or transient")
	flags.StringVar(&f.hedge, "hedge", "", "send a request once more when it was not answered `AFTER` 50ms, or p95 of the latencies")
	flags.StringVar(&f.breaker, "breaker", "", "send nothing for a while after a `SHARE` of failures: 50%/10s+5s (in 10s, for 5s), or none")
	flags.DurationVar(&f.deadline, "deadline", 0, "bound a request with all its attempts to `DURATION`")
	groupFlags(cmd, heading, "budget", "retry-on", "hedge", "breaker", "deadline")
	f.given = flags.Changed
}

// build makes the policy. Its errors are usage errors.
func (f *benchPolicy) build() (*policy.Policy, error) {
	p, ok := policy.Preset(f.preset)
	if !ok {
		err := exit.Usagef("unknown --policy %q: use %s", f.preset, strings.Join(policy.PresetNames(), ", "))
		if near := nearest.Word(f.preset, policy.PresetNames()); near != "" {
			err = exit.WithHint(err, "did you mean %s?", near)
		}
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	options := []policy.Option{policy.WithBackoff(f.backoffOver(p.Settings()))}
	if f.given("timeout") {
		options = append(options, policy.WithTimeout(f.timeout))
	}
	if f.given("retries") {
		options = append(options, policy.WithRetries(f.retries))
	}
	if f.given("jitter") {
		jitter, _ := policy.ParseJitter(f.jitter) // checked
		options = append(options, policy.WithJitter(jitter))
	}
	if f.given("deadline") {
		if f.deadline <= 0 {
			return nil, exit.Usagef("--deadline must be longer than 0")
		}
		options = append(options, policy.WithDeadline(f.deadline))
	}
	if f.given("budget") {
		ratio, floor, err := parseBudget(f.budget)
		if err != nil {
			return nil, err
		}
		options = append(options, policy.WithBudget(ratio, floor))
	}
	more, err := f.parsed()
	if err != nil {
		return nil, err
	}
	return p.With(append(options, more...)...), nil
}

// parsed are the options of the flags that runtime/policy reads itself.
func (f *benchPolicy) parsed() (options []policy.Option, err error) {
	if f.given("retry-on") {
		if _, err := policy.ParseRetryOn(f.retryOn); err != nil {
			return nil, policySyntax(err)
		}
		options = append(options, policy.WithRetryOn(f.retryOn))
	}
	if f.given("hedge") {
		h, err := policy.ParseHedge(f.hedge)
		if err != nil {
			return nil, policySyntax(err)
		}
		options = append(options, policy.WithHedge(h))
	}
	if f.given("breaker") {
		b, err := policy.ParseBreaker(f.breaker)
		if err != nil {
			return nil, policySyntax(err)
		}
		options = append(options, policy.WithBreaker(b))
	}
	return options, nil
}

// policySyntax is the usage error for what runtime/policy could not read.
func policySyntax(err error) error {
	var wrong *policy.SyntaxError
	if !errors.As(err, &wrong) {
		return err
	}
	return exit.PointAt("--"+wrong.What, wrong.Text, wrong.Offset, wrong.Message)
}

// backoffOver is the preset's back-off with what the flags say instead. Retries
// that no preset spaced wait --retry-delay's default, as those of send do.
func (f *benchPolicy) backoffOver(s policy.Settings) policy.Backoff {
	b := s.Backoff
	if f.given("retry-delay") || s.Retries == 0 && f.given("retries") {
		b.Delay = f.delay
		if b.Max > 0 {
			b.Max = max(b.Max, b.Delay)
		}
	}
	if f.given("backoff") {
		b.Factor = 1
		if f.backoff == "exponential" {
			b.Factor = 2
		}
	}
	return b
}

// parseBudget reads --budget: 20%, 10/s, 20%+10/s or none.
func parseBudget(text string) (ratio, floor float64, err error) {
	if text == "none" {
		return 0, 0, nil
	}
	offset := 0
	for part := range strings.SplitSeq(text, "+") {
		number, share := strings.CutSuffix(part, "%")
		into := &ratio
		if !share {
			var perSecond bool
			if number, perSecond = strings.CutSuffix(part, "/s"); !perSecond {
				return 0, 0, exit.PointAt("--budget", text, offset, "a budget is a share, a rate, or both: 20%, 10/s, 20%+10/s, or none")
			}
			into = &floor
		}
		v, err := strconv.ParseFloat(number, 64)
		switch {
		case err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0:
			return 0, 0, exit.PointAt("--budget", text, offset, strconv.Quote(number)+" is not a number of 0 or more")
		case *into != 0:
			return 0, 0, exit.PointAt("--budget", text, offset, "this is there twice")
		}
		if *into = v; share {
			*into = v / 100
		}
		offset += len(part) + 1
	}
	return ratio, floor, nil
}

// noDefault is the default that a flag's help does not mention.
func noDefault(f *pflag.Flag) string {
	if f.Value.Type() == "string" {
		return ""
	}
	return "0"
}
