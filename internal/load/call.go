package load

import (
	"context"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// call is a request in progress. It is also the context of its attempts, so that
// the policy's hooks find it without another allocation. Its worker owns it. After
// it has ended, late answers still read counted, which never changes.
type call struct {
	context.Context
	req      micro.Request
	message  *message
	client   *micro.Client
	line     *line  // of client
	seq      uint64 // among the counted requests
	nth      uint64 // among the requests of its message; selects its data
	intended time.Duration
	counted  bool
	behind   *call // the next call of the batch, until a worker has it

	attempts int
	wrote    bool   // an attempt was put on the wire
	last     error  // of the last finished attempt
	bytesIn  uint64 // size of the values received
	values   int    // of the reply
	status   int    // of the HTTP response that the reply is from; 0 for messages
	unmet    error  // of the message's Expect
}

// message is one of the plan's messages during a run. The goroutine that offers
// requests owns made and owed.
type message struct {
	Message
	index   int
	clients []*micro.Client
	lines   []*line // of clients; each is nil in a closed load
	made    uint64  // requests so far, of all processes
	own     uint64  // calls so far, of this process
	owed    int     // balance for Run.pick
}

type callKey struct{}

// Value returns the call for callKey, and asks the parent for other keys.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// Send counts the size of a value of the reply, checks it, and discards it.
func (c *call) Send(v micro.Value) error {
	c.bytesIn += uint64(len(v.Raw))
	if status, ok := v.Any.(interface{ HTTPStatus() int }); ok {
		c.status = status.HTTPStatus()
	}
	if c.message.Expect != nil && c.unmet == nil && (!v.Undefined() || c.status != 0) {
		c.values++
		c.unmet = c.message.Expect(v)
	}
	return nil
}

// checked returns the error of a reply that is not as expected.
func (c *call) checked() error {
	if c.message.Expect == nil || c.message.Event {
		return nil
	}
	if c.values == 0 {
		c.unmet = c.message.Expect(micro.Value{Raw: []byte("null")})
	}
	if c.unmet != nil {
		return &unexpected{c.status, c.unmet}
	}
	return nil
}

// unexpected is the error of a request whose reply is not as expected.
type unexpected struct {
	status int
	err    error
}

func (e *unexpected) Error() string { return "unexpected reply: " + e.err.Error() }

// hooks reports every attempt to the recorder.
func (r *Run) hooks() policy.Hooks {
	return policy.Hooks{
		Started: func(ctx context.Context, a policy.Attempt) {
			c := callOf(ctx)
			c.attempts = a.Number
			c.line.sent(a.Start)
			r.rec.attemptStarted(c, a, a.Start.Sub(r.start))
		},
		Ended: func(ctx context.Context, a policy.Attempt) {
			c := callOf(ctx)
			c.wrote = c.wrote || !a.Wrote.IsZero()
			if a.Next != policy.Outrun {
				c.last = a.Err
			}
			if outcome, _ := classify(a.Err); c.counted && (outcome == OK || outcome == Error) {
				c.line.replied(a.Start, a.End)
			}
			r.rec.attemptEnded(c, a, a.End.Sub(r.start))
		},
		Refused: func(ctx context.Context, no policy.Refusal) { r.rec.refused(callOf(ctx), no) },
		Breaker: func(_ context.Context, c policy.BreakerChange) { r.rec.breaker(c, c.At.Sub(r.start)) },
		Late: func(ctx context.Context, l policy.Late) {
			r.rec.lateAnswer(callOf(ctx), l, r.now())
		},
	}
}

// stamp adds the message's metadata to each attempt. It is the innermost
// interceptor, so it sees the number and the deadline of the attempt.
func stamp(next micro.Handler) micro.Handler {
	return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		c := callOf(ctx)
		for i := range c.message.Metadata {
			c.message.Metadata[i].Set(c.nth, req)
		}
		return next(ctx, req, reply)
	}
}

// handle runs one request from its first attempt to its outcome.
func (r *Run) handle(c *call) { r.make(c) }

func (r *Run) make(c *call) Outcome {
	defer r.calls.Done()
	r.rec.begun(c, r.now())
	if c.message.Payload != nil {
		c.req.Data = c.message.Payload(c.nth)
	}
	err := c.client.Do(c, &c.req, c)
	if err == nil {
		err = c.checked()
	} else if stopped(err) {
		err = errStopped
		if c.last != nil && !stopped(c.last) {
			err = c.last // it was waiting for its next attempt, so the last error is its outcome
		}
	}
	done := r.rec.finished(c, r.now(), err)
	if c.counted && r.plan.OnResult != nil {
		done.Intended = r.wall.Add(c.intended)
		r.plan.OnResult(done)
	}
	return done.Outcome
}

// shed reports a request that was not sent to OnResult.
func (r *Run) shed(c *call, why string) {
	if c.counted && r.plan.OnResult != nil {
		r.plan.OnResult(Request{
			Seq: c.seq, Message: c.message.Name, Intended: r.wall.Add(c.intended), Outcome: Shed, Text: why,
		})
	}
}
