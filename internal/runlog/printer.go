// Package runlog prints the events of `msctl run` as text or as JSON lines, and reads
// the JSON lines back from the log of a run in the background.
package runlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/workspace"
)

// Printer prints the events of a run. It must not be used concurrently, so lines stay
// intact.
type Printer struct {
	io       *term.IO
	o        Options
	out, err term.Palette
	work     *workspace.Workspace
	services []proc.Service
	number   map[string]int // of a service in the workspace, for its color
	width    int            // of the longest name
	took     map[string]time.Duration
	served   map[string]bool
	url      map[string]string // of services that have reported one
	unasked  map[string]bool   // ready, but not verified
	at       time.Time         // of the event that is printed
	brokers  map[string]bool   // started for the run
}

// Options configure a [Printer]. The zero value prints text.
type Options struct {
	JSON     bool // print JSON lines
	NoWatch  bool // the run does not rebuild on change
	FailFast bool // the run ends if a service does not start
	Detached bool // the run continues in the background
	Past     bool // the events are read from a log
	All      bool // print quiet lines as well
	Times    bool // print the time of each line
	// File is the log that standard output is, or nil if it is not limited.
	File *File
}

// New returns a printer for the events of services.
func New(s *term.IO, w *workspace.Workspace, services []proc.Service, o Options) *Printer {
	p := &Printer{
		io: s, o: o, out: s.OutPalette(), err: s.ErrPalette(), work: w, services: services,
		number: map[string]int{}, took: map[string]time.Duration{}, served: map[string]bool{}, url: map[string]string{}, unasked: map[string]bool{},
		brokers: map[string]bool{},
	}
	for i, name := range w.Names() {
		p.number[name] = i
	}
	p.width = len(own)
	for _, service := range services {
		p.width = max(p.width, len(service.Name))
		if s := w.Service(service.Name); s != nil && s.Transport.Broker() {
			p.width = max(p.width, len(broker.Name(w, s.Transport)))
		}
	}
	for i, t := range workspace.Brokers() {
		p.number[broker.Name(w, t)] = len(w.Services) + i
	}
	p.learn()
	return p
}

// learn finds the credentials in msctl.yaml, so that they are masked in the log.
func (p *Printer) learn() {
	add := func(env map[string]string) {
		for name, value := range env {
			p.io.Secrets().LearnEnvironment([]string{name + "=" + value})
		}
	}
	p.io.Secrets().LearnEnvironment(p.work.Local.Environ())
	add(p.work.Env)
	for _, s := range p.work.Services {
		add(s.Env)
	}
	for _, address := range p.work.Brokers {
		p.io.Secrets().Learn(address)
	}
}

// PrintAll prints events until the channel is closed.
func (p *Printer) PrintAll(events <-chan proc.Event) {
	for e := range events {
		p.Print(e)
	}
}

// Prints reports whether an event is printed.
func (p *Printer) Prints(e proc.Event) bool {
	switch {
	case p.o.JSON:
		return true
	case e.Quiet && !p.o.All, e.Kind == proc.KindStarting:
		return false
	}
	return true
}

// Print prints one event, without credentials.
func (p *Printer) Print(e proc.Event) {
	e.Text = p.io.Secrets().Mask(e.Text)
	p.at = e.Time
	if p.o.JSON {
		p.printJSON(e)
	} else {
		p.text(e)
	}
}

// text prints an event as text.
func (p *Printer) text(e proc.Event) {
	if e.Kind == proc.KindAllReady {
		p.summary(e)
		return
	}
	for _, line := range p.lines(e, p.out) {
		if e.Kind == proc.KindLog {
			fmt.Fprintf(p.io.Out, "%s%s\n", p.prefix(p.out, e.Service), line)
		} else {
			p.note(e, line)
		}
	}
}

// Lines returns an event as lines for a screen on standard error: without the name of the
// service, credentials, and control characters other than colors. It must not be mixed with
// Print. An event that Print does not print has no lines.
func (p *Printer) Lines(e proc.Event) []string {
	e.Text = p.io.Secrets().Mask(e.Text)
	if e.Kind == proc.KindAllReady {
		return []string{p.err.Good(p.work.Name+" is ready") + " in " + term.Duration(e.Took)}
	}
	return p.lines(e, p.err)
}

// lines returns the lines of an event; logs is the palette of what services log.
func (p *Printer) lines(e proc.Event, logs term.Palette) []string {
	if e.Kind == proc.KindLog {
		if e.Quiet && !p.o.All {
			return nil
		}
		text := visible.Log(e.Text, logs.Enabled())
		if shown, ok := readable(text, e.Service, logs); ok {
			text = shown
		}
		return []string{text}
	}
	e.Text = visible.Log(e.Text, p.err.Enabled())
	switch {
	case e.Kind == proc.KindBuildFailed:
		return append(strings.Split(e.Text, "\n"), p.err.Bad("✗ build failed")+p.stillServing(e))
	case e.Kind == proc.KindFailed && e.Quiet && !p.o.All:
		return nil
	}
	if text := p.words(e); text != "" {
		return []string{text}
	}
	return nil
}

// words describes an event; "" for nothing.
func (p *Printer) words(e proc.Event) string {
	c := p.err
	switch e.Kind {
	case proc.KindBuilding:
		return c.Dim("building")
	case proc.KindBuilt:
		return c.Dim("built in " + term.Duration(e.Took))
	case proc.KindUnchanged:
		return c.Dim("built in " + term.Duration(e.Took) + ", unchanged")
	case proc.KindReady:
		p.took[e.Service], p.served[e.Service], p.url[e.Service] = e.Took, true, e.URL
		if e.Text != "" {
			p.unasked[e.Service] = true
			return c.Good("✓ running") + c.Dim(fmt.Sprintf(", pid %d; %s", e.Pid, e.Text))
		}
		return c.Good("✓ ready") + " in " + term.Duration(e.Took) + c.Dim(fmt.Sprintf(", pid %d", e.Pid))
	case proc.KindSwapped:
		if e.Text != "" {
			return c.Good("✓ swapped") + c.Dim(fmt.Sprintf(", pid %d; %s", e.Pid, e.Text))
		}
		return c.Good("✓ swapped") + ": ready in " + term.Duration(e.Took) + c.Dim(fmt.Sprintf(", pid %d", e.Pid))
	case proc.KindNotReady:
		return c.Bad("✗ new process: "+e.Text) + p.stillServing(e)
	case proc.KindCrashed:
		restart := ""
		if e.Delay > 0 {
			restart = c.Dim("; restarting in " + term.Duration(e.Delay))
		}
		return c.Bad("✗ "+e.Text) + restart
	case proc.KindFailed:
		next := "; still waiting for it"
		if e.Delay > 0 {
			next = "; trying again in " + term.Duration(e.Delay)
		}
		return c.Bad("✗ "+e.Text) + c.Dim(next)
	case proc.KindWaiting:
		return c.Warn("waiting for " + e.Text)
	case proc.KindPartlyReady:
		return c.Warn("! "+e.Text) + c.Dim("; msctl continues when it is fixed")
	case proc.KindEnding:
		if p.o.Detached || p.o.Past {
			return c.Dim("stopping")
		}
		return "stopping" + c.Dim("; press Ctrl-C again to kill the services")
	case proc.KindKilling:
		return c.Warn("killing all services")
	case proc.KindChanged:
		return c.Dim("changed: " + visible.Line(term.List(e.Paths, 3)))
	case proc.KindWorkspace:
		return c.Dim("changed: " + visible.Line(term.List(e.Paths, 3)))
	case proc.KindHalted:
		return c.Warn("stopped on request") + c.Dim("; it stays stopped until it is started")
	case proc.KindPaused:
		return c.Warn("paused for "+e.Delay.String()) + c.Dim(fmt.Sprintf(", pid %d", e.Pid))
	case proc.KindContinued:
		return c.Good("continued") + c.Dim(fmt.Sprintf(" after %s, pid %d", term.Duration(e.Took), e.Pid))
	case proc.KindStopping:
		if p.brokers[e.Service] {
			return ""
		}
		return c.Dim(fmt.Sprintf("draining, pid %d", e.Pid))
	case proc.KindStopped:
		return c.Dim(fmt.Sprintf("stopped in %s, pid %d", term.Duration(e.Took), e.Pid))
	case proc.KindKilled:
		return c.Warn(fmt.Sprintf("killed after %s, pid %d", term.Duration(e.Took), e.Pid))
	case proc.KindDebugger:
		return "debugger at " + c.Accent(e.URL) + c.Dim(", "+e.Text)
	case proc.KindBroker:
		p.brokers[e.Service] = e.Service != ""
		return e.Text
	case proc.KindNote:
		return c.Dim(visible.Line(e.Text))
	case proc.KindWarning:
		return c.Warn("! " + e.Text)
	}
	return ""
}

// stillServing adds that the previous process of a service keeps serving or, if there is
// none, that the service waits for a change.
func (p *Printer) stillServing(e proc.Event) string {
	switch {
	case p.served[e.Service]:
		return p.err.Dim("; still serving the previous build")
	case p.o.FailFast || p.o.NoWatch:
		return ""
	}
	return p.err.Dim("; waiting for a change")
}

func (p *Printer) note(e proc.Event, text string) {
	p.io.Notef("%s%s", p.prefix(p.err, e.Service), text)
}

// own is the prefix of lines about all services.
const own = "msctl"

func (p *Printer) prefix(c term.Palette, service string) string {
	if p.o.Times {
		return c.Dim(p.at.Local().Format("2006-01-02 15:04:05.000 ")) + p.column(c, service)
	}
	return p.column(c, service)
}

// column returns the column with the name of a service.
func (p *Printer) column(c term.Palette, service string) string {
	if service == "" {
		return c.Bold(fmt.Sprintf("%-*s", p.width, own)) + c.Dim(" │ ")
	}
	return c.Service(p.number[service], fmt.Sprintf("%-*s", p.width, service)) + c.Dim(" │ ")
}

// summary is printed once, when all services are ready. It lists their addresses.
func (p *Printer) summary(e proc.Event) {
	c := p.err
	var b strings.Builder
	fmt.Fprintf(&b, "\n  %s in %s\n\n", c.Good(p.work.Name+" is ready"), term.Duration(e.Took))
	longest := 0
	for _, s := range p.services {
		longest = max(longest, len(p.shown(s)))
	}
	for _, s := range p.services {
		name := c.Service(p.number[s.Name], fmt.Sprintf("%-*s", p.width, s.Name))
		how := "ready in " + term.Duration(p.took[s.Name])
		if p.unasked[s.Name] {
			how = "running"
		}
		fmt.Fprintf(&b, "  %s  %-*s  %s\n", name, longest, p.shown(s), c.Dim(how))
	}
	for _, s := range p.services {
		if s.Kind == workspace.KindGateway && s.Go {
			fmt.Fprintf(&b, "\n  API   %s\n  docs  %s\n", c.Accent(p.shown(s)), c.Accent(p.shown(s)+docsPath))
		}
	}
	how := "Changed services are rebuilt and replaced. Press Ctrl-C to stop."
	switch {
	case p.o.Detached:
		how = "Running in the background: see msctl ps, msctl logs -f, and msctl stop."
	case p.o.NoWatch:
		how = "Press Ctrl-C to stop."
	}
	p.io.Notef("%s\n  %s\n", b.String(), c.Dim(how))
}

// docsPath is the path of the API documentation of an msctl gateway.
const docsPath = "/api"

// DocsURL returns the address of the API documentation of a service that has some, or "".
func DocsURL(s proc.Service) string {
	if s.Kind != workspace.KindGateway || !s.Go {
		return ""
	}
	return Localhost(s.URL) + docsPath
}

// shown returns the URL of a service for the user.
func (p *Printer) shown(s proc.Service) string {
	if url := p.url[s.Name]; url != "" {
		s.URL = url
	}
	return Localhost(s.URL)
}

// Localhost replaces 127.0.0.1 by localhost in an address.
func Localhost(address string) string {
	return strings.Replace(address, "//127.0.0.1:", "//localhost:", 1)
}

// line is one line of --log json.
type line struct {
	Time    string    `json:"time"`
	Event   proc.Kind `json:"event"`
	Service string    `json:"service,omitempty"`
	Stream  string    `json:"stream,omitempty"`
	Text    *string   `json:"text,omitempty"`
	Pid     int       `json:"pid,omitempty"`
	TookMS  float64   `json:"tookMs,omitempty"`
	DelayMS float64   `json:"delayMs,omitempty"`
	Paths   []string  `json:"paths,omitempty"`
	URL     string    `json:"url,omitempty"`
	Quiet   bool      `json:"quiet,omitempty"`
}

func (p *Printer) printJSON(e proc.Event) {
	l := line{
		Time: e.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"), Event: e.Kind, Service: e.Service, Stream: e.Stream,
		Pid: e.Pid, TookMS: milliseconds(e.Took), DelayMS: milliseconds(e.Delay), Paths: e.Paths, URL: e.URL, Quiet: e.Quiet,
	}
	if e.Text != "" || e.Kind == proc.KindLog {
		l.Text = &e.Text
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(l); err != nil {
		p.io.Notef("print an event: %v", err)
		return
	}
	n, _ := p.io.Out.Write(visible.JSON(text.Bytes())) // the run continues without its log
	p.o.File.wrote(n)
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}
