package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/lab"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/policy"
)

// The defaults of --collapse.
const (
	collapseFault = "stall@5s+4s"
	afterFault    = 18 * time.Second // how long a run continues after the fault
)

// collapsePolicies are the policies that --collapse tries by default.
func collapsePolicies() []string {
	return []string{"none", "naive", "backoff", "budget", "recommended"}
}

// collapse finds the capacity and makes a run under each policy.
func (b *Bench) collapse(ctx context.Context) error {
	if err := b.rest(ctx); err != nil {
		return err
	}
	capacity, users, err := lab.Capacity(ctx, b.capacityStep)
	switch {
	case errors.Is(err, lab.ErrNoCapacity):
		return exit.WithHint(exit.WithCode(err, exit.Service), "check that `msctl send` gets a reply")
	case err != nil:
		return err
	}
	b.display.Note(fmt.Sprintf("the service answers at most %s (%d users without think time)", format.Rate(capacity), users))
	trials, experiment, err := b.spec.collapseTrials(capacity)
	if err != nil {
		return err
	}
	b.experiment = experiment
	return b.all(ctx, trials)
}

// capacityTimeout is the attempt timeout while the capacity is searched for.
const capacityTimeout = 30 * time.Second

// capacityStep loads the service with a number of users without think time.
func (b *Bench) capacityStep(ctx context.Context, users int, length, warmup time.Duration) (*load.Result, error) {
	quiet := b.spec.single()
	quiet.Faults = nil
	r, err := newRig(ctx, quiet, b.pause)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.plan.Policy = policy.New(policy.WithTimeout(capacityTimeout))
	r.plan.Pacer, r.plan.Users, r.plan.Think, r.plan.Requests = nil, users, 0, 0
	r.plan.Duration, r.plan.Warmup = length, warmup
	run, err := load.Start(ctx, r.plan)
	if err != nil {
		return nil, fmt.Errorf("start the run: %w", err)
	}
	if err := b.display.Show(Stage{Title: fmt.Sprintf("finding the capacity: %d users", users), Run: &Run{run, r}}); err != nil {
		run.Stop()
		run.Wait()
		return nil, err
	}
	return run.Wait(), nil
}

// collapseTrials returns the runs of --collapse under a capacity that was found.
func (s *Spec) collapseTrials(capacity float64) ([]trial, *report.Experiment, error) {
	axes := s.Trials.axes()
	if len(axes) == 0 {
		axes = []report.Axis{{Name: "policy", Values: collapsePolicies()}}
		if s.Given("policy") {
			axes[0].Values = []string{s.Policy.Preset}
		}
	}
	base := s.single()
	var err error
	if !s.Given(s.shape()) {
		if base, err = base.With("rate", fmt.Sprintf("%.4g/s", lab.UsualLoad*capacity)); err != nil {
			return nil, nil, err
		}
	}
	if !slices.ContainsFunc(s.Faults, Fault.ends) {
		if base, err = base.With("fault", collapseFault); err != nil {
			return nil, nil, err
		}
	}
	list, err := s.combine(base, axes)
	if err != nil {
		return nil, nil, err
	}
	if !s.Given("duration") {
		for i := range list {
			length := lastFaultEnd(list[i].spec.Faults) + afterFault
			if list[i].spec, err = list[i].spec.With("duration", length.String()); err != nil {
				return nil, nil, err
			}
		}
	}
	e := newExperiment(axes)
	e.Capacity = capacity
	first := list[0].spec
	e.Title = fmt.Sprintf("%s, a capacity of %s, and %s", first.describeLoad(), format.Rate(capacity), strings.Join(faultTexts(first.Faults), " and "))
	return list, e, nil
}

// lastFaultEnd returns when the last fault with an end ends.
func lastFaultEnd(faults []Fault) (end time.Duration) {
	for _, f := range faults {
		if f.ends() {
			end = max(end, f.Start+f.Length)
		}
	}
	return end
}
