package observe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// Options configure an Observer.
type Options struct {
	// Wait is how long a request waits for a reply, and a reply for its next value, if the message
	// does not have the time that its sender waits; 0 means [DefaultWait].
	Wait time.Duration
	// Note is called with what the user should know, one sentence at a time; nil ignores it. It must
	// not block for long.
	Note func(text string)
}

// DefaultWait is the default of Options.Wait.
const DefaultWait = time.Minute

// Observer collects messages until it is closed. [Connect] and [Listen] create it.
type Observer struct {
	// Title names what is observed, without credentials.
	Title string

	hub    *tap.Hub
	table  *table
	note   func(string)
	ctx    context.Context //nolint:containedctx // of its goroutines, ended by Close
	cancel context.CancelFunc
	done   sync.WaitGroup // its goroutines
}

// maxKept is how much is kept of what is observed before it is viewed, in bytes.
const maxKept = 4 << 20

func newObserver(ctx context.Context, title string, o Options) *Observer {
	if o.Wait == 0 {
		o.Wait = DefaultWait
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	b := &Observer{Title: title, hub: tap.NewHub(maxKept), note: o.Note}
	b.table = newTable(b.hub, o.Wait)
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return b
}

// start starts the goroutine that completes what waits for too long.
func (b *Observer) start() {
	b.done.Go(func() {
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				b.table.sweep(now)
			case <-b.ctx.Done():
				return
			}
		}
	})
}

// Messages passes messages to pass until ctx ends or the observer is closed, or pass returns false. It
// returns the error of ctx.
func (b *Observer) Messages(ctx context.Context, pass func(tap.Message) bool) error {
	return b.hub.Messages(ctx, pass)
}

// Close ends the connections, and waits for everything that the observer has started.
func (b *Observer) Close() {
	b.cancel()
	b.done.Wait()
	b.hub.Close()
}

// session is a connection to a broker that receives its messages.
type session interface {
	// serve passes on what the broker sends, until the connection is lost or ctx ends.
	serve(ctx context.Context) error
	close()
}

// transport is how the messages of one kind of broker are observed.
type transport struct {
	// effect is what the user should know about the subscription.
	effect string
	// open connects and subscribes. An error matches micro.ErrUnreachable, or is a usage error.
	open func(ctx context.Context, b *Observer, f *target.Flags, t target.Target) (session, error)
}

// transportOf returns how to observe a broker.
func transportOf(k target.Kind) (transport, bool) {
	switch k {
	case target.NATS:
		return transport{natsEffect, openNATS}, true
	case target.Redis:
		return transport{redisEffect, openRedis}, true
	case target.RabbitMQ:
		return transport{rabbitEffect, openRabbitMQ}, true
	}
	return transport{}, false
}

// Connect observes the messages that pass through a broker. It returns when the broker has accepted the
// subscription. The observer connects again whenever the connection is lost.
func Connect(ctx context.Context, f *target.Flags, t target.Target, o Options) (*Observer, error) {
	how, ok := transportOf(t.Kind())
	if !ok {
		return nil, exit.WithHint(exit.Usagef("%s is not the address of a broker", t), "put a proxy in front of a service: msctl tap --listen :4002 --to %s", t)
	}
	b := newObserver(ctx, t.String(), o)
	first, err := b.open(ctx, how, f, t)
	if err != nil {
		b.Close()
		return nil, explain(err, t)
	}
	b.note(how.effect)
	b.start()
	b.done.Go(func() { b.run(first, how, f, t) })
	return b, nil
}

// explain rewrites an error for the user. The address of a broker is not that of --to.
func explain(err error, t target.Target) error {
	explained := target.Explain(err, t)
	if t.Service == "" && errors.Is(err, micro.ErrUnreachable) && strings.Contains(exit.Hint(explained), "--to") {
		return exit.WithHint(explained, "is it running?")
	}
	return explained
}

// open opens a session. The end of ctx, or of the observer, interrupts it.
func (b *Observer) open(ctx context.Context, how transport, f *target.Flags, t target.Target) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	stop := context.AfterFunc(b.ctx, cancel)
	defer stop()
	return how.open(ctx, b, f, t)
}

const (
	openTimeout = 15 * time.Second // to connect, log in, and subscribe
	minPause    = 100 * time.Millisecond
	maxPause    = 2 * time.Second
)

// run serves sessions until the observer is closed.
func (b *Observer) run(s session, how transport, f *target.Flags, t target.Target) {
	for {
		err := s.serve(b.ctx)
		s.close()
		if b.ctx.Err() != nil {
			return
		}
		b.note(fmt.Sprintf("lost the connection to %s at %s (%s): messages are missing until it is back", t.Kind(), t.Where(), reason(err)))
		if s = b.again(how, f, t); s == nil {
			return
		}
		b.note(fmt.Sprintf("connected to %s at %s again", t.Kind(), t.Where()))
	}
}

// again opens the next session. It returns nil when the observer is closed.
func (b *Observer) again(how transport, f *target.Flags, t target.Target) session {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		select {
		case <-time.After(pause):
		case <-b.ctx.Done():
			return nil
		}
		if s, err := b.open(b.ctx, how, f, t); err == nil {
			return s
		}
	}
}

// reason is the text of an error that ended a connection.
func reason(err error) string {
	if err == nil {
		return "it was closed"
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}
