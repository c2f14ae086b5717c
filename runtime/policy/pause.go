package policy

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// pause limits the time between the values of an attempt's reply: see
// WithTimeoutPerValue. It is the Reply of the attempt, and its context ends when a value
// is overdue. The attempt's goroutine owns it; over is set by its timer.
type pause struct {
	micro.Reply
	most  time.Duration
	timer *time.Timer
	over  atomic.Bool
	quit  context.CancelCauseFunc
}

// newPause starts to wait for the first value. stop must be called.
func newPause(ctx context.Context, most time.Duration, reply micro.Reply) (*pause, context.Context) {
	p := &pause{Reply: reply, most: most}
	ctx, p.quit = context.WithCancelCause(ctx)
	p.timer = time.AfterFunc(most, func() {
		p.over.Store(true)
		p.quit(micro.ErrTimeout)
	})
	return p, ctx
}

// Send passes a value on, and waits for the next one from then on.
func (p *pause) Send(v micro.Value) error {
	if !p.timer.Stop() {
		return micro.ErrTimeout
	}
	if err := p.Reply.Send(v); err != nil || v.Last {
		return err
	}
	p.timer.Reset(p.most)
	return nil
}

// stop ends the waiting and returns the error of the attempt: a timeout if a value was
// overdue, whatever the transport calls it.
func (p *pause) stop(err error) error {
	p.timer.Stop()
	p.quit(context.Canceled)
	var remote *micro.Error
	if err == nil || !p.over.Load() || errors.Is(err, micro.ErrTimeout) || errors.As(err, &remote) {
		return err
	}
	return micro.ErrTimeout
}
