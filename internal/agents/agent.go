package agents

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/secret"
)

// AgentOptions configure an agent.
type AgentOptions struct {
	// NATS is the URL of the NATS server, and Pool the name of the agent's pool.
	NATS, Pool string
	// Trust is the public key whose commands the agent carries out.
	Trust string
	// Allow is where the agent may send load; empty is the loopback interface.
	Allow []string
	// Once ends the agent after one run.
	Once bool
	// Version is the version of the program. All agents of a run have that of the
	// coordinator.
	Version string
	// Parent, if set, ends the agent when it is closed, as the pipe of a parent that dies.
	Parent io.Reader
	// Log is called with what happens, a line each.
	Log func(format string, args ...any)
	// Secrets are those of the process.
	Secrets *secret.Set

	// Of tests: onResult is called with each request, and onClock with time 0 of the agent's clock and each comparison. ahead is added to that clock.
	onResult func(load.Request)
	onClock  func(epoch time.Time, r reading)
	ahead    time.Duration
}

// Agent waits for work and does it, one run at a time. The handlers of its subscriptions run
// on goroutines of the NATS client; a run has its own, which work owns.
type agent struct {
	options AgentOptions
	allow   *allowList
	conn    *nats.Conn
	names   subjects
	epoch   time.Time // time 0 of this clock
	about   presence
	done    chan struct{} // closed after the run of Once
	runs    sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	state string
	nonce string
	seq   uint64 // of the last command of the nonce
	work  *work  // nil while idle
}

// ServeAgent waits for work until ctx ends, or after one run with Once. When ctx ends, a run in
// progress is stopped and reported.
func ServeAgent(ctx context.Context, o AgentOptions) error {
	allow, err := parseAllow(o.Allow)
	if err != nil {
		return err
	}
	if err := CheckPublic(o.Trust); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if o.Parent != nil {
		go func() { // ends with the process
			_, _ = io.Copy(io.Discard, o.Parent)
			cancel(errParent)
		}()
	}
	a := &agent{options: o, allow: allow, names: subjects{o.Pool}, epoch: time.Now().Add(-o.ahead), done: make(chan struct{}), state: stateIdle, nonce: newID()}
	host, _ := os.Hostname()
	a.about = presence{
		ID: newID(), Host: cmp.Or(os.Getenv("MSCTL_BENCH_AGENT_NAME"), host), Pid: os.Getpid(), CPUs: runtime.GOMAXPROCS(0), Version: o.Version,
		Allow: allow.texts(), Trust: o.Trust,
	}
	if err := a.listen(); err != nil {
		return err
	}
	defer a.conn.Close()
	o.Log("agent %s waits for work at %s, in pool %s; it may send load to %v", a.about.ID, secret.URL(o.NATS), o.Pool, a.about.Allow)
	select {
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), errParent) {
			a.conn.Close() // the coordinator has ended, too
		}
		a.mu.Lock()
		if a.work != nil {
			a.work.stop("the agent was stopped")
		}
		a.mu.Unlock()
		a.runs.Wait()
		return context.Cause(ctx)
	case <-a.done:
		a.runs.Wait()
		return a.conn.FlushTimeout(time.Second)
	}
}

// errParent ends an agent whose parent has died.
var errParent = errors.New("the parent process has ended")

// listen connects and subscribes.
func (a *agent) listen() (err error) {
	a.conn, err = connect(a.options.NATS, "msctl bench agent", nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		a.options.Log("NATS: %v", err)
	}), nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
		if err != nil {
			a.options.Log("the connection to NATS was lost: %v", err)
		}
	}), nats.ReconnectHandler(func(*nats.Conn) { a.options.Log("connected to NATS again") }))
	if err != nil {
		return err
	}
	for subject, handle := range map[string]nats.MsgHandler{a.names.find(): a.present, a.names.agent(a.about.ID): a.obey} {
		if _, err := a.conn.Subscribe(subject, handle); err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
	}
	if err := a.conn.FlushTimeout(3 * time.Second); err != nil {
		return explain(a.options.NATS, err)
	}
	if err := a.conn.LastError(); errors.Is(err, nats.ErrPermissionViolation) {
		a.conn.Close()
		return exit.WithCode(exit.WithHint(exit.Usagef("the NATS server does not permit what an agent needs: %w", err),
			"permit subscriptions to msctl.bench.%[1]s.> and publications to msctl.bench.%[1]s.run.> and _INBOX.>", a.options.Pool), exit.Unreachable)
	}
	return nil
}

// present answers find.
func (a *agent) present(m *nats.Msg) {
	a.mu.Lock()
	about := a.about
	about.Nonce, about.State = a.nonce, a.state
	a.mu.Unlock()
	_ = m.Respond(encode(about))
}

// obey carries out a command, or refuses it.
func (a *agent) obey(m *nats.Msg) {
	c, err := a.check(m.Data)
	if err != nil {
		a.options.Log("refused a command: %v", err)
		_ = m.Respond(encode(reply{Refused: err.Error(), Code: exit.Failed, State: a.current()}))
		return
	}
	if c.Kind == kindPlan {
		a.runs.Add(1)
		go func() { // fetching the files takes longer than a handler may
			defer a.runs.Done()
			a.respond(m, a.begin(c))
		}()
		return
	}
	a.respond(m, a.order(c))
}

func (a *agent) current() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

// respond answers a command.
func (a *agent) respond(m *nats.Msg, err error) {
	r := reply{State: a.current()}
	if err != nil {
		a.options.Log("refused a command: %v", err)
		r.Refused, r.Code, r.Hint = a.options.Secrets.Mask(err.Error()), exit.Code(err), exit.Hint(err)
	}
	a.mu.Lock()
	if a.work != nil {
		r.ClockError = a.work.clockError()
	}
	a.mu.Unlock()
	_ = m.Respond(encode(r))
}

// check returns a command that the agent may carry out: one that is signed, meant for this
// agent and its current run, and new.
func (a *agent) check(message []byte) (*command, error) {
	c, err := verify(message, a.options.Trust)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case c.Pool != a.options.Pool || c.Agent != a.about.ID:
		return nil, errors.New("the command is for another agent")
	case c.Nonce != a.nonce:
		return nil, errors.New("the command is from an earlier run")
	case c.Seq <= a.seq:
		return nil, errors.New("the command was sent before")
	case a.work != nil && c.Run != a.work.run:
		return nil, errors.New("the agent works for another run")
	}
	a.seq = c.Seq
	return c, nil
}

// begin prepares a run.
func (a *agent) begin(c *command) error {
	if c.Plan == nil || len(c.Plan.Files) == 0 || c.Plan.Of < 1 || c.Plan.Index < 0 || c.Plan.Index >= c.Plan.Of || c.Run == "" {
		return errors.New("the plan is incomplete")
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	w := &work{agent: a, run: c.Run, plan: c.Plan, ctx: ctx, cancel: cancel, leased: time.Now(), ended: make(chan struct{})}
	a.mu.Lock()
	if a.work != nil {
		a.mu.Unlock()
		cancel(nil)
		return errors.New("the agent already works for this run")
	}
	a.work, a.state = w, stateArming
	a.mu.Unlock()
	a.runs.Go(w.beats)
	a.runs.Go(w.watchLease)
	if err := w.arm(); err != nil {
		if why := context.Cause(w.ctx); why != nil && !errors.Is(why, context.Canceled) {
			err = why
		}
		a.end(w)
		return err
	}
	a.mu.Lock()
	a.state = stateArmed
	a.mu.Unlock()
	return nil
}

// order carries out a command for the run in progress.
func (a *agent) order(c *command) error {
	a.mu.Lock()
	w := a.work
	a.mu.Unlock()
	switch {
	case c.Kind == kindAsk:
		return nil
	case w == nil && c.Kind == kindStop:
		return nil
	case w == nil:
		return errors.New("the agent has no plan")
	}
	w.renew()
	switch c.Kind {
	case kindGo:
		return w.start(c.Start)
	case kindChange:
		if c.Change == nil {
			return errors.New("the change is empty")
		}
		return w.change(c.Change)
	case kindStop:
		w.stop("")
		return nil
	case kindLease:
		return nil
	}
	return fmt.Errorf("unknown command %q", c.Kind)
}

// end makes the agent idle, with a new nonce: the commands of the run are worthless.
func (a *agent) end(w *work) {
	w.finish()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.work != w {
		return
	}
	a.work, a.state, a.nonce, a.seq = nil, stateIdle, newID(), 0
	if a.options.Once {
		select {
		case <-a.done:
		default:
			close(a.done)
		}
	}
}

// ask sends a request to the coordinator of a run.
func (a *agent) ask(ctx context.Context, subject string, v any) ([]byte, error) {
	m, err := a.conn.RequestWithContext(ctx, subject, encode(v))
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// now is the agent's clock.
func (a *agent) now() time.Duration { return time.Since(a.epoch) }

// decodeInto decodes JSON from the coordinator.
func decodeInto(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("the plan is malformed: %w", err)
	}
	return nil
}
