package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
)

// faultRunner is a `msctl fault` that runs. It belongs to one goroutine.
type faultRunner struct {
	io    *term.IO
	o     faultOptions
	proxy *fault.Proxy
	began time.Time
	last  fault.Stats // as of the line before
}

// runFault passes on until ctx ends or `quit` is typed, and prints what was done.
func runFault(ctx context.Context, s *term.IO, o faultOptions) error {
	proxy, err := fault.Start(context.WithoutCancel(ctx), fault.Options{ // it ends when its counts have been read
		Listen: o.listen, Target: o.target.Addresses, TLS: o.tls, Seed: o.seed, Raw: o.raw, Faults: o.faults,
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return exit.WithHint(err, "give another one with --listen")
	}
	if err != nil {
		return err
	}
	r := &faultRunner{io: s, o: o, proxy: proxy, began: time.Now()}
	proxy.Begin(r.began)
	r.introduce()
	lines, release := liveLines(s)
	defer release()
	r.loop(ctx, lines)
	fmt.Fprint(s.Out, r.summary())
	return proxy.Close()
}

func (r *faultRunner) introduce() {
	c := r.io.ErrPalette()
	r.io.Notef("%s %s passes on to %s", c.Good("✓"), r.address(), r.o.target.Name())
	for _, a := range r.proxy.Faults() {
		r.io.Notef("  %d  %s", a.ID, c.Warn(a.Fault.String()))
	}
	if r.io.Facts().StdinTTY {
		r.io.Notef("  %s", c.Dim("type a fault, list, remove 1, clear, stats, help or quit; Ctrl-C ends too"))
	}
	r.last = r.proxy.Stats()
}

// address is where the proxy listens, as the clients' own target would be written.
func (r *faultRunner) address() string {
	scheme := target.SchemeTCP
	if r.o.target.Broker != nil {
		scheme = r.o.target.Scheme
	}
	return scheme + "://" + r.proxy.Addr()
}

// loop lives until the end.
func (r *faultRunner) loop(ctx context.Context, lines <-chan string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.second()
		case line, ok := <-lines:
			if !ok {
				lines = nil // nobody types; it goes on all the same
				continue
			}
			if quit := r.command(strings.TrimSpace(line)); quit {
				return
			}
		}
	}
}

// faultCommands is what help prints.
const faultCommands = `  FAULT      do this too, its times from now: error=20%, stall@0s+4s
  list       the faults and their numbers
  remove 1   end a fault
  clear      end them all
  stats      print what has been done so far
  quit       end`

// faultWords are the commands, which a word in their place was meant to be.
func faultWords() []string {
	return []string{"add", "list", "remove", "clear", "stats", "help", "quit"}
}

// command does what a line of standard input says.
func (r *faultRunner) command(line string) (quit bool) {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case line == "":
	case line == "quit":
		return true
	case line == "stats":
		fmt.Fprint(r.io.Out, r.summary())
	case line == "help":
		r.io.Notef("%s", faultCommands)
	case line == "list":
		r.list()
	case line == "clear":
		n := len(r.proxy.Faults())
		r.proxy.Clear()
		r.say("%s removed", count(n, "fault"))
	case word == "remove":
		r.remove(rest)
	case word == "add":
		r.add(rest)
	default:
		r.addOrComplain(line)
	}
	return false
}

// addOrComplain takes a line for a fault, unless it looks more like a command.
func (r *faultRunner) addOrComplain(line string) {
	word := line[:strings.IndexAny(line+" ", "=@ ")]
	near := nearest.Word(word, append(faultWords(), fault.Kinds()...))
	for _, command := range faultWords() {
		if near == command || word == command {
			r.wrong(fmt.Errorf("unknown command %q: did you mean %s?", line, near))
			return
		}
	}
	r.add(line)
}

// add adds a fault whose window counts from now.
func (r *faultRunner) add(text string) {
	f, err := r.o.parse("the fault", text)
	if err != nil {
		r.wrong(err)
		return
	}
	shown := f.String()
	if f.Trigger() {
		f.Start += time.Since(r.began).Round(time.Millisecond)
	}
	id, err := r.proxy.Add(f)
	if err != nil {
		r.wrong(err)
		return
	}
	r.say("added %d  %s", id, r.io.ErrPalette().Warn(shown))
}

func (r *faultRunner) remove(text string) {
	id, err := strconv.Atoi(text)
	if err != nil || !r.proxy.Remove(id) {
		r.wrong(fmt.Errorf("there is no fault %q: remove takes a number that list shows", text))
		return
	}
	r.say("removed %d", id)
}

func (r *faultRunner) list() {
	faults := r.proxy.Faults()
	if len(faults) == 0 {
		r.io.Notef("  no faults: everything is passed on")
	}
	for _, a := range faults {
		r.io.Notef("  %d  %s  %s", a.ID, a.Fault, r.io.ErrPalette().Dim(r.state(a)))
	}
}

// state says whether a fault acts just now.
func (r *faultRunner) state(a fault.Active) string {
	switch passed := time.Since(r.began); {
	case a.Removed:
		return "removed"
	case a.Acting && a.Fault.Length > 0:
		return "acts, for another " + seconds(a.Fault.Start+a.Fault.Length-passed)
	case a.Acting:
		return "acts"
	case passed < a.Fault.Start:
		return "begins in " + seconds(a.Fault.Start-passed)
	}
	return "is over"
}

// say prints a line with the time since the start.
func (r *faultRunner) say(format string, args ...any) {
	r.io.Notef("%5.0fs  %s", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

func (r *faultRunner) wrong(err error) { r.io.Notef("%s %v", r.io.ErrPalette().Bad("error:"), err) }

// second prints what has happened since the line before, if anything has.
func (r *faultRunner) second() {
	now, before := r.proxy.Stats(), r.last
	r.last = now
	r.windows(before.Faults, now.Faults)
	var parts []string
	part := func(now, before uint64, what string) {
		if now > before {
			parts = append(parts, what+" +"+decimal(now-before))
		}
	}
	part(now.Connections, before.Connections, "connections")
	part(now.Unreachable, before.Unreachable, r.o.target.Name()+" unreachable")
	part(now.Messages, before.Messages, r.messages())
	part(now.Replies, before.Replies, "replies")
	for i, a := range now.Faults {
		var was fault.Active
		if i < len(before.Faults) && before.Faults[i].ID == a.ID {
			was = before.Faults[i]
		}
		part(a.Hit+comingBack(a), was.Hit+comingBack(was), r.io.ErrPalette().Warn(string(a.Fault.Kind))+" (fault "+strconv.Itoa(a.ID)+")")
	}
	if len(parts) > 0 {
		r.say("%s", strings.Join(parts, "  "))
	}
}

// comingBack counts the replies that a fault was done to, beside the messages; of
// drop-reply they are the answers to those.
func comingBack(a fault.Active) uint64 {
	if a.Fault.Kind == fault.DropReply {
		return 0
	}
	return a.Replies
}

// windows tells of the faults that have begun or ended.
func (r *faultRunner) windows(before, now []fault.Active) {
	was := map[int]bool{}
	for _, a := range before {
		was[a.ID] = a.Acting
	}
	for _, a := range now {
		switch {
		case !a.Fault.Trigger() || a.Removed || a.Acting == was[a.ID]:
		case a.Acting:
			r.say("fault %d begins  %s", a.ID, r.io.ErrPalette().Warn(a.Fault.String()))
		default:
			r.say("fault %d is over", a.ID)
		}
	}
}

// messages is what is counted.
func (r *faultRunner) messages() string {
	if r.o.raw {
		return "reads"
	}
	return "messages"
}

// summary is what has been done since the start.
func (r *faultRunner) summary() string {
	stats := r.proxy.Stats()
	var b strings.Builder
	_, port, _ := net.SplitHostPort(r.proxy.Addr()) // it is one
	fmt.Fprintf(&b, "fault proxy :%s before %s for %s, seed %d\n", port, r.o.target.Name(), seconds(time.Since(r.began)), r.o.seed)
	row := func(name string, n uint64, note string) {
		fmt.Fprintf(&b, "  %-12s %10s  %s\n", name, decimal(n), note)
	}
	row(r.messages(), stats.Messages, "from clients")
	row("replies", stats.Replies, "from the service")
	row("connections", stats.Connections, fmt.Sprintf("%d open", stats.Open))
	if stats.Unreachable > 0 {
		row("turned away", stats.Unreachable, "because "+r.o.target.Name()+" could not be reached")
	}
	for _, a := range stats.Faults {
		note := fmt.Sprintf("of %d hit by %s", a.Matched, a.Fault)
		if comingBack(a) > 0 {
			note = fmt.Sprintf("of %d, and %d coming back, hit by %s", a.Matched, a.Replies, a.Fault)
		}
		if a.Removed {
			note += " (removed)"
		}
		row("fault "+strconv.Itoa(a.ID), a.Hit, note)
	}
	return b.String()
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
