package agents

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/secret"
)

// Options configure a coordinator.
type Options struct {
	// NATS is the URL of the NATS server, and Pool the name of the agents' pool.
	NATS, Pool string
	// Agents is the number of agents to use.
	Agents int
	// Signer signs commands.
	Signer *Signer
	// Local, if set, is the command line of an agent without its flags. The agents are then
	// started on this machine, with a NATS server in this process, and a key for this run.
	Local []string
	// StopOnLoss stops a run when an agent is lost or stalled; otherwise, the others continue.
	StopOnLoss bool
	// Version is the version of the program.
	Version string
	// Notify is called with what happens to the agents.
	Notify func(text string)
}

// Coordinator runs load tests on agents. It is a bench.Fleet, and must be closed at the end.
type Coordinator struct {
	options Options
	conn    *nats.Conn
	local   *Local // nil for agents that others have started
	names   subjects
	epoch   time.Time    // time 0 of all runs' clock
	back    atomic.Int64 // when the connection to NATS was last established, since epoch
	denied  atomic.Pointer[string]

	mu   sync.Mutex // guards the field below
	used []string   // the IDs of the agents of the previous run, in their order
}

// NewCoordinator returns a coordinator that has not connected yet.
func NewCoordinator(o Options) *Coordinator {
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	return &Coordinator{options: o, names: subjects{o.Pool}, epoch: time.Now()}
}

// Connect connects to the NATS server and makes sure that enough agents of the right version
// are there; local agents are started. Its errors have exit codes.
func (c *Coordinator) Connect(ctx context.Context) (err error) {
	if len(c.options.Local) > 0 {
		if c.local, err = StartLocal(ctx, c.options.Agents, c.options.Local, c.options.Notify); err != nil {
			return err
		}
		c.options.NATS, c.options.Signer = c.local.URL, c.local.Signer
		if err := c.local.Await(ctx); err != nil {
			return err
		}
	}
	c.conn, err = connect(c.options.NATS, "msctl bench", nats.ReconnectHandler(func(*nats.Conn) {
		c.back.Store(int64(c.now()))
		c.options.Notify("connected to NATS again")
	}), nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
		if err != nil {
			c.options.Notify("the connection to NATS was lost; the agents continue")
		}
	}), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			text := err.Error()
			c.denied.Store(&text)
		}
	}))
	if err != nil {
		return err
	}
	_, err = c.find(ctx)
	return err
}

// Close closes the connection to the NATS server, and ends local agents.
func (c *Coordinator) Close() {
	if c.conn != nil {
		c.conn.Close()
	}
	if c.local != nil {
		c.local.Close()
	}
}

// Size is the number of agents.
func (c *Coordinator) Size() int { return c.options.Agents }

// now is the clock of all runs.
func (c *Coordinator) now() time.Duration { return time.Since(c.epoch) }

// permitted returns the error for an operation that the NATS server did not permit, or nil.
func (c *Coordinator) permitted() error {
	text := c.denied.Load()
	if text == nil {
		return nil
	}
	err := exit.WithCode(exit.Usagef("the NATS server does not permit what a bench needs: %s", *text), exit.Unreachable)
	return exit.WithHint(err, "permit publications to msctl.bench.%[1]s.find and msctl.bench.%[1]s.agent.*, and subscriptions to msctl.bench.%[1]s.run.> and _INBOX.>", c.options.Pool)
}

// find returns as many idle agents as are needed: those of the previous run first.
func (c *Coordinator) find(ctx context.Context) ([]presence, error) {
	inbox := nats.NewInbox()
	replies, err := c.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("look for agents: %w", err)
	}
	defer func() { _ = replies.Unsubscribe() }()
	found := map[string]presence{}
	until := time.Now().Add(findTime)
	var asked time.Time
	for {
		if time.Since(asked) > findTime/6 { // an agent may have been busy with its previous run
			asked = time.Now()
			if err := c.conn.PublishRequest(c.names.find(), inbox, nil); err != nil {
				return nil, explain(c.options.NATS, err)
			}
		}
		m, err := replies.NextMsg(beatStep / 5)
		var one presence
		switch {
		case err == nil && json.Unmarshal(m.Data, &one) == nil && one.ID != "":
			found[one.ID] = one
		case errors.Is(err, nats.ErrPermissionViolation), c.permitted() != nil:
			return nil, cmp.Or(c.permitted(), err)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
		// A moment more, so that all are seen and the choice does not depend on their order.
		if chosen := c.choose(found); len(chosen) == c.options.Agents && err != nil {
			return chosen, nil
		}
		if time.Now().After(until) {
			return nil, c.tooFew(found)
		}
	}
}

// suits reports whether an agent can be used.
func (c *Coordinator) suits(p *presence) bool {
	return p.State == stateIdle && p.Version == c.options.Version && p.Trust == c.options.Signer.Public()
}

// choose returns the agents to use: those of the previous run in their order, then others by
// host. There are fewer than needed if not enough are idle.
func (c *Coordinator) choose(found map[string]presence) (list []presence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range c.used {
		if p, ok := found[id]; ok && c.suits(&p) {
			list = append(list, p)
		}
	}
	var others []presence
	for _, p := range found {
		if c.suits(&p) && !slices.Contains(c.used, p.ID) {
			others = append(others, p)
		}
	}
	slices.SortFunc(others, func(a, b presence) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Pid, b.Pid), cmp.Compare(a.ID, b.ID))
	})
	list = append(list, others...)
	return list[:min(len(list), c.options.Agents)]
}

// tooFew returns the error for agents that are missing, busy, or unsuitable.
func (c *Coordinator) tooFew(found map[string]presence) error {
	where := fmt.Sprintf("at %s, in pool %s", secret.URL(c.options.NATS), c.options.Pool)
	var idle, busy int
	var versions, keys []string
	for _, p := range found {
		switch {
		case p.Trust != c.options.Signer.Public():
			keys = append(keys, p.name())
		case p.Version != c.options.Version:
			versions = append(versions, fmt.Sprintf("%s has %s", p.name(), p.Version))
		case p.State != stateIdle:
			busy++
		default:
			idle++
		}
	}
	slices.Sort(versions)
	slices.Sort(keys)
	switch {
	case len(keys) > 0:
		err := exit.Usagef("--agents %d: %s trusts another key", c.options.Agents, strings.Join(keys, ", "))
		return exit.WithHint(err, "start the agents with --trust %s", c.options.Signer.Public())
	case len(versions) > 0:
		err := exit.Usagef("--agents %d: all agents must have version %s, and %s", c.options.Agents, c.options.Version, strings.Join(versions, ", "))
		return exit.WithHint(err, "use the same version of msctl everywhere")
	}
	text := fmt.Sprintf("--agents %d: only %d answered %s", c.options.Agents, idle, where)
	if idle == 0 {
		text = fmt.Sprintf("--agents %d: none answered %s", c.options.Agents, where)
	}
	if busy > 0 {
		text += fmt.Sprintf(", and %d are busy", busy)
	}
	err := exit.WithCode(errors.New(text), exit.Unreachable)
	return exit.WithHint(err, "start one on each machine with `msctl bench agent --nats %s --trust %s`", secret.URL(c.options.NATS), c.options.Signer.Public())
}

// name names an agent for the user.
func (p *presence) name() string { return fmt.Sprintf("%s/%d", cmp.Or(p.Host, "agent"), p.Pid) }

// Start implements bench.Fleet.
func (c *Coordinator) Start(ctx context.Context, job *bench.Job) (bench.FleetRun, error) {
	found, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	r, err := c.newRun(job, found)
	if err != nil {
		return nil, err
	}
	if err := r.begin(ctx); err != nil {
		r.cancel()
		return nil, err
	}
	c.mu.Lock()
	c.used = nil
	for _, p := range found {
		c.used = append(c.used, p.ID)
	}
	c.mu.Unlock()
	return r, nil
}
