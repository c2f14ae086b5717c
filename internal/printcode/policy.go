package printcode

import (
	"fmt"
	"go/format"
	"io"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/runtime/policy"
)

// PolicyLanguages lists the languages of [WritePolicy].
func PolicyLanguages() []string { return []string{"go", "nest"} }

// WritePolicy writes a policy as code: for msctl's runtime ("go"), or as RxJS operators for
// a NestJS client ("nest"). A policy with a function for its retryable errors is a usage
// error.
func WritePolicy(w io.Writer, language string, s policy.Settings) error {
	var text string
	var err error
	if s.RetryOn == policy.Custom {
		return exit.Usagef("cannot print the policy: a function decides which errors it retries")
	}
	switch language {
	case "go":
		text, err = goPolicyCode(s)
	case "nest":
		text, err = nestPolicyCode(s)
	default:
		return exit.Usagef("unknown --print-policy %q: use %s", language, strings.Join(PolicyLanguages(), " or "))
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// goPolicyCode returns a Go file with a function that returns the policy.
func goPolicyCode(s policy.Settings) (string, error) {
	g := &goProgram{imports: map[string]bool{}}
	g.use(runtimePath + "policy")
	for _, option := range goPolicyOptions(s) {
		g.printf("%s,\n", option)
	}
	if strings.Contains(g.body.String(), "*time.") {
		g.use("time")
	}
	text, err := format.Source([]byte("package main\n\nimport (\n" + strings.TrimLeft(g.importLines(), "\n") + ")\n\n" +
		"// newPolicy returns a policy: " + policytext.Describe(s) + ".\n" +
		"// Create it once for each service: all clients with the policy share its budget.\n" +
		"//\n//\tclient := micro.NewClient(microtcp.Dial(\"service:3002\"), newPolicy())\n" +
		"func newPolicy() *policy.Policy {\nreturn policy.New(\n" + g.body.String() + ")\n}\n"))
	if err != nil {
		return "", fmt.Errorf("format the policy: %w", err)
	}
	return string(text), nil
}

// goPolicyOptions returns the expressions for the options of s.
func goPolicyOptions(s policy.Settings) (options []string) {
	add := func(format string, args ...any) { options = append(options, "policy."+fmt.Sprintf(format, args...)) }
	if s.Timeout > 0 {
		add("WithTimeout(%s)", goDuration(s.Timeout))
	}
	if s.TimeoutPerValue {
		add("WithTimeoutPerValue(true)")
	}
	if s.Deadline > 0 {
		add("WithDeadline(%s)", goDuration(s.Deadline))
	}
	if s.Retries > 0 {
		add("WithRetries(%d)", s.Retries)
	}
	if s.RetryAfterValue {
		add("WithRetryAfterValue(true)")
	}
	if s.Backoff != (policy.Backoff{}) {
		add("WithBackoff(%s)", goBackoff(s.Backoff))
	}
	switch s.Jitter {
	case policy.FullJitter:
		add("WithJitter(policy.FullJitter)")
	case policy.EqualJitter:
		add("WithJitter(policy.EqualJitter)")
	}
	if s.RetryOn != "" {
		var classes []string
		for class := range strings.SplitSeq(s.RetryOn, ",") {
			classes = append(classes, strconv.Quote(class))
		}
		add("WithRetryOn(%s)", strings.Join(classes, ", "))
	}
	if s.Budget != (policy.Budget{}) {
		add("WithBudget(%s, %s)", number(s.Budget.Ratio), number(s.Budget.Floor))
	}
	if s.Breaker != (policy.Breaker{}) {
		b := s.Breaker
		add("WithBreaker(policy.Breaker{Ratio: %s, Window: %s, Cooldown: %s, Minimum: %d, Probes: %d})",
			number(b.Ratio), goDuration(b.Window), goDuration(b.Cooldown), b.Minimum, b.Probes)
	}
	if s.Hedge != (policy.Hedge{}) {
		wait := "Delay: " + goDuration(s.Hedge.Delay)
		if s.Hedge.Quantile > 0 {
			wait = "Quantile: " + number(s.Hedge.Quantile)
		}
		add("WithHedge(policy.Hedge{%s, Max: %d})", wait, s.Hedge.Max)
	}
	return options
}

func goBackoff(b policy.Backoff) string {
	switch b {
	case policy.Constant(b.Delay):
		return "policy.Constant(" + goDuration(b.Delay) + ")"
	case policy.Exponential(b.Delay, b.Max):
		most := "0"
		if b.Max > 0 {
			most = goDuration(b.Max)
		}
		return "policy.Exponential(" + goDuration(b.Delay) + ", " + most + ")"
	}
	return fmt.Sprintf("policy.Backoff{Delay: %s, Factor: %s, Max: %s}", goDuration(b.Delay), number(b.Factor), goDuration(b.Max))
}

// number returns v in both languages, without rounding.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
