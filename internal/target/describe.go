package target

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
)

// DescribeTimeout limits a question about handlers that is only asked in support of
// another message.
const DescribeTimeout = time.Second

// gatherTime is how long the services of a broker have to describe themselves after
// the first of them has.
const gatherTime = 300 * time.Millisecond

// Answer is the description that a service gave of its handlers, or the error.
type Answer struct {
	Target      Target
	Description micro.Description
	Err         error
	// Source is the folder that the handlers were read from, if the service did not
	// describe itself. Computed counts the handlers whose patterns are not known.
	Source   string
	Computed int
	// probable are the routes of computed patterns if no variable is set.
	probable []string
}

// survey asks targets for their handlers, all at once. It reads sources one after the
// other, because services may share them.
func (f *Flags) survey(ctx context.Context, targets []Target) []Answer {
	answers := make([]Answer, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		if a, ok := FromSources(ctx, t); ok {
			answers[i] = a
			continue
		}
		wg.Go(func() {
			d, err := f.Describe(ctx, t, DescribeTimeout)
			answers[i] = Answer{Target: t, Description: d, Err: err}
		})
	}
	wg.Wait()
	return answers
}

// Describe asks a target for its handlers. For a NestJS service of the workspace, which
// cannot answer, it reads them from the sources.
func (f *Flags) Describe(ctx context.Context, t Target, timeout time.Duration) (micro.Description, error) {
	if a, ok := FromSources(ctx, t); ok {
		return a.Description, nil
	}
	conn, err := f.plain().Dial(t, DialOptions{Control: controlOf(ctx)})
	if err != nil {
		return micro.Description{}, err
	}
	client := micro.NewClient(conn, micro.WithTimeout(timeout))
	defer client.Close()
	return micro.Call[micro.Description](ctx, client, t.describePattern(), struct{}{})
}

// plain returns the flags for a question of msctl's own, which may go to another target
// than the user's message.
func (f *Flags) plain() *Flags {
	own := *f
	own.MaxBuffer = 0
	return &own
}

// Undescribed reports whether err, of a question about handlers, may only mean that the
// services at a broker do not answer it, as those of NestJS: where a broker delivers messages
// by their pattern, nothing receives the question then.
func (t Target) Undescribed(err error) bool {
	return t.Subscribes() && errors.Is(err, micro.ErrNotServed) && !errors.Is(err, microrabbit.ErrNoExchange)
}

// describePattern is the pattern of the question. Where services share a broker's
// subjects, it names the service.
func (t Target) describePattern() micro.Pattern {
	if t.Service != "" && t.Shared() {
		return micro.DescribeOf(t.Service)
	}
	return micro.DescribePattern
}

// DescribeAll asks all services at a target for their handlers. That is one service,
// unless the target is the address of a broker whose services share it.
func (f *Flags) DescribeAll(ctx context.Context, t Target, timeout time.Duration) ([]micro.Description, error) {
	if !t.Shared() || t.Service != "" {
		d, err := f.Describe(ctx, t, timeout)
		return []micro.Description{d}, err
	}
	conn, err := f.plain().Dial(t, DialOptions{Control: controlOf(ctx)})
	if err != nil {
		return nil, err
	}
	client := micro.NewClient(conn, micro.WithTimeout(timeout))
	defer client.Close()
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	var all []micro.Description
	window := time.AfterFunc(timeout, enough)
	defer window.Stop()
	req := &micro.Request{Pattern: micro.DescribePattern, Data: []byte("{}"), All: true}
	err = client.Do(ctx, req, micro.ReplyFunc(func(v micro.Value) error {
		var d micro.Description
		if json.Unmarshal(v.Raw, &d) != nil {
			return nil // the service has its own handler for this pattern
		}
		if all = append(all, d); len(all) == 1 {
			window.Reset(gatherTime)
		}
		return nil
	}))
	if len(all) > 0 {
		err = nil
	}
	slices.SortStableFunc(all, func(a, b micro.Description) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.Started.Compare(b.Started))
	})
	return all, err
}
