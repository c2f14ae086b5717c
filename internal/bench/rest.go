package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// How a run waits for the service to drain the backlog of the previous run.
const (
	restTimeout = 2 * time.Minute
	restProbes  = 3                     // fast replies in a row that end the wait
	restSlack   = 50 * time.Millisecond // by which a fast reply may exceed twice the slowest at rest
	restPause   = 20 * time.Millisecond // after a probe that failed
	unseenRest  = 10 * time.Second      // between runs against a service that only agents reach
)

// rest waits until the service is as fast as it was before the first run. Otherwise
// the backlog of a run would count against the policy of the next.
func (b *Bench) rest(ctx context.Context) error {
	if b.unseen {
		return sleep(ctx, unseenRest)
	}
	first := b.restLatency == 0
	if !first {
		b.display.Note("waiting for the service to drain its backlog")
	}
	limit, cancel := context.WithTimeout(ctx, restTimeout)
	defer cancel()
	for _, m := range b.spec.Messages {
		if m.event { // which has no reply
			continue
		}
		took, err := b.settle(limit, m, first)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case limit.Err() != nil:
			return fmt.Errorf("%s did not drain its backlog within %s: the next run would measure it", m.target.Name(), restTimeout)
		case err != nil && b.spec.Fleet != nil: // only the agents reach it
			b.unseen = true
			b.warnings = append(b.warnings, fmt.Sprintf("the service cannot be reached from here, so runs start %s after the previous one, whether or not its backlog is drained", unseenRest))
			return nil
		case err != nil:
			return target.Explain(err, m.target)
		}
		b.restLatency = max(b.restLatency, took)
	}
	return nil
}

// settle waits for several fast replies in a row and returns the slowest latency.
// Before the first run every reply is fast.
func (b *Bench) settle(ctx context.Context, m *Message, first bool) (slowest time.Duration, err error) {
	for fast := 0; fast < restProbes && ctx.Err() == nil; {
		took, err := b.probe(ctx, m)
		var remote *micro.Error
		switch {
		case errors.As(err, &remote) && remote.Remote(): // an error is a reply, too
		case err != nil && first:
			return 0, err
		case err != nil:
			fast = 0
			if sleep(ctx, restPause) != nil {
				return 0, ctx.Err()
			}
			continue
		}
		if fast++; !first && took > 2*b.restLatency+restSlack {
			fast = 0
		}
		slowest = max(slowest, took)
	}
	return slowest, ctx.Err()
}

// probe sends one request without faults and returns its latency.
func (b *Bench) probe(ctx context.Context, m *Message) (time.Duration, error) {
	r := &rig{ctx: ctx, spec: b.spec}
	conn, err := r.dial(m.target, m)
	if err != nil {
		return 0, err
	}
	options := []micro.ClientOption{micro.WithTimeout(restTimeout)}
	if b.spec.NoMetadata {
		options = append(options, micro.WithoutMetadata())
	}
	client := micro.NewClient(conn, options...)
	defer client.Close()
	pattern := m.route
	if pattern.IsZero() {
		pattern = micro.Name("probe") // HTTP ignores it
	}
	req := &micro.Request{Pattern: pattern, Data: m.payload.Make(0)}
	for _, pair := range m.pairs {
		pair.Set(0, req)
	}
	start := time.Now()
	err = client.Do(ctx, req, micro.ReplyFunc(func(micro.Value) error { return nil }))
	return time.Since(start), err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
