package cli

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
)

// mock is a `msctl mock` that runs. It belongs to one goroutine.
type mock struct {
	io      *term.IO
	o       mockOptions
	service *capacity.Running
	began   time.Time
	last    capacity.Stats // as of the second before
	lastAt  time.Time
}

// runMock serves until ctx ends or `quit` is typed, and prints what was done.
func runMock(ctx context.Context, s *term.IO, o mockOptions) error {
	serving, end := context.WithCancel(context.WithoutCancel(ctx)) // it ends when its counts have been read
	defer end()
	service, err := o.serve(serving)
	if err != nil {
		return target.Explain(err, o.at)
	}
	m := &mock{io: s, o: o, service: service, began: time.Now(), lastAt: time.Now()}
	ended := make(chan error, 1)
	go func() { ended <- service.Wait() }()
	m.introduce()
	lines, release := liveLines(s)
	defer release()
	err = m.loop(ctx, lines, ended)
	fmt.Fprint(s.Out, m.summary())
	if err != nil {
		return err
	}
	end()
	return <-ended
}

// serve starts the service, where --listen says.
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
	}
	patterns := "any pattern"
	if n := len(m.o.served); n > 0 {
		names := make([]string, n)
		for i, p := range m.o.served {
			names[i] = p.String()
		}
		patterns = list(names, 5)
	}
	m.io.Notef("%s %s answers %s", c.Good("✓"), at, patterns)
	m.io.Notef("  capacity %s: %s, %s each%s", c.Bold(capacityText(m.service.Capacity())), count(m.o.workers, "worker"),
		m.o.config.ServiceTime, c.Dim(m.habits()))
	if m.io.Facts().StdinTTY {
		m.io.Notef("  %s", c.Dim("type stall 4s, capacity 200/s, stats or quit; Ctrl-C ends too"))
	}
}

// habits says what it does beside working.
func (m *mock) habits() string {
	text := ""
	if m.o.queue > 0 {
		text = fmt.Sprintf("; %d may wait, more are refused", m.o.queue)
	}
	if m.o.dropExpired {
		text += "; requests whose callers have given up are dropped"
	}
	return text
}

// count is "1 worker" or "4 workers".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// capacityText is a rate a second for people.
func capacityText(rate float64) string {
	if math.IsInf(rate, 1) {
		return "unlimited"
	}
	return fmt.Sprintf("%.4g/s", rate)
}

// loop lives until the end, and returns an error of the service.
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
			return err
		case <-tick.C:
			m.second()
		case <-planned.C:
			if len(m.o.plan) > 0 {
				m.stall(m.o.plan[0].length)
				m.o.plan = m.o.plan[1:]
			}
			planned.Reset(m.untilStall())
		case line, ok := <-lines:
			if !ok {
				lines = nil // nobody types; it goes on all the same
				continue
			}
			if quit := m.command(line); quit {
				return nil
			}
		}
	}
}

// untilStall is how long the next planned stall is away.
func (m *mock) untilStall() time.Duration {
	if len(m.o.plan) == 0 {
		return math.MaxInt64
	}
	return m.o.plan[0].after - time.Since(m.began)
}

func (m *mock) stall(d time.Duration) {
	m.service.Stall(d)
	m.io.Notef("%s stalled for %s", m.clock(), m.io.ErrPalette().Warn(d.String()))
}

// clock is the time since the start, for the beginning of a line.
func (m *mock) clock() string {
	return fmt.Sprintf("%5.0fs ", time.Since(m.began).Seconds())
}

// command does what a line of standard input says.
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
		d, err := time.ParseDuration(rest)
		if err != nil || d <= 0 || d > mostStall {
			m.io.Notef("%s %q is not how long to stall, more than 0 and at most 1h: stall 4s", m.io.ErrPalette().Bad("error:"), rest)
			return false
		}
		m.stall(d)
	case word == "capacity":
		rate, err := parseCapacity("capacity", rest)
		if err != nil {
			m.io.Notef("%s %v", m.io.ErrPalette().Bad("error:"), err)
			return false
		}
		m.service.SetServiceTime(scaled(m.o.config.ServiceTime, m.o.workers, rate))
		m.io.Notef("%s capacity %s", m.clock(), m.io.ErrPalette().Bold(capacityText(m.service.Capacity())))
	default:
		m.io.Notef("%s unknown command %q: type stall 4s, capacity 200/s, stats or quit", m.io.ErrPalette().Bad("error:"), line)
	}
	return false
}

// second prints a line when something has happened in the second that has passed.
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
		if part.now > 0 { // those that have never happened are no news
			line += fmt.Sprintf("  %s %s", part.name, rate(part.now, part.before))
		}
	}
	m.io.Notef("%s", line)
	m.last, m.lastAt = stats, now
}

// summary is what has been done since the start.
func (m *mock) summary() string {
	stats := m.service.Stats()
	var b strings.Builder
	fmt.Fprintf(&b, "mock for %s, capacity %s\n", seconds(time.Since(m.began)), capacityText(m.service.Capacity()))
	row := func(name string, n uint64, note string) {
		fmt.Fprintf(&b, "  %-8s %8d  %s\n", name, n, note)
	}
	row("arrived", stats.Arrived, "requests")
	row("done", stats.Done, "worked on to the end")
	row("wasted", stats.Wasted, "of those done, for callers who had given up")
	row("expired", stats.Expired, "dropped, because the callers had given up")
	row("refused", stats.Refused, "because the queue was full")
	row("open", uint64(stats.Waiting+stats.Busy), "waiting or worked on")
	return b.String()
}
