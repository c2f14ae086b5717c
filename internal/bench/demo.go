package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
)

// The service, the load, and the stall of --demo.
const (
	demoWorkers = 10
	demoService = 10 * time.Millisecond
	demoLoad    = 0.65 // of the capacity
	demoStallAt = 3 * time.Second
	demoStall   = 4 * time.Second
)

// demoRuns are the policies of --demo, and how long their runs last: together less than a
// minute. The verdict COLLAPSED requires three times the stall's length after it. The
// recommended policy takes 13 to 17 s to recover, and 3 s more to be counted as recovered.
var demoRuns = []demoRun{{"naive", 21 * time.Second}, {"recommended", 36 * time.Second}}

type demoRun struct {
	policy string
	length time.Duration
}

// demo shows a retry storm against a built-in service, and a policy that prevents it.
func (b *Bench) demo(ctx context.Context) error {
	service := capacity.Config{Workers: demoWorkers, ServiceTime: capacity.Exponential(demoService), Seed: b.spec.Load.Seed}
	var policies []string
	for _, r := range demoRuns {
		policies = append(policies, r.policy)
	}
	b.experiment = newExperiment([]report.Axis{{Name: "policy", Values: policies}})
	b.experiment.Title = fmt.Sprintf("a service with a capacity of %s, %s offered, stalled for %s",
		format.Rate(service.Capacity()), format.Rate(demoLoad*service.Capacity()), demoStall)
	b.experiment.Capacity = service.Capacity()
	for i, r := range demoRuns {
		title := fmt.Sprintf("%d of %d: %s", i+1, len(demoRuns), r.policy)
		if err := b.demoRun(ctx, service, trial{name: r.policy, cell: i}, r.length, title); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	b.conclude()
	return nil
}

// demoRun makes one run of the demo. Each run has its own service, so that it starts
// with an empty queue.
func (b *Bench) demoRun(ctx context.Context, service capacity.Config, t trial, length time.Duration, title string) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	mock, err := capacity.Serve(serving, "127.0.0.1:0", service)
	if err != nil {
		stop()
		return fmt.Errorf("start the demo's service: %w", err)
	}
	defer func() {
		stop()
		_ = mock.Wait() // stop has ended it
	}()
	if t.spec, err = b.spec.demoSpec(t.name, length, mock.Address, demoLoad*service.Capacity()); err != nil {
		return err
	}
	r, err := newRig(ctx, t.spec, b.pause)
	if err != nil {
		return err
	}
	defer r.close()
	r.plan.Triggers = []load.Trigger{{At: demoStallAt, Length: demoStall, Text: "stall " + demoStall.String(), Fire: func() error {
		mock.Stall(demoStall)
		return nil
	}}}
	made, err := b.one(ctx, r, t, Stage{Title: title, Name: t.name, Preset: t.name, Caption: demoCaption(t.name)})
	if err == nil {
		made.Target = b.spec.Targets() // rather than a port that is different in each run
		b.runs = append(b.runs, made)
	}
	return err
}

// demoSpec returns the Spec of one run of the demo.
func (s *Spec) demoSpec(policyName string, length time.Duration, address string, rate float64) (*Spec, error) {
	one := s.single()
	for _, set := range [][2]string{{"policy", policyName}, {"rate", fmt.Sprintf("%g/s", rate)}, {"duration", length.String()}} {
		var err error
		if one, err = one.With(set[0], set[1]); err != nil {
			return nil, err
		}
	}
	m := &Message{Name: "work", Weight: 1, Pattern: "cmd=work"}
	err := m.read(shorthand.Reader{}, s.Load.Seed)
	if err != nil {
		return nil, err
	}
	m.target, err = target.ParseURL("tcp://" + address)
	one.Messages = []*Message{m}
	return one, err
}

// demoCaption returns a function that explains what happens in a run of the demo.
func demoCaption(policyName string) func(*load.Snapshot) string {
	return func(s *load.Snapshot) string {
		end := demoStallAt + demoStall
		switch {
		case s.Elapsed < demoStallAt:
			return "All is well: the service has 50% headroom."
		case s.Elapsed < end:
			return "The service stalls for 4 s. Requests pile up, and callers that time out send them again."
		case s.Verdict == load.Recovered:
			return fmt.Sprintf("Recovered %.1f s after the stall: few retries left enough capacity for new requests.", s.Recoveries[0].Took.Seconds())
		case policyName == "naive" && s.Elapsed < end+5*time.Second:
			return "The service is back at full speed, but it works on requests that have already been abandoned."
		case policyName == "naive":
			return "Each user sends four attempts, and each times out. The stall is over but the storm stays: only less load ends it."
		default:
			return "The service drains its backlog. The budget allows one retry per five requests, which leaves capacity to catch up."
		}
	}
}
