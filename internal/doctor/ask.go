package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// observation is what a target replied to msctl.describe.
type observation struct {
	target target.Target
	// err is why there was no reply; nil if there was one.
	err error
	// services are the instances that described themselves, each once.
	services []micro.Description
	// replies counts the replies, and undescribed those of services that have no handler for the
	// question, such as those of NestJS.
	replies, undescribed int
	// queue is the state of the queue; nil without RabbitMQ, or if it is not known.
	queue    *queueState
	queueErr error
	// several is the largest number of instances that replied to one question.
	several int
}

// running reports whether a service is known to be running at the target.
func (o *observation) running() bool { return o.replies > 0 || o.queue != nil && o.queue.consumers > 0 }

// ask asks all targets at once. The addresses of several TCP services are asked one by one.
func (e *exam) ask(ctx context.Context) {
	var wg sync.WaitGroup
	for _, t := range e.Targets {
		for _, one := range t.Each() {
			o := &observation{target: one}
			e.seen = append(e.seen, o)
			wg.Go(func() { e.observe(ctx, o) })
		}
	}
	wg.Wait()
}

func (e *exam) observe(ctx context.Context, o *observation) {
	conn, err := e.Flags.Dial(o.target, target.DialOptions{})
	if err != nil {
		o.err = err
		return
	}
	client := micro.NewClient(conn, micro.WithTimeout(e.Timeout), micro.WithLogger(slog.New(slog.DiscardHandler)))
	defer client.Close()
	switch {
	case o.target.Kind() == target.RabbitMQ:
		e.observeQueue(ctx, client, o)
	case o.target.Shared():
		o.err = e.gather(ctx, client, o)
	default:
		o.err = o.once(ctx, client)
	}
}

// question returns the pattern of the question for a target.
func question(t target.Target) micro.Pattern {
	if t.Service != "" && t.Shared() {
		return micro.DescribeOf(t.Service)
	}
	return micro.DescribePattern
}

// once asks once. It returns the error if there was no reply.
func (o *observation) once(ctx context.Context, client *micro.Client) error {
	d, err := micro.Call[micro.Description](ctx, client, question(o.target), struct{}{})
	var remote *micro.Error
	switch {
	case err == nil:
		o.replies++
		o.add(d)
	case errors.Is(err, micro.ErrNoHandler):
		o.replies++
		o.undescribed++
	case errors.As(err, &remote) && remote.Remote():
		o.replies++ // such as a guard that rejects it
	default:
		return err
	}
	return nil
}

// add adds an instance unless it is known.
func (o *observation) add(d micro.Description) {
	if !slices.ContainsFunc(o.services, func(other micro.Description) bool { return other.Instance == d.Instance && other.Name == d.Name }) {
		o.services = append(o.services, d)
	}
}

// gatherTime is how long other services have to reply after the first one.
const gatherTime = time.Second

// gather asks all instances at a broker that passes messages on to all subscribers, or to one of each
// queue group.
func (e *exam) gather(ctx context.Context, client *micro.Client, o *observation) error {
	inner, enough := context.WithCancel(ctx)
	defer enough()
	window := time.AfterFunc(e.Timeout, enough)
	defer window.Stop()
	before := o.replies
	req := &micro.Request{Pattern: question(o.target), Data: []byte("{}"), All: true}
	err := client.Do(inner, req, micro.ReplyFunc(func(v micro.Value) error {
		if o.replies++; o.replies == before+1 {
			window.Reset(gatherTime)
		}
		var d micro.Description
		if json.Unmarshal(v.Raw, &d) == nil && d.Instance != "" {
			o.add(d)
		}
		return nil
	}))
	o.several = max(o.several, o.replies-before)
	if o.replies > before {
		return nil
	}
	return err
}

// routes returns the routes of a service's handlers, sorted.
func routes(d micro.Description) []string {
	var list []string
	for _, h := range d.Handlers {
		list = append(list, h.Route)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// named returns a service as "items 1.2.3 (instance ab12)".
func named(d micro.Description) string {
	text := strings.TrimSpace(orElse(d.Name, "a service without a name") + " " + d.Version)
	if d.Instance != "" {
		text += " (instance " + d.Instance + ")"
	}
	return text
}
