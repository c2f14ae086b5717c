package report

import (
	"time"

	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/runtime/policy"
)

// Policy is the policy at the end of a run: as text, and setting by setting. Create it
// with NewPolicy; Settings is the inverse.
type Policy struct {
	Text     string        `json:"text"`
	Timeout  time.Duration `json:"timeout_ns"`
	Deadline time.Duration `json:"deadline_ns"`
	Retries  int           `json:"retries"`
	// RetryOn lists the errors that are retried: "transient", "any", "timeout,5xx"; it
	// is "custom" if a function decides.
	RetryOn  string        `json:"retry_on"`
	Delay    time.Duration `json:"delay_ns"`
	Factor   float64       `json:"factor"`
	MaxDelay time.Duration `json:"max_delay_ns"`
	Jitter   string        `json:"jitter"`
	Ratio    float64       `json:"budget_ratio"`
	Floor    float64       `json:"budget_floor_per_s"`
	// The semantics of RxJS: the timeout restarts with each value, and retries are made even
	// after a value.
	TimeoutPerValue bool `json:"timeout_per_value,omitempty"`
	RetryAfterValue bool `json:"retry_after_value,omitempty"`
	// The breaker. Without one, all are absent.
	BreakerRatio    float64       `json:"breaker_ratio,omitempty"`
	BreakerWindow   time.Duration `json:"breaker_window_ns,omitempty"`
	BreakerCooldown time.Duration `json:"breaker_cooldown_ns,omitempty"`
	BreakerMinimum  int           `json:"breaker_minimum,omitempty"`
	BreakerProbes   int           `json:"breaker_probes,omitempty"`
	// Hedging after a delay or a quantile. Without it, all are absent.
	HedgeDelay    time.Duration `json:"hedge_delay_ns,omitempty"`
	HedgeQuantile float64       `json:"hedge_quantile,omitempty"`
	HedgeMost     int           `json:"hedge_most,omitempty"`
}

// transient is the name of the errors that policies retry by default.
const transient = "transient"

// NewPolicy converts a policy's settings.
func NewPolicy(s policy.Settings) Policy {
	p := Policy{
		Text: policytext.Describe(s), Timeout: s.Timeout, Deadline: s.Deadline, Retries: s.Retries, RetryOn: s.RetryOn,
		Delay: s.Backoff.Delay, Factor: s.Backoff.Factor, MaxDelay: s.Backoff.Max, Jitter: s.Jitter.String(),
		Ratio: s.Budget.Ratio, Floor: s.Budget.Floor, TimeoutPerValue: s.TimeoutPerValue, RetryAfterValue: s.RetryAfterValue,
		BreakerRatio: s.Breaker.Ratio, BreakerWindow: s.Breaker.Window, BreakerCooldown: s.Breaker.Cooldown,
		BreakerMinimum: s.Breaker.Minimum, BreakerProbes: s.Breaker.Probes,
		HedgeDelay: s.Hedge.Delay, HedgeQuantile: s.Hedge.Quantile, HedgeMost: s.Hedge.Max,
	}
	if p.RetryOn == "" {
		p.RetryOn = transient
	}
	return p
}

// Settings returns the policy's settings. It is the inverse of NewPolicy, ignores Text,
// and treats an unknown jitter as none.
func (p *Policy) Settings() policy.Settings {
	jitter, _ := policytext.ParseJitter(p.Jitter)
	retryOn := p.RetryOn
	if retryOn == transient {
		retryOn = ""
	}
	return policy.Settings{
		Timeout: p.Timeout, Deadline: p.Deadline, Retries: p.Retries, RetryOn: retryOn,
		Backoff: policy.Backoff{Delay: p.Delay, Factor: p.Factor, Max: p.MaxDelay}, Jitter: jitter,
		Budget: policy.Budget{Ratio: p.Ratio, Floor: p.Floor}, TimeoutPerValue: p.TimeoutPerValue, RetryAfterValue: p.RetryAfterValue,
		Breaker: policy.Breaker{
			Ratio: p.BreakerRatio, Window: p.BreakerWindow, Cooldown: p.BreakerCooldown,
			Minimum: p.BreakerMinimum, Probes: p.BreakerProbes,
		},
		Hedge: policy.Hedge{Delay: p.HedgeDelay, Quantile: p.HedgeQuantile, Max: p.HedgeMost},
	}
}
