package load

import (
	"context"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// call is one request on its way. It is the context of its own attempts, so
// that the policy's hooks find it. Its worker owns it; once it has ended only
// counted is still read, by late answers.
type call struct {
	context.Context
	req      micro.Request
	message  *message
	client   *micro.Client
	seq      uint64 // among the counted ones
	nth      uint64 // of its message, for its data
	intended time.Duration
	counted  bool

	attempts int
	wrote    bool   // an attempt was put on the wire
	last     error  // what the last finished attempt ended with
	bytesIn  uint64 // of the values that came
}

// message is one of the plan's messages on its run. The goroutine that offers
// owns made and owed.
type message struct {
	Message
	index   int
	clients []*micro.Client
	made    uint64 // calls so far
	owed    int    // see Run.pick
}

type callKey struct{}

// Value finds the call itself, beside what its parent knows.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// Send takes a value of the answer and only counts its size.
func (c *call) Send(v micro.Value) error {
	c.bytesIn += uint64(len(v.Raw))
	return nil
}

// hooks tells the recorder of every attempt.
func (r *Run) hooks() policy.Hooks {
	return policy.Hooks{
		Started: func(ctx context.Context, a policy.Attempt) {
			c := callOf(ctx)
			c.attempts = a.Number
			r.rec.attemptStarted(c, a, a.Start.Sub(r.start))
		},
		Ended: func(ctx context.Context, a policy.Attempt) {
			c := callOf(ctx)
			c.wrote = c.wrote || !a.Wrote.IsZero()
			if a.Next != policy.Outrun {
				c.last = a.Err
			}
			r.rec.attemptEnded(c, a)
		},
		Refused: func(ctx context.Context, no policy.Refusal) { r.rec.refused(callOf(ctx), no) },
		Breaker: func(_ context.Context, c policy.BreakerChange) { r.rec.breaker(c, c.At.Sub(r.start)) },
		Late: func(ctx context.Context, l policy.Late) {
			r.rec.lateAnswer(callOf(ctx), l, r.now())
		},
	}
}

// stamp gives each attempt the message's metadata. It is the innermost
// interceptor, so that it sees the attempt's own number and deadline.
func stamp(next micro.Handler) micro.Handler {
	return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		c := callOf(ctx)
		if pairs := c.message.Metadata; len(pairs) > 0 {
			req.Metadata = req.Metadata.Clone() // another attempt's may still be read
			for _, p := range pairs {
				req.Metadata.Set(p.Key, p.Value(c.nth, req))
			}
		}
		return next(ctx, req, reply)
	}
}

// handle makes one request from its first attempt to its outcome.
func (r *Run) handle(c *call) { r.make(c) }

func (r *Run) make(c *call) Outcome {
	defer r.calls.Done()
	r.rec.begun(c, r.now())
	if c.message.Payload != nil {
		c.req.Data = c.message.Payload(c.nth)
	}
	err := c.client.Do(c, &c.req, c)
	if err != nil && stopped(err) {
		err = errStopped
		if c.last != nil && !stopped(c.last) {
			err = c.last // it was waiting for its next attempt
		}
	}
	done := r.rec.finished(c, r.now(), err)
	if c.counted && r.plan.OnResult != nil {
		done.Intended = r.wall.Add(c.intended)
		r.plan.OnResult(done)
	}
	return done.Outcome
}

// shed writes down a request that was not sent.
func (r *Run) shed(c *call) {
	if c.counted && r.plan.OnResult != nil {
		r.plan.OnResult(Request{
			Seq: c.seq, Message: c.message.Name, Intended: r.wall.Add(c.intended), Outcome: Shed, Text: "too many requests in flight",
		})
	}
}
