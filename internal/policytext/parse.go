package policytext

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/policy"
)

// SyntaxError is the error of the parsers: where a text is wrong, and what is
// valid there.
type SyntaxError struct {
	// What was parsed: "breaker", "hedge", "budget", or "retry-on", as msctl's flags.
	What string
	// Text is the entire text.
	Text string
	// Offset is the position in Text, in bytes; len(Text) is the end.
	Offset int
	// Message states what is wrong there and what is valid.
	Message string
}

// Error returns the text, the column, counted from 1, and the message.
func (e *SyntaxError) Error() string {
	column := len([]rune(e.Text[:e.Offset])) + 1
	return fmt.Sprintf("%s %q, column %d: %s", e.What, e.Text, column, e.Message)
}

// Position returns Offset and Message.
func (e *SyntaxError) Position() (offset int, message string) { return e.Offset, e.Message }

// source is a text that is being parsed.
type source struct{ what, text string }

func (s source) wrong(offset int, format string, args ...any) *SyntaxError {
	return &SyntaxError{s.what, s.text, offset, fmt.Sprintf(format, args...)}
}

// duration parses part, which is at offset.
func (s source) duration(part string, offset int) (time.Duration, error) {
	d, err := time.ParseDuration(part)
	if err != nil || part[0] == '+' || part[0] == '-' || d <= 0 {
		return 0, s.wrong(offset, "%q is not a duration greater than 0, such as 5s", part)
	}
	return d, nil
}

// count parses part, which is at offset, as a whole number of 1 or more.
func (s source) count(part string, offset int) (int, error) {
	n, err := strconv.ParseUint(part, 10, 31)
	if err != nil || n == 0 {
		return 0, s.wrong(offset, "%q is not a whole number of 1 or more", part)
	}
	return int(n), nil
}

// settings parses name=number,name=number, which is at offset. Each name must be one of
// into's keys and may occur once.
func (s source) settings(part string, offset int, into map[string]*int, usage string) error {
	seen := map[string]bool{}
	for one := range strings.SplitSeq(part, ",") {
		name, value, ok := strings.Cut(one, "=")
		target := into[name]
		switch {
		case !ok || target == nil:
			return s.wrong(offset, "%s", usage)
		case seen[name]:
			return s.wrong(offset, "duplicate %s", name)
		}
		seen[name] = true
		n, err := s.count(value, offset+len(name)+1)
		if err != nil {
			return err
		}
		*target = n
		offset += len(one) + 1
	}
	return nil
}

// ParseJitter parses "none", "full", or "equal".
func ParseJitter(text string) (j policy.Jitter, ok bool) {
	for j := policy.NoJitter; j <= policy.EqualJitter; j++ {
		if j.String() == text {
			return j, true
		}
	}
	return policy.NoJitter, false
}

const budgetUsage = "a budget is a share, a rate, or both: 20%, 10/s, 20%+10/s, or none"

// ParseBudget parses a retry budget: 20%, 10/s, 20%+10/s, or "none", the zero Budget.
// The error is a *SyntaxError.
func ParseBudget(text string) (policy.Budget, error) {
	s := source{"budget", text}
	var b policy.Budget
	if text == "none" {
		return b, nil
	}
	offset := 0
	for part := range strings.SplitSeq(text, "+") {
		into := &b.Ratio
		number, share := strings.CutSuffix(part, "%")
		if !share {
			var perSecond bool
			if number, perSecond = strings.CutSuffix(part, "/s"); !perSecond {
				return policy.Budget{}, s.wrong(offset, "%s", budgetUsage)
			}
			into = &b.Floor
		}
		v, err := strconv.ParseFloat(number, 64)
		switch {
		case err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0:
			return policy.Budget{}, s.wrong(offset, "%q is not a number of 0 or more", number)
		case *into != 0:
			return policy.Budget{}, s.wrong(offset, "duplicate part: a budget has one share and one rate")
		}
		if *into = v; share {
			*into = v / 100
		}
		offset += len(part) + 1
	}
	return b, nil
}

const breakerUsage = "a breaker is a failure ratio, optionally with a window, a cooldown, a minimum, and probes: 50%/10s+5s,min=20,probes=1, or none"

// ParseBreaker parses the text that [FormatBreaker] returns. Everything after the ratio
// is optional: 50%, 50%/10s, 50%+5s, 50%,min=5. "none" is the zero Breaker. The error is
// a *SyntaxError.
func ParseBreaker(text string) (policy.Breaker, error) {
	s := source{"breaker", text}
	if text == "none" {
		return policy.Breaker{}, nil
	}
	times, settings, more := strings.Cut(text, ",")
	number, rest, ok := strings.Cut(times, "%")
	if !ok {
		return policy.Breaker{}, s.wrong(0, "%s", breakerUsage)
	}
	var b policy.Breaker
	if b.Ratio, ok = parsePercent(number); !ok || b.Ratio <= 0 || b.Ratio > 1 {
		return policy.Breaker{}, s.wrong(0, "the ratio must be more than 0%% and at most 100%%")
	}
	var err error
	if b.Window, b.Cooldown, err = s.breakerTimes(rest, len(number)+1); err != nil {
		return policy.Breaker{}, err
	}
	if more {
		names := map[string]*int{"min": &b.Minimum, "probes": &b.Probes}
		if err := s.settings(settings, len(times)+1, names, "a comma must be followed by min=20 or probes=1"); err != nil {
			return policy.Breaker{}, err
		}
	}
	return completeBreaker(b), nil
}

// breakerTimes parses /window, +cooldown, both, or nothing.
func (s source) breakerTimes(text string, offset int) (window, cooldown time.Duration, err error) {
	if strings.HasPrefix(text, "/") {
		part, _, _ := strings.Cut(text[1:], "+")
		if window, err = s.duration(part, offset+1); err != nil {
			return 0, 0, err
		}
		offset, text = offset+1+len(part), text[1+len(part):]
	}
	if text == "" {
		return window, 0, nil
	}
	if text[0] != '+' {
		return 0, 0, s.wrong(offset, "%s", breakerUsage)
	}
	cooldown, err = s.duration(text[1:], offset+1)
	return window, cooldown, err
}

// The quantiles that WithHedge accepts.
const minQuantile, maxQuantile = 0.5, 0.999

// ParseHedge parses the text that [FormatHedge] returns; "none" is the zero Hedge. The
// error is a *SyntaxError.
func ParseHedge(text string) (policy.Hedge, error) {
	s := source{"hedge", text}
	if text == "none" {
		return policy.Hedge{}, nil
	}
	wait, settings, more := strings.Cut(text, ",")
	var h policy.Hedge
	if number, ok := strings.CutPrefix(wait, "p"); ok {
		if h.Quantile, ok = parsePercent(number); !ok || h.Quantile < minQuantile || h.Quantile > maxQuantile {
			return policy.Hedge{}, s.wrong(0, "a quantile must be between p50 and p99.9")
		}
	} else {
		d, err := time.ParseDuration(wait)
		if err != nil || d <= 0 {
			return policy.Hedge{}, s.wrong(0, "a hedge is a delay or a quantile of the latencies: 50ms, p95, or none")
		}
		h.Delay = d
	}
	if more {
		if err := s.settings(settings, len(wait)+1, map[string]*int{"max": &h.Max}, "a comma must be followed by max=2"); err != nil {
			return policy.Hedge{}, err
		}
	}
	return completeHedge(h), nil
}

// ParseRetryOn parses a comma-separated list of error classes, for policy.WithRetryOn.
// The error is a *SyntaxError.
func ParseRetryOn(text string) (classes []string, err error) {
	s := source{"retry-on", text}
	if text == "" {
		return nil, nil
	}
	offset := 0
	for part := range strings.SplitSeq(text, ",") {
		class := strings.TrimSpace(part)
		if !isErrorClass(class) {
			return nil, s.wrong(offset+strings.Index(part, class), "unknown error class %q: use timeout, unreachable, reset, error, a status (503), a range (5xx), transient, any, or never", class)
		}
		classes = append(classes, class)
		offset += len(part) + 1
	}
	if slices.Contains(classes, "never") && slices.ContainsFunc(classes, func(c string) bool { return c != "never" }) {
		return nil, s.wrong(strings.Index(text, "never"), "never cannot be combined with other classes")
	}
	return classes, nil
}

func isErrorClass(name string) bool {
	_, err := policy.FromSettings(policy.Settings{RetryOn: name})
	return err == nil && name != "" && name != policy.Custom && !strings.Contains(name, ",")
}
