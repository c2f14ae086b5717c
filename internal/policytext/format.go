// Package policytext reads and writes the parts of a policy as text: the values of
// flags such as --breaker and --hedge, and the line that describes a policy in
// reports.
package policytext

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/policy"
)

// Describe returns a policy's settings in one line, such as "timeout 1s, 2 retries
// 1s apart".
func Describe(s policy.Settings) string {
	parts := []string{"no timeout"}
	if s.Timeout > 0 {
		parts[0] = "timeout " + s.Timeout.String()
		if s.TimeoutPerValue {
			parts[0] += " per value"
		}
	}
	parts = append(parts, describeRetries(s))
	hedged := s.Hedge != (policy.Hedge{})
	if hedged {
		parts = append(parts, "hedge "+FormatHedge(s.Hedge)+impossible(s))
	}
	if (s.Retries > 0 || hedged) && s.Budget != (policy.Budget{}) {
		parts = append(parts, "budget "+FormatBudget(s.Budget))
	}
	if s.Breaker != (policy.Breaker{}) {
		parts = append(parts, "breaker "+FormatBreaker(s.Breaker))
	}
	if s.Deadline > 0 {
		parts = append(parts, "deadline "+s.Deadline.String())
	}
	return strings.Join(parts, ", ")
}

// describeRetries describes how many retries there are, when, and of which errors.
func describeRetries(s policy.Settings) string {
	if s.Retries == 0 {
		return "no retries"
	}
	text, backoff := "1 retry ", policy.Constant(s.Backoff.Before(1))
	if s.Retries > 1 {
		text, backoff = strconv.Itoa(s.Retries)+" retries ", s.Backoff
	}
	text += describeBackoff(backoff)
	if s.Jitter != policy.NoJitter && s.Backoff.Delay > 0 {
		text += fmt.Sprintf(" with %s jitter", s.Jitter)
	}
	switch s.RetryOn {
	case "":
	case "any":
		text += " on any error"
	default:
		text += " on " + s.RetryOn
	}
	if s.RetryAfterValue {
		text += " even after a value"
	}
	return text
}

// describeBackoff describes the delays. Those that double do not state their factor if
// they state where they end.
func describeBackoff(b policy.Backoff) string {
	first := b.Before(1)
	switch {
	case first == 0:
		return "at once"
	case first == b.Before(2):
		return first.String() + " apart"
	}
	text := first.String()
	if b.Max > 0 {
		text += " to " + b.Max.String()
	}
	switch {
	case b.Factor != 2:
		return text + " apart and growing by a factor of " + strconv.FormatFloat(b.Factor, 'g', -1, 64)
	case b.Max > 0:
		return text + " apart"
	}
	return text + " apart and doubling"
}

// impossible returns a remark if the policy ends every attempt before its hedge is due.
func impossible(s policy.Settings) string {
	if limit, what := HedgeLimit(s); limit > 0 && s.Hedge.Delay >= limit {
		return fmt.Sprintf(" (never sent: the %s is %s)", what, limit)
	}
	return ""
}

// HedgeLimit returns the setting of a policy before which a hedge must be due, with its
// name, or 0 if there is none.
func HedgeLimit(s policy.Settings) (limit time.Duration, what string) {
	if s.Deadline > 0 && (s.Timeout == 0 || s.Deadline < s.Timeout) {
		return s.Deadline, "deadline"
	}
	return s.Timeout, "timeout"
}

// FormatBudget returns the text that [ParseBudget] reads: 20%+10/s.
func FormatBudget(b policy.Budget) string {
	if b == (policy.Budget{}) {
		return "none"
	}
	text := strconv.FormatFloat(b.Ratio*100, 'g', 6, 64) + "%"
	if b.Floor > 0 {
		text += "+" + strconv.FormatFloat(b.Floor, 'g', 6, 64) + "/s"
	}
	return text
}

// FormatBreaker returns the text that [ParseBreaker] reads: the ratio, the window, and
// the cooldown, 50%/10s+5s, and what differs from the defaults: 50%/10s+5s,min=5.
func FormatBreaker(b policy.Breaker) string {
	if b = completeBreaker(b); b == (policy.Breaker{}) {
		return "none"
	}
	defaults := completeBreaker(policy.Breaker{Ratio: 1})
	text := fmt.Sprintf("%s%%/%s+%s", formatPercent(b.Ratio), b.Window, b.Cooldown)
	if b.Minimum != defaults.Minimum {
		text += fmt.Sprintf(",min=%d", b.Minimum)
	}
	if b.Probes != defaults.Probes {
		text += fmt.Sprintf(",probes=%d", b.Probes)
	}
	return text
}

// FormatHedge returns the text that [ParseHedge] reads: 50ms or p95, and p95,max=2 for
// more than one hedge.
func FormatHedge(h policy.Hedge) string {
	if h = completeHedge(h); h == (policy.Hedge{}) {
		return "none"
	}
	text := h.Delay.String()
	if h.Quantile > 0 {
		text = "p" + formatPercent(h.Quantile)
	}
	if h.Max > 1 {
		text += fmt.Sprintf(",max=%d", h.Max)
	}
	return text
}

// completeBreaker fills in the defaults, as WithBreaker does.
func completeBreaker(b policy.Breaker) policy.Breaker {
	return policy.New(policy.WithBreaker(b)).Settings().Breaker
}

// completeHedge fills in the defaults, as WithHedge does.
func completeHedge(h policy.Hedge) policy.Hedge {
	return policy.New(policy.WithHedge(h)).Settings().Hedge
}

// Shares are rounded to a millionth, so that a printed share reads back as the same one.
const shareParts = 1e6

// parsePercent parses the number before a percent sign as a share.
func parsePercent(number string) (share float64, ok bool) {
	if strings.Trim(number, "0123456789.") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(number, 64)
	return math.Round(v*shareParts/100) / shareParts, err == nil
}

// formatPercent returns a share as the number before a percent sign.
func formatPercent(share float64) string {
	return strconv.FormatFloat(math.Round(share*shareParts)*100/shareParts, 'f', -1, 64)
}
