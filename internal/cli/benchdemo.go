package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/internal/load/format"
	benchreport "github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/tui"
)

// The service, the load and the hiccup of --demo. A run needs three times the
// stall's length behind it for the verdict COLLAPSED, and the recovery of the
// policy that is recommended takes about 10 s, with 3 s to be sure of it.
const (
	demoWorkers  = 10
	demoService  = 10 * time.Millisecond
	demoLoad     = 0.65 // of the capacity
	demoStallAt  = 3 * time.Second
	demoStall    = 4 * time.Second
	demoDuration = 22 * time.Second
)

// demo shows a retry storm, and a policy that ends it, against a service that
// comes with msctl.
func (b *bencher) demo(ctx context.Context) error {
	service := capacity.Config{Workers: demoWorkers, ServiceTime: capacity.Exponential(demoService), Seed: b.o.seed}
	policies := []string{"naive", "recommended"}
	b.experiment = &benchreport.Experiment{
		Title: fmt.Sprintf("a service of %s, %s offered, stopped for %s", format.Rate(service.Capacity()),
			format.Rate(demoLoad*service.Capacity()), demoStall),
		Capacity: service.Capacity(), Best: -1,
		Axes: []benchreport.Axis{{Name: "policy", Values: policies}},
	}
	for i, name := range policies {
		b.experiment.Cells = append(b.experiment.Cells, benchreport.Cell{Values: []string{name}})
		title := fmt.Sprintf("%d of %d: %s", i+1, len(policies), name)
		if err := b.demoRun(ctx, service, trial{name: name, cell: i}, title); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	b.summarise()
	return nil
}

// demoRun is one run of the demo, with a service of its own: what the last run
// has left in the queue is gone with the last one's.
func (b *bencher) demoRun(ctx context.Context, service capacity.Config, t trial, title string) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	mock, err := capacity.Serve(serving, "127.0.0.1:0", service)
	if err != nil {
		stop()
		return fmt.Errorf("start the demo's service: %w", err)
	}
	defer func() {
		stop()
		_ = mock.Wait() // it was told to end
	}()
	if t.o, err = b.o.demoVariant(ctx, t.name, mock.Address, demoLoad*service.Capacity()); err != nil {
		return err
	}
	r, err := newRig(ctx, t.o)
	if err != nil {
		return err
	}
	defer r.close()
	r.plan.Triggers = []load.Trigger{{At: demoStallAt, Length: demoStall, Text: "stall " + demoStall.String(), Fire: func() error {
		mock.Stall(demoStall)
		return nil
	}}}
	return b.one(ctx, r, t, tui.Stage{Title: title, Name: t.name, Preset: t.name, Caption: demoCaption(t.name)})
}

// demoVariant is one run of the demo, as if it had been typed.
func (o *benchOptions) demoVariant(ctx context.Context, policyName, address string, rate float64) (*benchOptions, error) {
	one, err := o.variant(map[string]string{
		"demo": "false", "policy": policyName, "to": "tcp://" + address, "rate": fmt.Sprintf("%g/s", rate), "duration": demoDuration.String(),
	}, []benchMessage{{name: "work", pattern: "cmd=work", weight: 1}})
	if err != nil {
		return nil, err
	}
	one.messages[0].target, err = target.ParseURL("tcp://" + address)
	return one, err
}

// demoCaption says in plain words what happens.
func demoCaption(policyName string) func(*load.Snapshot) string {
	return func(s *load.Snapshot) string {
		end := demoStallAt + demoStall
		switch {
		case s.Elapsed < demoStallAt:
			return "All is well: the service could do half as much again."
		case s.Elapsed < end:
			return "The service stands still for 4 s. Requests pile up, and those who wait ask again."
		case s.Verdict == load.Recovered:
			return fmt.Sprintf("It is back, %.1f s after the stall: retries were few enough to leave room for new requests.", s.Recoveries[0].Took.Seconds())
		case policyName == "naive" && s.Elapsed < end+5*time.Second:
			return "The service works again, at full speed, on requests that nobody waits for any more."
		case policyName == "naive":
			return "Each user asks four times, each time too late. The cause is gone, the storm stays: nothing but less load ends it."
		default:
			return "The service works off what is left. The budget allows one retry for five requests, so there is room to catch up."
		}
	}
}
