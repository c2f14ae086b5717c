package policy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// step is how a scripted service treats one attempt.
type step struct {
	takes time.Duration
	value string // sent before err
	err   error
}

// script is a transport that treats the n-th attempt as the n-th step says, the
// last step being for all further ones, and honours the attempt's deadline as a
// micro.Conn does.
type script struct {
	steps []step
	begin time.Time
	seen  []seen
}

// seen is one attempt as the transport saw it.
type seen struct {
	At       time.Duration // since begin
	Attempt  int
	Deadline time.Duration // since begin; 0 is none
}

func (s *script) handle(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	now := time.Now()
	if s.begin.IsZero() {
		s.begin = now
	}
	one := seen{At: now.Sub(s.begin), Attempt: req.Attempt}
	if !req.Deadline.IsZero() {
		one.Deadline = req.Deadline.Sub(s.begin)
	}
	s.seen = append(s.seen, one)
	if req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(now, nil)
	}
	step := s.steps[min(len(s.seen), len(s.steps))-1]
	if err := s.wait(ctx, req, step); err != nil {
		return err
	}
	if step.value != "" {
		if err := reply.Send(micro.Value{Raw: []byte(step.value)}); err != nil {
			return err
		}
	}
	return step.err
}

func (s *script) wait(ctx context.Context, req *micro.Request, step step) error {
	takes := time.NewTimer(step.takes)
	defer takes.Stop()
	limit := make(<-chan time.Time)
	if !req.Deadline.IsZero() {
		timer := time.NewTimer(time.Until(req.Deadline))
		defer timer.Stop()
		limit = timer.C
	}
	select {
	case <-takes.C:
		return nil
	case <-limit:
		if req.Trace != nil && req.Trace.Late != nil {
			rest := step.takes - time.Since(s.begin.Add(s.seen[len(s.seen)-1].At))
			time.AfterFunc(rest, func() { req.Trace.Late(micro.LateReply{By: rest}) })
		}
		return micro.ErrTimeout
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// send makes one request under p and returns the values and the error.
func send(ctx context.Context, p *policy.Policy, s *script, req *micro.Request) (values []string, err error) {
	err = p.Run(ctx, req, micro.ReplyFunc(func(v micro.Value) error {
		values = append(values, string(v.Raw))
		return nil
	}), s.handle)
	return values, err
}

func remote(status string) error {
	return micro.RemoteError([]byte(`{"status":` + status + `,"message":"scripted"}`))
}

func starts(all []seen) []time.Duration {
	var list []time.Duration
	for _, s := range all {
		list = append(list, s.At)
	}
	return list
}

var errOther = errors.New("another error")
