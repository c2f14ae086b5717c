package policy_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// step is how a scripted service treats one attempt.
type step struct {
	takes  time.Duration
	values []string // sent before value, each followed by every
	every  time.Duration
	value  string // sent before err
	err    error
	panics bool
}

// script is a transport that handles the n-th attempt according to the n-th step, and all
// further ones according to the last step, and honors the attempt's deadline as a
// micro.Conn does.
type script struct {
	steps []step

	mu    sync.Mutex // guards what follows: hedged attempts overlap
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
	one := s.note(req, now)
	if req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(now, nil)
	}
	if err := one.wait(ctx, req, now); err != nil {
		return err
	}
	if one.panics {
		panic("scripted")
	}
	for _, v := range one.values {
		if err := reply.Send(micro.Value{Raw: []byte(v)}); err != nil {
			return err
		}
		if err := (&step{takes: one.every}).wait(ctx, req, time.Now()); err != nil {
			return err
		}
	}
	if one.value != "" {
		if err := reply.Send(micro.Value{Raw: []byte(one.value), Last: true}); err != nil {
			return err
		}
	}
	return one.err
}

// note writes an attempt down and finds its step.
func (s *script) note(req *micro.Request, now time.Time) *step {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begin.IsZero() {
		s.begin = now
	}
	one := seen{At: now.Sub(s.begin), Attempt: req.Attempt}
	if !req.Deadline.IsZero() {
		one.Deadline = req.Deadline.Sub(s.begin)
	}
	s.seen = append(s.seen, one)
	return &s.steps[min(len(s.seen), len(s.steps))-1]
}

// wait takes the step's time; a call that ends earlier gets the late reply
// reported, as a transport does.
func (step *step) wait(ctx context.Context, req *micro.Request, began time.Time) error {
	if step.takes <= 0 {
		return nil // without a timer: Go may crash on one that has expired (golang/go 78156)
	}
	takes := time.NewTimer(step.takes)
	defer takes.Stop()
	limit := make(<-chan time.Time)
	if !req.Deadline.IsZero() {
		timer := time.NewTimer(time.Until(req.Deadline))
		defer timer.Stop()
		limit = timer.C
	}
	err := micro.ErrTimeout
	select {
	case <-takes.C:
		return nil
	case <-limit:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if req.Trace != nil && req.Trace.Late != nil {
		rest := step.takes - time.Since(began)
		time.AfterFunc(rest, func() { req.Trace.Late(micro.LateReply{By: rest}) })
	}
	return err
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

var errOther = errors.New("another error")
