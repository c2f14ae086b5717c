package agents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/policy"
)

// work is an agent's part of one run.
type work struct {
	agent  *agent
	run    string
	plan   *plan
	ctx    context.Context // ends when the work is over
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed by finish
	once   sync.Once

	mu      sync.Mutex // guards the fields below
	leased  time.Time  // when the coordinator was last heard
	part    *bench.Part
	live    *bench.Run    // nil until go
	startAt time.Duration // of the run on the coordinator's clock
	offset  time.Duration // from the agent's clock to the coordinator's, when the run started
	bound   time.Duration // of the error of the clock, the worst so far
	stopped bool
}

// fetchTimeout limits the wait for a piece of a file.
const fetchTimeout = 5 * time.Second

// arm does all that must be done before the run starts.
func (w *work) arm() error {
	ctx, cancel := context.WithTimeout(w.ctx, armTimeout)
	defer cancel()
	contents := make([][]byte, len(w.plan.Files))
	files := map[string][]byte{}
	for i, f := range w.plan.Files {
		content, err := w.fetch(ctx, i, f)
		if err != nil {
			return err
		}
		contents[i], files[f.Name] = content, content
	}
	var shared bench.Shared
	if err := decodeInto(contents[0], &shared); err != nil {
		return err
	}
	spec, err := shared.Spec(w.agent.options.Version, files, w.agent.options.Secrets)
	if err != nil {
		return err
	}
	part, err := bench.PreparePart(ctx, spec, load.Part{Index: w.plan.Index, Of: w.plan.Of}, w.agent.allow.guard())
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.part = part
	w.mu.Unlock()
	return w.compare(ctx, true)
}

// fetch fetches a file in pieces, several at once.
func (w *work) fetch(ctx context.Context, index int, f file) ([]byte, error) {
	if f.Size < 0 || f.Size > maxFile {
		return nil, fmt.Errorf("%s is too large", f.Name)
	}
	content := make([]byte, f.Size)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for offset := int64(0); offset < f.Size; offset += pieceSize {
		group.Go(func() error {
			limit, cancel := context.WithTimeout(ctx, fetchTimeout)
			defer cancel()
			data, err := w.agent.ask(limit, w.subject("data"), request{w.agent.about.ID, index, offset})
			if err != nil {
				return fmt.Errorf("fetch %s: %w", f.Name, err)
			}
			if int64(len(data)) != min(pieceSize, f.Size-offset) {
				return fmt.Errorf("%s is incomplete: %d of %d bytes at %d", f.Name, len(data), min(pieceSize, f.Size-offset), offset)
			}
			copy(content[offset:], data)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != f.SHA256 {
		return nil, fmt.Errorf("%s is incomplete: its checksum is wrong", f.Name)
	}
	return content, nil
}

func (w *work) subject(what string) string { return w.agent.names.run(w.run, what) }

// compare compares the clocks. With first, the run will follow the result; otherwise, it
// shows how far the clocks have drifted apart.
func (w *work) compare(ctx context.Context, first bool) error {
	limit, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := measure(limit, w.agent.now, func(ctx context.Context) ([]byte, error) {
		return w.agent.ask(ctx, w.subject("clock"), request{Agent: w.agent.about.ID})
	})
	if err != nil {
		return err
	}
	if report := w.agent.options.onClock; report != nil {
		report(w.agent.epoch, r)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if first {
		w.offset, w.bound = r.offset, r.bound
		return nil
	}
	w.bound = max(w.bound, r.bound+(r.offset-w.offset).Abs())
	return nil
}

func (w *work) clockError() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bound
}

// renew records that the coordinator was heard.
func (w *work) renew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leased = time.Now()
}

// start starts the run at a time of the coordinator's clock.
func (w *work) start(at time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.part == nil || w.live != nil || w.stopped {
		return errors.New("the run cannot be started")
	}
	w.startAt = at
	live, err := w.part.Start(w.ctx, func(p *load.Plan) {
		p.StartAt, p.OnResult = w.agent.epoch.Add(at-w.offset), w.agent.options.onResult
	})
	if err != nil {
		return err
	}
	w.live = live
	w.agent.mu.Lock()
	w.agent.state = stateRunning
	w.agent.mu.Unlock()
	w.agent.runs.Go(w.report)
	w.agent.runs.Go(w.compareClocks)
	w.agent.options.Log("run %s started: part %d of %d", w.run, w.plan.Index+1, w.plan.Of)
	return nil
}

// change applies a live change at its time.
func (w *work) change(c *change) error {
	w.mu.Lock()
	live := w.live
	at := w.agent.epoch.Add(w.startAt + c.At - w.offset)
	w.mu.Unlock()
	if live == nil {
		return errors.New("the run has not started")
	}
	if c.Rate > 0 {
		return live.Here().SetRateAt(c.Rate, c.At)
	}
	if c.Fire {
		return live.FireAt(c.At)
	}
	w.agent.runs.Go(func() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		select {
		case <-timer.C:
			if err := w.apply(live, c); err != nil {
				w.agent.options.Log("a change was not applied: %v", err)
			}
		case <-w.ctx.Done():
		}
	})
	return nil
}

// apply applies a live change now.
func (w *work) apply(live *bench.Run, c *change) error {
	switch {
	case c.Users > 0:
		return live.SetUsers(c.Users)
	case c.Timeout > 0:
		return live.SetTimeout(c.Timeout)
	case c.Retries != nil:
		return live.SetRetries(*c.Retries)
	}
	p, ok := policy.Preset(c.Preset)
	if !ok {
		return fmt.Errorf("unknown policy %q", c.Preset)
	}
	p = bench.Divided(p, load.Part{Index: w.plan.Index, Of: w.plan.Of})
	return live.Here().ChangePolicy("policy "+c.Preset, policy.As(p))
}

// stop stops the run. Its requests in flight have the run's grace. Without a run, the work is
// over.
func (w *work) stop(why string) {
	w.mu.Lock()
	w.stopped = true
	live := w.live
	w.mu.Unlock()
	switch {
	case live == nil:
		if why != "" {
			w.cancel(errors.New(why))
		}
		go w.agent.end(w)
	case why != "":
		live.Abort(why)
	default:
		live.Stop()
	}
}

// every calls a function after each step, until the work is over or the function returns false.
func (w *work) every(step time.Duration, f func() bool) {
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-w.ended:
			return
		case <-tick.C:
		}
		if !f() {
			return
		}
	}
}

// beats tells the coordinator that the agent is alive.
func (w *work) beats() {
	w.every(beatStep, func() bool {
		_ = w.agent.conn.Publish(w.subject("beat"), encode(beat{w.agent.about.ID, w.agent.current()}))
		return true
	})
}

// watchLease stops the work when the coordinator has not been heard for a while.
func (w *work) watchLease() {
	w.every(beatStep, func() bool {
		if !w.expired() {
			return true
		}
		w.agent.options.Log("the coordinator was not heard for %s: the load is stopped", leaseLength)
		w.stop("the coordinator was not heard")
		return false
	})
}

// expired reports whether the coordinator has not been heard for too long.
func (w *work) expired() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.leased) > leaseLength
}

// compareClocks compares the clocks from time to time.
func (w *work) compareClocks() {
	w.every(clockStep, func() bool {
		_ = w.compare(w.ctx, false) // the bound stays what it was
		return true
	})
}

// finish ends what belongs to the work.
func (w *work) finish() {
	w.once.Do(func() {
		close(w.ended)
		w.cancel(nil)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.live != nil {
			w.live.Wait()
		}
		if w.part != nil {
			w.part.Close()
		}
	})
}

// reportDelay is how long after the end of a second it is reported, so that what the
// generator measures about itself is part of it.
const reportDelay = 100 * time.Millisecond

// report reports what was counted, after each second of the run and at its end.
func (w *work) report() {
	defer w.agent.end(w)
	w.mu.Lock()
	live, begin := w.live.Here(), w.agent.epoch.Add(w.startAt-w.offset)
	w.mu.Unlock()
	var cursor load.Cursor
	seq := uint64(0)
	send := func(final bool) bool {
		state, next, err := live.State(cursor)
		if err != nil {
			w.agent.options.Log("a report failed: %v", err)
			return false
		}
		r := &report{Final: final, State: state, ClockError: w.clockError()}
		if final {
			r.Faults = w.part.Faults()
		}
		seq++
		if err := w.send(r, seq); err != nil {
			return false
		}
		cursor = next
		return true
	}
	for n := 1; ; n++ {
		due := begin.Add(time.Duration(n)*reportStep + reportDelay)
		if late := time.Since(due); late > reportStep { // stalled: let the pacer notice it first
			n += int(late / reportStep)
			due = time.Now().Add(reportDelay)
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
			send(false)
			continue
		case <-live.Done():
			timer.Stop()
		}
		break
	}
	for until := time.Now().Add(2 * leaseLength); !send(true) && time.Now().Before(until); {
		if w.expired() || w.agent.conn.IsClosed() {
			break
		}
		w.pause(reconnectWait)
	}
	w.agent.options.Log("run %s ended", w.run)
}

// pause waits for a while, or until the work is over.
func (w *work) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.ctx.Done():
	}
}

// send sends a report and waits until the coordinator has it.
func (w *work) send(r *report, seq uint64) error {
	parts, err := r.pack(w.agent.about.ID, seq)
	if err != nil {
		return err
	}
	for _, p := range parts {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		answer, err := w.agent.ask(ctx, w.subject("report"), p)
		cancel()
		if err != nil {
			return err
		}
		if len(answer) > 0 {
			w.agent.options.Log("the coordinator refused a report: %s", answer)
			return errors.New(string(answer))
		}
	}
	return nil
}
