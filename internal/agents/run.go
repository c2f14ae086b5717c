package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	benchreport "github.com/msctl/msctl/internal/load/report"
)

// run is a run on agents. It is a bench.FleetRun.
//
// The handlers of its subscriptions run on goroutines of the NATS client. Its own goroutines,
// leases, watch, and one per pause of a service, end when done is closed; drive waits for the
// agents and closes it.
type run struct {
	c       *Coordinator
	id      string
	job     *bench.Job
	files   []file
	content [][]byte
	members []*member
	sum     *load.Combined
	start   time.Duration // on the coordinator's clock
	subs    []*nats.Subscription
	aside   sync.WaitGroup

	over    chan struct{} // closed when every agent has ended
	done    chan struct{}
	result  *load.Result
	stopped atomic.Bool
	failed  atomic.Pointer[error] // of a pause
	stop    sync.Once
	end     sync.Once

	mu sync.Mutex // guards the members' fields, except for those that do not change
}

// member is an agent of a run.
type member struct {
	presence
	index int
	order sync.Mutex // commands are sent in the order of their numbers

	// Guarded by the mutex of the run.
	seq     uint64
	heard   time.Time
	asking  bool
	silent  time.Time // since when it has been stalled; zero if it is not
	stalls  time.Duration
	lost    string
	unknown int64
	until   time.Duration
	ended   bool
	clock   time.Duration // the bound of its error
	faults  [][3]int64
	report  uint64 // the number of the report that is being received
	parts   [][]byte
}

// newRun prepares a run on the agents.
func (c *Coordinator) newRun(job *bench.Job, found []presence) (*run, error) {
	r := &run{c: c, id: newID(), job: job, over: make(chan struct{}), done: make(chan struct{})}
	shared := encode(job.Shared)
	r.files, r.content = []file{describe("", shared)}, [][]byte{shared}
	for _, name := range job.Shared.Files {
		r.files, r.content = append(r.files, describe(name, job.Files[name])), append(r.content, job.Files[name])
	}
	for i, p := range found {
		r.members = append(r.members, &member{presence: p, index: i, heard: time.Now()})
	}
	for what, handle := range map[string]nats.MsgHandler{"data": r.onData, "clock": r.onClock, "beat": r.onBeat, "report": r.onReport} {
		sub, err := c.conn.Subscribe(c.names.run(r.id, what), handle)
		if err != nil {
			return nil, fmt.Errorf("subscribe to the agents' messages: %w", err)
		}
		r.subs = append(r.subs, sub)
	}
	return r, nil
}

// cancel ends a run that was not started.
func (r *run) cancel() {
	r.end.Do(func() { close(r.over) })
	r.aside.Wait()
	var all sync.WaitGroup
	for _, m := range r.members {
		all.Go(func() { _ = r.send(context.Background(), m, &command{Kind: kindStop}, askTimeout) })
	}
	all.Wait()
	r.unsubscribe()
}

func (r *run) unsubscribe() {
	for _, s := range r.subs {
		_ = s.Unsubscribe()
	}
}

// begin sends the plan to all agents, and then go. Nothing has been sent to the target when it
// returns an error.
func (r *run) begin(ctx context.Context) error {
	arming, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r.aside.Go(func() { r.leases(fail) }) // arming may take longer than a lease
	if err := r.all(arming, armTimeout, func(m *member) *command {
		return &command{Kind: kindPlan, Plan: &plan{m.index, len(r.members), r.files}}
	}); err != nil {
		return err
	}
	r.start = r.c.now() + leadTime
	begin := r.c.epoch.Add(r.start)
	if r.job.Plan.OnStart != nil {
		r.job.Plan.OnStart(begin)
	}
	r.sum = load.NewCombined(r.job.Plan, len(r.members), begin)
	if err := r.all(ctx, goTimeout, func(*member) *command { return &command{Kind: kindGo, Start: r.start} }); err != nil {
		return err
	}
	r.mu.Lock()
	for _, m := range r.members {
		m.heard = time.Now()
	}
	r.mu.Unlock()
	r.aside.Go(r.watch)
	for _, t := range r.job.Plan.Triggers {
		if t.Fire != nil {
			r.aside.Go(func() { r.fireAt(t) })
		}
	}
	release := context.AfterFunc(ctx, r.Stop)
	go func() {
		defer release()
		r.drive()
	}()
	return nil
}

// all sends a command to every agent and waits for the answers. The error names the first
// agent that did not accept.
func (r *run) all(ctx context.Context, timeout time.Duration, of func(*member) *command) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range r.members {
		group.Go(func() error {
			return r.send(ctx, m, of(m), timeout)
		})
	}
	return group.Wait()
}

// send sends a command to an agent and waits until it was accepted. The error names the
// agent.
func (r *run) send(ctx context.Context, m *member, c *command, timeout time.Duration) error {
	m.order.Lock()
	r.mu.Lock()
	m.seq++
	c.Pool, c.Run, c.Agent, c.Nonce, c.Seq = r.c.options.Pool, r.id, m.ID, m.Nonce, m.seq
	r.mu.Unlock()
	message, err := r.c.options.Signer.sign(c)
	if err != nil {
		m.order.Unlock()
		return err
	}
	inbox := nats.NewInbox()
	sub, err := r.c.conn.SubscribeSync(inbox)
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }()
		err = r.c.conn.PublishRequest(r.c.names.agent(m.ID), inbox, message)
	}
	m.order.Unlock()
	if err != nil {
		return fmt.Errorf("agent %s: %w", m.name(), err)
	}
	limit, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := sub.NextMsgWithContext(limit)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return exit.WithCode(fmt.Errorf("agent %s is gone: %w", m.name(), err), exit.Unreachable)
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return exit.WithCode(fmt.Errorf("agent %s did not answer within %s", m.name(), timeout), exit.Unreachable)
	}
	var got reply
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return fmt.Errorf("agent %s: its answer is malformed", m.name())
	}
	r.mu.Lock()
	m.heard = time.Now()
	m.clock = max(m.clock, got.ClockError)
	r.mu.Unlock()
	if got.Refused == "" {
		return nil
	}
	err = fmt.Errorf("agent %s refused: %s", m.name(), got.Refused)
	if got.Hint != "" {
		err = exit.WithHint(err, "%s", got.Hint)
	}
	return exit.WithCode(err, max(got.Code, exit.Failed))
}

// onData sends a piece of a file.
func (r *run) onData(m *nats.Msg) {
	var q request
	if json.Unmarshal(m.Data, &q) != nil || q.File < 0 || q.File >= len(r.content) || q.Offset < 0 {
		return
	}
	content := r.content[q.File]
	from := min(q.Offset, int64(len(content)))
	_ = m.Respond(content[from:min(from+pieceSize, int64(len(content)))])
}

// onClock sends the time.
func (r *run) onClock(m *nats.Msg) {
	received := r.c.now()
	_ = m.Respond(encode(clockReply{received, r.c.now()}))
}

// member returns the agent with an ID; nil if it has no part in the run.
func (r *run) member(id string) *member {
	if i := slices.IndexFunc(r.members, func(m *member) bool { return m.ID == id }); i >= 0 {
		return r.members[i]
	}
	return nil
}

// onBeat records that an agent is alive.
func (r *run) onBeat(msg *nats.Msg) {
	var b beat
	if json.Unmarshal(msg.Data, &b) != nil {
		return
	}
	if m := r.member(b.Agent); m != nil {
		r.hear(m)
	}
}

// onReport adds a part of a report, and the report when it is complete. The answer is empty,
// or what is wrong with it.
func (r *run) onReport(msg *nats.Msg) {
	var p part
	if json.Unmarshal(msg.Data, &p) != nil || p.Parts < 1 || p.Parts > maxReport/reportSize || p.Part < 0 || p.Part >= p.Parts {
		_ = msg.Respond([]byte("the report is malformed"))
		return
	}
	m := r.member(p.Agent)
	if m == nil || r.sum == nil {
		_ = msg.Respond([]byte("the agent has no part in this run"))
		return
	}
	r.hear(m)
	if err := r.receive(m, &p); err != nil {
		_ = msg.Respond([]byte(err.Error()))
		return
	}
	_ = msg.Respond(nil)
}

func (r *run) receive(m *member, p *part) error {
	r.mu.Lock()
	if p.Seq != m.report || len(m.parts) != p.Parts {
		m.report, m.parts = p.Seq, make([][]byte, p.Parts)
	}
	m.parts[p.Part] = p.Data
	complete := !slices.ContainsFunc(m.parts, func(data []byte) bool { return data == nil })
	data := slices.Concat(m.parts...)
	r.mu.Unlock()
	if !complete {
		return nil
	}
	got, err := unpack(data)
	if err != nil {
		return err
	}
	if err := r.sum.Add(m.index, got.State, got.Final); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m.clock = max(m.clock, got.ClockError)
	if got.Final && m.lost == "" {
		m.ended, m.faults = true, got.Faults
		r.checkOver()
	}
	return nil
}

// checkOver closes over when every agent has ended. mu must be held.
func (r *run) checkOver() {
	if !slices.ContainsFunc(r.members, func(m *member) bool { return !m.ended && m.lost == "" }) {
		r.end.Do(func() { close(r.over) })
	}
}

// drive waits for the end of the run.
func (r *run) drive() {
	<-r.over
	r.aside.Wait()
	r.unsubscribe()
	r.result = r.sum.Result(r.stopped.Load())
	close(r.done)
}

// elapsed is the time of the run.
func (r *run) elapsed() time.Duration { return r.c.now() - r.start }

// fireAt fires a trigger of the plan that this process starts, such as the pause of a service.
func (r *run) fireAt(t load.Trigger) {
	timer := time.NewTimer(time.Until(r.c.epoch.Add(r.start + t.At)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.over:
		return
	}
	if err := t.Fire(); err != nil {
		r.sum.Mark(r.elapsed(), t.Text+" failed")
		r.failed.CompareAndSwap(nil, &err)
		return
	}
	r.sum.Trigger(t)
}

// Done is closed when the run has finished.
func (r *run) Done() <-chan struct{} { return r.done }

// Wait waits until the run has finished and returns its result.
func (r *run) Wait() *load.Result {
	<-r.done
	return r.result
}

// Snapshot returns the figures so far, of the last moment that every agent has reported.
func (r *run) Snapshot(recent int) load.Snapshot {
	select {
	case <-r.done:
		return r.result.Snapshot
	default:
	}
	return r.sum.Snapshot(recent)
}

// BestCase is that of a load.Run.
func (r *run) BestCase() *load.Result { return r.sum.BestCase() }

// Stop stops all agents, which finish and report their requests.
func (r *run) Stop() {
	r.stop.Do(func() {
		r.stopped.Store(true)
		go func() { _ = r.broadcast(func() *command { return &command{Kind: kindStop} }) }() // watch sees who is silent
	})
}

// Abort stops the run and adds a mark with the reason.
func (r *run) Abort(why string) {
	r.sum.Mark(r.elapsed(), why)
	r.Stop()
}

// TriggerError returns the first error of a trigger, or nil.
func (r *run) TriggerError() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return r.sum.Failure()
}

// broadcast sends a command to every agent that has not ended, and returns the errors of those
// that did not accept.
func (r *run) broadcast(of func() *command) error {
	var all sync.WaitGroup
	errs := make([]error, len(r.members))
	for i, m := range r.members {
		r.mu.Lock()
		gone := m.ended || m.lost != ""
		r.mu.Unlock()
		if gone {
			continue
		}
		all.Go(func() { errs[i] = r.send(context.Background(), m, of(), askTimeout) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Agents describes the agents and what each has counted.
func (r *run) Agents() []benchreport.Agent {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]benchreport.Agent, len(r.members))
	for i, m := range r.members {
		list[i] = benchreport.Agent{
			ID: m.ID, Name: m.name(), CPUs: m.CPUs, ClockError: m.clock, Lost: m.lost, Unknown: m.unknown, Until: m.until, Stalled: m.stalls,
		}
		if r.sum != nil {
			counts := r.sum.Counts(i)
			list[i].Offered = counts.Offered
		}
	}
	return list
}

// Faults returns how often each fault was injected, by all agents.
func (r *run) Faults() [][3]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sum [][3]int64
	for _, m := range r.members {
		for i, n := range m.faults {
			for len(sum) <= i {
				sum = append(sum, [3]int64{})
			}
			for j := range n {
				sum[i][j] += n[j]
			}
		}
	}
	return sum
}
