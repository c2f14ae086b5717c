package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/lab"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/tui"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// How long a service may take to work off what a run has left behind.
const (
	restMost   = 2 * time.Minute
	restProbes = 3                     // answers in a row that must be quick
	restSlack  = 50 * time.Millisecond // more than usual that is still quick
	restPause  = 20 * time.Millisecond
)

// rest waits until the service is as quick as it was before the first run: what a
// run has left in its queue would be counted against the next policy.
func (b *bencher) rest(ctx context.Context) error {
	first := b.calm == 0
	if !first {
		b.note("waiting until the service has worked off what is left")
	}
	limit, cancel := context.WithTimeout(ctx, restMost)
	defer cancel()
	for _, m := range b.o.messages {
		took, err := b.settled(limit, m, first)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case limit.Err() != nil:
			return fmt.Errorf("%s was not at rest again within %s: the next run would be blamed for it", m.target.Name(), restMost)
		case err != nil:
			return target.Explain(err, m.target)
		}
		b.calm = max(b.calm, took)
	}
	return nil
}

// settled waits for some quick answers in a row; the slowest of the first ones
// says what is quick.
func (b *bencher) settled(ctx context.Context, m *readyMessage, first bool) (slowest time.Duration, err error) {
	for quick := 0; quick < restProbes && ctx.Err() == nil; {
		took, err := b.probe(ctx, m)
		var remote *micro.Error
		switch {
		case errors.As(err, &remote) && remote.Remote(): // an answer, too
		case err != nil && first:
			return 0, err
		case err != nil:
			quick = 0
			if pause(ctx, restPause) != nil {
				return 0, ctx.Err()
			}
			continue
		}
		if quick++; !first && took > 2*b.calm+restSlack {
			quick = 0
		}
		slowest = max(slowest, took)
	}
	return slowest, ctx.Err()
}

// collapse finds the capacity and tries the policies.
func (b *bencher) collapse(ctx context.Context) error {
	if err := b.rest(ctx); err != nil {
		return err
	}
	capacity, users, err := lab.Capacity(ctx, b.capacityStep)
	switch {
	case errors.Is(err, lab.ErrNoCapacity):
		return exit.WithHint(exit.WithCode(err, exit.Service), "does `msctl send` get an answer?")
	case err != nil:
		return err
	}
	b.note(fmt.Sprintf("the service answers %s at most (%d users who ask without a pause)", format.Rate(capacity), users))
	trials, e, err := b.o.collapseTrials(capacity, b.o.given)
	if err != nil {
		return err
	}
	b.experiment = e
	return b.all(ctx, trials)
}

// capacityTimeout bounds an attempt while the capacity is searched for.
const capacityTimeout = 30 * time.Second

// capacityStep loads the service with users who ask without a pause.
func (b *bencher) capacityStep(ctx context.Context, users int, length, warmup time.Duration) (*load.Result, error) {
	o := *b.o
	o.faults, o.pacer = benchFaults{}, nil
	r, err := newRig(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.plan.Policy = policy.New(policy.WithTimeout(capacityTimeout))
	r.plan.Users, r.plan.Think, r.plan.Requests = users, 0, 0
	r.plan.Duration, r.plan.Warmup = length, warmup
	run, err := load.Start(ctx, r.plan)
	if err != nil {
		return nil, fmt.Errorf("start the run: %w", err)
	}
	title := fmt.Sprintf("finding the capacity: %d users", users)
	if b.stages != nil {
		b.stages.Show(tui.Stage{Title: title, Run: run})
	} else {
		b.note(title)
	}
	return run.Wait(), nil
}

// probe sends one request, past all faults, and tells how long it took.
func (b *bencher) probe(ctx context.Context, m *readyMessage) (time.Duration, error) {
	r := &rig{ctx: ctx, o: b.o}
	conn, err := r.dial(m.target, m)
	if err != nil {
		return 0, err
	}
	client := micro.NewClient(conn, micro.WithTimeout(restMost))
	defer client.Close()
	pattern := m.route
	if pattern.IsZero() {
		pattern = micro.Name("probe")
	}
	start := time.Now()
	err = client.Do(ctx, &micro.Request{Pattern: pattern, Data: m.payload.Make(0)}, micro.ReplyFunc(func(micro.Value) error { return nil }))
	return time.Since(start), err
}
