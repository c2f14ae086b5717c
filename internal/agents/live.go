package agents

import (
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/policy"
)

// change orders a live change of every agent, at a moment that all of them reach after they
// know of it.
func (r *run) change(text string, c change) error {
	select {
	case <-r.over:
		return nil // too late to have an effect
	default:
	}
	c.At = r.elapsed() + changeLead
	r.sum.Mark(c.At, text)
	return r.broadcast(func() *command { return &command{Kind: kindChange, Change: &c} })
}

// changePolicy orders a live change of the policy.
func (r *run) changePolicy(text string, c change, options ...policy.Option) error {
	next := r.sum.Policy().With(options...)
	if s := next.Settings(); s.Timeout == 0 && s.Deadline == 0 {
		return errors.New("a policy requires a timeout or a deadline")
	}
	if err := r.change(text, c); err != nil {
		return err
	}
	r.sum.SetPolicy(next)
	return nil
}

// SetRate changes the rate of an open load.
func (r *run) SetRate(perSecond float64) error {
	if r.job.Plan.Pacer == nil || !(perSecond > 0) || perSecond > 1e7 {
		return fmt.Errorf("cannot change the rate to %g/s", perSecond)
	}
	r.sum.Changed()
	return r.change(fmt.Sprintf("rate %g/s", perSecond), change{Rate: perSecond})
}

// SetUsers changes the number of users of a closed load.
func (r *run) SetUsers(n int) error {
	if r.job.Plan.Users == 0 || n < 1 || n > 1_000_000 {
		return fmt.Errorf("cannot change the number of users to %d", n)
	}
	return r.change(fmt.Sprintf("%d users", n), change{Users: n})
}

// SetTimeout changes the attempt timeout of requests that start from then on.
func (r *run) SetTimeout(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("invalid timeout %s: must be above 0", d)
	}
	return r.changePolicy("timeout "+d.String(), change{Timeout: d}, policy.WithTimeout(d))
}

// SetRetries changes the retries of requests that start from then on.
func (r *run) SetRetries(n int) error {
	if n < 0 || n > 1000 {
		return fmt.Errorf("invalid number of retries %d: must be between 0 and 1000", n)
	}
	text := fmt.Sprintf("%d retries", n)
	if n == 1 {
		text = "1 retry"
	}
	return r.changePolicy(text, change{Retries: &n}, policy.WithRetries(n))
}

// SetPreset changes the policy to the preset with a name.
func (r *run) SetPreset(name string) error {
	p, ok := policy.Preset(name)
	if !ok {
		return fmt.Errorf("unknown policy %q", name)
	}
	return r.changePolicy("policy "+name, change{Preset: name}, policy.As(p))
}

// Fire injects the fault of the job on every agent.
func (r *run) Fire() error {
	if r.job.Fault.Text == "" {
		return errors.New("no fault proxy is running: start with --fault 'stall@1h+4s' to have one")
	}
	t := load.Trigger{At: r.elapsed() + changeLead, Length: r.job.Fault.Length, Text: r.job.Fault.Text}
	if err := r.broadcast(func() *command { return &command{Kind: kindChange, Change: &change{At: t.At, Fire: true}} }); err != nil {
		return err
	}
	r.sum.Trigger(t)
	return nil
}
