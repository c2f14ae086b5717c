package bench

import (
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/runtime/policy"
)

// Policy is the retry policy of the requests: a preset, and the settings that
// replace parts of it.
type Policy struct {
	Preset string

	timeout, delay, deadline time.Duration
	retries                  int
	exponential              bool
	jitter                   policy.Jitter
	budget                   policy.Budget
	retryOn                  policy.Option
	hedge                    policy.Hedge
	breaker                  policy.Breaker

	suggested *policy.Settings // replaces all of the above, to try a suggestion
}

// maxRetries bounds the time that a request can take.
const maxRetries = 1000

func newPolicy() Policy { return Policy{Preset: "none", delay: time.Second} }

// ClientPolicy builds the policy. Each call returns a new one, with a budget and a
// breaker of its own.
func (s *Spec) ClientPolicy() *policy.Policy {
	if p := s.Policy.suggested; p != nil {
		return policy.New(policy.WithTimeout(p.Timeout), policy.WithDeadline(p.Deadline), policy.WithRetries(p.Retries),
			policy.WithBackoff(p.Backoff), policy.WithJitter(p.Jitter), policy.WithBudget(p.Budget.Ratio, p.Budget.Floor))
	}
	preset, _ := policy.Preset(s.Policy.Preset) // setPreset has checked it
	p := &s.Policy
	options := []policy.Option{policy.WithBackoff(s.backoff(preset.Settings()))}
	for name, option := range map[string]policy.Option{
		"timeout":  policy.WithTimeout(p.timeout),
		"retries":  policy.WithRetries(p.retries),
		"jitter":   policy.WithJitter(p.jitter),
		"deadline": policy.WithDeadline(p.deadline),
		"budget":   policy.WithBudget(p.budget.Ratio, p.budget.Floor),
		"retry-on": p.retryOn,
		"hedge":    policy.WithHedge(p.hedge),
		"breaker":  policy.WithBreaker(p.breaker),
	} {
		if s.Given(name) {
			options = append(options, option)
		}
	}
	return preset.With(options...)
}

// checkHedge rejects a hedge that is never sent, because attempts end before it is due. In
// a sweep of such settings it may be sent in other runs; the descriptions of the policies
// say where it is not.
func (s *Spec) checkHedge() error {
	for _, axis := range s.Trials.Axes {
		if slices.Contains([]string{"hedge", "timeout", "deadline", "policy"}, axis.Name) {
			return nil
		}
	}
	settings := s.ClientPolicy().Settings()
	limit, what := policytext.HedgeLimit(settings)
	if delay := settings.Hedge.Delay; limit > 0 && delay >= limit && !s.Trials.Collapse {
		err := s.Usagef([]string{"hedge", what}, "--hedge %s is never sent: the %s of the policy is %s", policytext.FormatHedge(settings.Hedge), what, limit)
		return exit.WithHint(err, "use a shorter --hedge, or a quantile such as p95")
	}
	return nil
}

// underPolicy returns a copy of the Spec with a suggested policy.
func (s *Spec) underPolicy(suggested policy.Settings) *Spec {
	c := *s
	c.Policy.suggested = &suggested
	return &c
}

// backoff returns the preset's backoff, changed by the settings. Retries that the
// preset does not have wait for the default of --retry-delay, as those of send do.
func (s *Spec) backoff(preset policy.Settings) policy.Backoff {
	b := preset.Backoff
	if s.Given("retry-delay") || preset.Retries == 0 && s.Given("retries") {
		b.Delay = s.Policy.delay
		if b.Max > 0 {
			b.Max = max(b.Max, b.Delay)
		}
	}
	if s.Given("backoff") {
		b.Factor = 1
		if s.Policy.exponential {
			b.Factor = 2
		}
	}
	return b
}

func (s *Spec) setPreset(text string) error {
	if _, ok := policy.Preset(text); !ok {
		err := exit.Usagef("unknown --policy %q: use %s", text, strings.Join(policy.PresetNames(), ", "))
		if near := nearest.Word(text, policy.PresetNames()); near != "" {
			err = exit.WithHint(err, "did you mean %s?", near)
		}
		return err
	}
	s.Policy.Preset = text
	return nil
}

func (s *Spec) setBackoff(text string) error {
	if text != "constant" && text != "exponential" {
		return exit.Usagef("unknown --backoff %q: use constant or exponential", text)
	}
	s.Policy.exponential = text == "exponential"
	return nil
}

func (s *Spec) setJitter(text string) error {
	var ok bool
	if s.Policy.jitter, ok = policytext.ParseJitter(text); !ok {
		return exit.Usagef("unknown --jitter %q: use full, equal, or none", text)
	}
	return nil
}

func (s *Spec) setBudget(text string) (err error) {
	s.Policy.budget, err = policytext.ParseBudget(text)
	return pointed("budget", text, err)
}

func (s *Spec) setRetryOn(text string) error {
	classes, err := policytext.ParseRetryOn(text)
	if err != nil {
		return pointed("retry-on", text, err)
	}
	s.Policy.retryOn = policy.WithRetryOn(classes...)
	return nil
}

func (s *Spec) setHedge(text string) (err error) {
	s.Policy.hedge, err = policytext.ParseHedge(text)
	return pointed("hedge", text, err)
}

func (s *Spec) setBreaker(text string) (err error) {
	s.Policy.breaker, err = policytext.ParseBreaker(text)
	return pointed("breaker", text, err)
}
