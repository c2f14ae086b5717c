package measure

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
)

// faultRunner is a running `msctl fault`. It is used by one goroutine.
type faultRunner struct {
	io    *term.IO
	o     faultOptions
	proxy *fault.Proxy
	began time.Time
	last  fault.Stats // at the previous line
}

// runFault runs the proxy until ctx ends or `quit` is entered, and prints the counts.
func runFault(ctx context.Context, s *term.IO, o faultOptions) error {
	proxy, err := fault.Start(context.WithoutCancel(ctx), fault.Options{ // Close ends it, after the counts are read
		Listen: o.listen, Target: o.target.Addresses, TLS: o.tls, Seed: o.seed, Raw: o.raw, Faults: o.faults,
	})
	if err != nil {
		return exit.InUse(err)
	}
	r := &faultRunner{io: s, o: o, proxy: proxy, began: time.Now()}
	proxy.Begin(r.began)
	r.introduce()
	lines, release := s.Lines()
	defer release()
	r.loop(ctx, lines)
	fmt.Fprint(s.Out, r.summary())
	return proxy.Close()
}

func (r *faultRunner) introduce() {
	c := r.io.ErrPalette()
	r.io.Notef("%s %s forwards to %s", c.Good("✓"), r.address(), r.o.target.Name())
	for _, a := range r.proxy.Faults() {
		r.io.Notef("  %d  %s", a.ID, c.Warn(a.Fault.String()))
	}
	if r.io.Facts().StdinTTY {
		r.io.Notef("  %s", c.Dim("type a fault, list, remove 1, clear, stats, help, or quit (or Ctrl-C)"))
	}
	r.last = r.proxy.Stats()
}

// address returns the proxy's address as clients would write their target.
func (r *faultRunner) address() string {
	scheme := target.SchemeTCP
	if r.o.target.Broker != nil {
		scheme = r.o.target.Scheme
	}
	return scheme + "://" + r.proxy.Addr()
}

// loop runs until ctx ends or `quit` is entered.
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
				lines = nil // no more input; the proxy keeps running
				continue
			}
			if quit := r.command(strings.TrimSpace(line)); quit {
				return
			}
		}
	}
}

// faultCommands is what help prints.
const faultCommands = `  FAULT      add a fault, its times relative to now: error=20%, stall@0s+4s
  list       list the faults and their numbers
  remove 1   remove a fault
  clear      remove all faults
  stats      print the counts so far
  quit       stop`

// faultWords are the names of the commands.
func faultWords() []string {
	return []string{"add", "list", "remove", "clear", "stats", "help", "quit"}
}

// command executes a line of standard input.
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
		r.log("%s removed", term.Count(n, "fault"))
	case word == "remove":
		r.remove(rest)
	case word == "add":
		r.add(rest)
	default:
		r.addOrReject(line)
	}
	return false
}

// addOrReject adds a line as a fault, unless it looks more like a command.
func (r *faultRunner) addOrReject(line string) {
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

// add adds a fault whose window is relative to now.
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
	r.log("added %d  %s", id, r.io.ErrPalette().Warn(shown))
}

func (r *faultRunner) remove(text string) {
	id, err := strconv.Atoi(text)
	if err != nil || !r.proxy.Remove(id) {
		r.wrong(fmt.Errorf("no fault %q: enter a number shown by list", text))
		return
	}
	r.log("removed %d", id)
}

func (r *faultRunner) list() {
	faults := r.proxy.Faults()
	if len(faults) == 0 {
		r.io.Notef("  no faults: everything is forwarded")
	}
	for _, a := range faults {
		r.io.Notef("  %d  %s  %s", a.ID, a.Fault, r.io.ErrPalette().Dim(r.state(a)))
	}
}

// state describes whether a fault is active.
func (r *faultRunner) state(a fault.Active) string {
	switch passed := time.Since(r.began); {
	case a.Removed:
		return "removed"
	case a.Acting && a.Fault.Length > 0:
		return "active for another " + term.Duration(a.Fault.Start+a.Fault.Length-passed)
	case a.Acting:
		return "active"
	case passed < a.Fault.Start:
		return "starts in " + term.Duration(a.Fault.Start-passed)
	}
	return "ended"
}

// log prints a line with the time since the start.
func (r *faultRunner) log(format string, args ...any) {
	r.io.Notef("%5.0fs  %s", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

func (r *faultRunner) wrong(err error) { r.io.Notef("%s %v", r.io.ErrPalette().Bad("error:"), err) }

// second prints the changes since the previous line, if there are any.
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
		part(a.Hit+backward(a), was.Hit+backward(was), r.io.ErrPalette().Warn(string(a.Fault.Kind))+" (fault "+strconv.Itoa(a.ID)+")")
	}
	if len(parts) > 0 {
		r.log("%s", strings.Join(parts, "  "))
	}
}

// backward returns how many replies a fault affected in addition to the messages.
// drop-reply affects the replies to its messages, which are not counted twice.
func backward(a fault.Active) uint64 {
	if a.Fault.Kind == fault.DropReply {
		return 0
	}
	return a.Replies
}

// windows prints the faults that have started or ended.
func (r *faultRunner) windows(before, now []fault.Active) {
	was := map[int]bool{}
	for _, a := range before {
		was[a.ID] = a.Acting
	}
	for _, a := range now {
		switch {
		case !a.Fault.Trigger() || a.Removed || a.Acting == was[a.ID]:
		case a.Acting:
			r.log("fault %d started  %s", a.ID, r.io.ErrPalette().Warn(a.Fault.String()))
		default:
			r.log("fault %d ended", a.ID)
		}
	}
}

// messages names what is counted.
func (r *faultRunner) messages() string {
	if r.o.raw {
		return "reads"
	}
	return "messages"
}

// summary returns the counts since the start.
func (r *faultRunner) summary() string {
	stats := r.proxy.Stats()
	var b strings.Builder
	_, port, _ := net.SplitHostPort(r.proxy.Addr()) // always valid
	fmt.Fprintf(&b, "fault proxy :%s in front of %s, ran for %s, seed %d\n", port, r.o.target.Name(), term.Duration(time.Since(r.began)), r.o.seed)
	row := func(name string, n uint64, note string) {
		fmt.Fprintf(&b, "  %-12s %10s  %s\n", name, decimal(n), note)
	}
	row(r.messages(), stats.Messages, "from clients")
	row("replies", stats.Replies, "from the service")
	row("connections", stats.Connections, fmt.Sprintf("%d open", stats.Open))
	if stats.Unreachable > 0 {
		row("rejected", stats.Unreachable, r.o.target.Name()+" could not be reached")
	}
	for _, a := range stats.Faults {
		note := fmt.Sprintf("of %d affected by %s", a.Matched, a.Fault)
		if backward(a) > 0 {
			note = fmt.Sprintf("of %d, and %d replies, affected by %s", a.Matched, a.Replies, a.Fault)
		}
		if a.Removed {
			note += " (removed)"
		}
		row("fault "+strconv.Itoa(a.ID), a.Hit, note)
	}
	return b.String()
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
