package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
func (b *Bench) capacityStep(ctx context.Context, users int, length, warmup time.Duration) (_ *load.Result, err error) {
	quiet := b.spec.single()
	quiet.Faults = nil
	if quiet.Fleet != nil {
		if quiet, err = quiet.capacity(users, length, warmup); err != nil {
			return nil, err
		}
	}
	r, err := newRig(ctx, quiet, b.pause)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.plan.Policy = policy.New(policy.WithTimeout(capacityTimeout))
	r.plan.Pacer, r.plan.Users, r.plan.Think, r.plan.Requests = nil, users, 0, 0
	r.plan.Duration, r.plan.Warmup = length, warmup
	run, err := b.start(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := b.display.Show(Stage{Title: fmt.Sprintf("finding the capacity: %d users", users), Run: run}); err != nil {
		run.Stop()
		run.Wait()
		return nil, err
	}
	return run.Wait(), nil
}

// capacity returns the Spec of one step of the search for a capacity on a fleet.
func (s *Spec) capacity(users int, length, warmup time.Duration) (*Spec, error) {
	one := s.underPolicy(policy.Settings{Timeout: capacityTimeout})
	one.given = maps.Clone(s.given)
	for _, name := range []string{"think", "requests", "arrivals", "warmup", "fault"} {
		delete(one.given, name)
	}
	one.Load.Think, one.Load.Requests, one.Load.Arrivals, one.Load.Warmup = 0, 0, load.Uniform, 0
	var err error
	for _, set := range [][2]string{{"users", strconv.Itoa(max(users, s.Fleet.Size()))}, {"duration", length.String()}, {"warmup", warmup.String()}} {
		if one, err = one.With(set[0], set[1]); err != nil {
			return nil, err
		}
	}
	return one, nil
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
