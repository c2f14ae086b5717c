package message

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
)

// mock is a running `msctl mock`. It is used by one goroutine.
type mock struct {
	io      *term.IO
	o       mockOptions
	service *capacity.Running
	began   time.Time
	last    capacity.Stats // at the previous line
	lastAt  time.Time
}

// runMock serves until ctx ends or `quit` is entered, and prints the counts.
func runMock(ctx context.Context, s *term.IO, o mockOptions) error {
	o.config.Log = slog.New(&refusals{io: s, at: o.at})
	serving, end := context.WithCancel(context.WithoutCancel(ctx)) // it ends after the counts are read
	defer end()
	service, err := o.serve(serving)
	if err != nil {
		return exit.InUse(target.Explain(err, o.at))
	}
	m := &mock{io: s, o: o, service: service, began: time.Now(), lastAt: time.Now()}
	ended := make(chan error, 1)
	go func() { ended <- service.Wait() }()
	m.introduce()
	lines, release := s.Lines()
	defer release()
	err = m.loop(ctx, lines, ended)
	fmt.Fprint(s.Out, m.summary())
	if err != nil {
		return err
	}
	end()
	return <-ended
}

// refusals is a log handler that prints which permission the mock lacks while it serves, such
// as that to reply. It prints each error once.
type refusals struct {
	io *term.IO
	at target.Target

	mu      sync.Mutex
	printed map[string]bool
}

// Enabled implements slog.Handler.
func (r *refusals) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (r *refusals) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		if !ok || !errors.Is(err, micro.ErrForbidden) {
			return true
		}
		if err = target.Explain(err, r.at); r.first(err.Error()) {
			exit.Report(r.io, err)
		}
		return false
	})
	return nil
}

// first reports whether a text has not been printed before.
func (r *refusals) first(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.printed[text] {
		return false
	}
	if r.printed == nil {
		r.printed = map[string]bool{}
	}
	r.printed[text] = true
	return true
}

// WithAttrs implements slog.Handler. Attributes of the logger are not errors.
func (r *refusals) WithAttrs([]slog.Attr) slog.Handler { return r }

// WithGroup implements slog.Handler.
func (r *refusals) WithGroup(string) slog.Handler { return r }

// serve starts the service on the address of --listen.
func (o *mockOptions) serve(ctx context.Context) (*capacity.Running, error) {
	if o.at.Broker == nil {
		return capacity.Serve(ctx, o.listen, o.config, o.served...)
	}
	if err := target.Probe(ctx, o.at.Addresses); err != nil {
		return nil, err
	}
	listener, err := o.tls.Listen(o.at)
	if err != nil {
		return nil, err
	}
	return capacity.ServeOn(ctx, listener, listener.Ready, o.config, o.served...)
}

func (m *mock) introduce() {
	c := m.io.ErrPalette()
	at := m.o.at.String()
	if m.o.at.Broker == nil {
		at = "tcp://" + m.service.Address
		if target.IsSocket(m.service.Address) {
			at = "unix://" + m.service.Address
		}
	}
	patterns := "any pattern"
	if n := len(m.o.served); n > 0 {
		names := make([]string, n)
		for i, p := range m.o.served {
			names[i] = p.String()
		}
		patterns = term.List(names, 5)
	}
	m.io.Notef("%s %s replies to %s", c.Good("✓"), at, patterns)
	m.io.Notef("  capacity %s: %s, %s each%s", c.Bold(capacityText(m.service.Capacity())), term.Count(m.o.workers, "worker"),
		m.o.config.ServiceTime, c.Dim(m.limits()))
	if m.io.Facts().StdinTTY {
		m.io.Notef("  %s", c.Dim("type stall 4s, capacity 200/s, stats, or quit (or Ctrl-C)"))
	}
}

// limits describes the queue and what happens to expired requests.
func (m *mock) limits() string {
	text := ""
	if m.o.queue > 0 {
		text = fmt.Sprintf("; up to %d may wait, others are rejected", m.o.queue)
	}
	if m.o.dropExpired {
		text += "; requests whose callers have given up are dropped"
	}
	return text
}

// capacityText formats a rate per second.
func capacityText(rate float64) string {
	if math.IsInf(rate, 1) {
		return "unlimited"
	}
	return fmt.Sprintf("%.4g/s", rate)
}

// loop runs until ctx ends, `quit` is entered, or the service fails, and returns the
// error of the service.
func (m *mock) loop(ctx context.Context, lines <-chan string, ended <-chan error) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	planned := time.NewTimer(m.untilStall())
	defer planned.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return target.Explain(err, m.o.at)
		case <-tick.C:
			m.second()
		case <-planned.C:
			if len(m.o.plan) > 0 {
				m.stall(m.o.plan[0].Length)
				m.o.plan = m.o.plan[1:]
			}
			planned.Reset(m.untilStall())
		case line, ok := <-lines:
			if !ok {
				lines = nil // no more input; the mock keeps running
				continue
			}
			if quit := m.command(line); quit {
				return nil
			}
		}
	}
}

// untilStall returns the time until the next planned stall.
func (m *mock) untilStall() time.Duration {
	if len(m.o.plan) == 0 {
		return math.MaxInt64
	}
	return m.o.plan[0].After - time.Since(m.began)
}

func (m *mock) stall(d time.Duration) {
	m.service.Stall(d)
	m.io.Notef("%s stalled for %s", m.clock(), m.io.ErrPalette().Warn(d.String()))
}

// clock returns the time since the start, as lines begin.
func (m *mock) clock() string {
	return fmt.Sprintf("%5.0fs ", time.Since(m.began).Seconds())
}

// command executes a line of standard input.
func (m *mock) command(line string) (quit bool) {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case word == "":
	case word == "quit" && rest == "":
		return true
	case word == "stats" && rest == "":
		fmt.Fprint(m.io.Out, m.summary())
	case word == "stall":
		d, err := capacity.ParseStallLength(rest)
		if err != nil {
			m.fail(exit.PointInto("stall", rest, err))
			return false
		}
		m.stall(d)
	case word == "capacity":
		rate, err := parseCapacity("capacity", rest)
		if err != nil {
			m.fail(err)
			return false
		}
		m.service.SetServiceTime(m.o.config.ServiceTime.For(m.o.workers, rate))
		m.io.Notef("%s capacity %s", m.clock(), m.io.ErrPalette().Bold(capacityText(m.service.Capacity())))
	default:
		m.fail(fmt.Errorf("unknown command %q: type stall 4s, capacity 200/s, stats, or quit", line))
	}
	return false
}

func (m *mock) fail(err error) { m.io.Notef("%s %v", m.io.ErrPalette().Bad("error:"), err) }

// second prints a line if anything happened in the last second.
func (m *mock) second() {
	now, stats := time.Now(), m.service.Stats()
	if stats == m.last {
		m.lastAt = now
		return
	}
	passed := now.Sub(m.lastAt).Seconds()
	rate := func(now, before uint64) string { return fmt.Sprintf("%.0f/s", float64(now-before)/passed) }
	line := fmt.Sprintf("%s arrived %s  done %s  waiting %d", m.clock(), rate(stats.Arrived, m.last.Arrived), rate(stats.Done, m.last.Done), stats.Waiting)
	for _, part := range []struct {
		name        string
		now, before uint64
	}{{"wasted", stats.Wasted, m.last.Wasted}, {"expired", stats.Expired, m.last.Expired}, {"refused", stats.Refused, m.last.Refused}} {
		if part.now > 0 { // once it has happened
			line += fmt.Sprintf("  %s %s", part.name, rate(part.now, part.before))
		}
	}
	m.io.Notef("%s", line)
	m.last, m.lastAt = stats, now
}

// summary returns the counts since the start.
func (m *mock) summary() string {
	stats := m.service.Stats()
	var b strings.Builder
	fmt.Fprintf(&b, "mock ran for %s, capacity %s\n", term.Duration(time.Since(m.began)), capacityText(m.service.Capacity()))
	row := func(name string, n uint64, note string) {
		fmt.Fprintf(&b, "  %-8s %8d  %s\n", name, n, note)
	}
	row("arrived", stats.Arrived, "requests")
	row("done", stats.Done, "work finished")
	row("wasted", stats.Wasted, "of these, for callers that had given up")
	row("expired", stats.Expired, "dropped because the caller had given up")
	row("refused", stats.Refused, "rejected because the queue was full")
	row("open", uint64(stats.Waiting+stats.Busy), "waiting or in progress")
	return b.String()
}
