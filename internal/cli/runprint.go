package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// runPrinter prints the events of a run, one at a time, so that no line is torn.
type runPrinter struct {
	io       *term.IO
	json     bool
	noWatch  bool
	detached bool // the run goes on in the background
	out, err term.Palette
	work     *workspace.Workspace
	services []proc.Service
	number   map[string]int // of a service in the workspace, for its colour
	width    int            // of the longest name
	took     map[string]time.Duration
	served   map[string]bool
	where    map[string]string // of services, when they have told
	unasked  map[string]bool   // ready, as far as one knows
	brokers  map[string]bool   // that are started for the run
	loud     bool              // shows also what is of use only to those who look for it
}

func newRunPrinter(s *term.IO, o runOptions, w *workspace.Workspace, services []proc.Service) *runPrinter {
	p := &runPrinter{
		io: s, json: o.log == logJSON, noWatch: o.noWatch, out: s.OutPalette(), err: s.ErrPalette(), work: w, services: services,
		number: map[string]int{}, took: map[string]time.Duration{}, served: map[string]bool{}, where: map[string]string{}, unasked: map[string]bool{},
		brokers: map[string]bool{},
	}
	for i, name := range w.Names() {
		p.number[name] = i
	}
	p.width = len(own)
	for _, service := range services {
		p.width = max(p.width, len(service.Name))
		if s := w.Service(service.Name); s != nil && s.Transport.Broker() {
			p.width = max(p.width, len(proc.BrokerName(w, s.Transport)))
		}
	}
	for i, t := range workspace.Brokers() {
		p.number[proc.BrokerName(w, t)] = len(w.Services) + i
	}
	return p
}

// follow prints events until there are no more.
func (p *runPrinter) follow(events <-chan proc.Event) {
	for e := range events {
		p.one(e)
	}
}

func (p *runPrinter) one(e proc.Event) {
	if p.json {
		p.printJSON(e)
	} else {
		p.print(e)
	}
}

// print prints an event for people.
func (p *runPrinter) print(e proc.Event) {
	switch e.Kind {
	case proc.KindLog:
		if e.Quiet && !p.loud {
			return
		}
		fmt.Fprintf(p.io.Out, "%s%s\n", p.prefix(p.out, e.Service), cleanLine(e.Text, p.out.Enabled()))
	case proc.KindAllReady:
		p.summary(e)
	case proc.KindBuildFailed:
		for line := range strings.SplitSeq(e.Text, "\n") {
			p.note(e, line)
		}
		p.note(e, p.err.Bad("✗ does not build")+p.keeps(e))
	default:
		if text := p.words(e); text != "" {
			p.note(e, text)
		}
	}
}

// words is what msctl says of an event, "" for nothing.
func (p *runPrinter) words(e proc.Event) string {
	c := p.err
	switch e.Kind {
	case proc.KindBuilding:
		return c.Dim("building")
	case proc.KindBuilt:
		return c.Dim("built in " + seconds(e.Took))
	case proc.KindUnchanged:
		return c.Dim("built in " + seconds(e.Took) + ": the same program, nothing to do")
	case proc.KindReady:
		p.took[e.Service], p.served[e.Service], p.where[e.Service] = e.Took, true, e.URL
		if e.Text != "" {
			p.unasked[e.Service] = true
			return c.Good("✓ runs") + c.Dim(fmt.Sprintf(", pid %d; %s", e.Pid, e.Text))
		}
		return c.Good("✓ ready") + " in " + seconds(e.Took) + c.Dim(fmt.Sprintf(", pid %d", e.Pid))
	case proc.KindSwapped:
		if e.Text != "" {
			return c.Good("✓ swapped") + c.Dim(fmt.Sprintf(", pid %d; %s", e.Pid, e.Text))
		}
		return c.Good("✓ swapped") + ": the new one answered in " + seconds(e.Took) + c.Dim(fmt.Sprintf(", pid %d", e.Pid))
	case proc.KindNotReady:
		return c.Bad("✗ the new one "+e.Text) + p.keeps(e)
	case proc.KindCrashed:
		again := ""
		if e.Delay > 0 {
			again = c.Dim("; it is started again in " + seconds(e.Delay))
		}
		return c.Bad("✗ "+e.Text) + again
	case proc.KindChanged:
		return c.Dim("changed: " + list(e.Paths, 3))
	case proc.KindPaused:
		return c.Warn("paused for "+e.Delay.String()) + c.Dim(fmt.Sprintf(", pid %d", e.Pid))
	case proc.KindContinued:
		return c.Good("continued") + c.Dim(fmt.Sprintf(" after %s, pid %d", seconds(e.Took), e.Pid))
	case proc.KindStopping:
		if p.brokers[e.Service] {
			return ""
		}
		return c.Dim(fmt.Sprintf("draining, pid %d", e.Pid))
	case proc.KindStopped:
		return c.Dim(fmt.Sprintf("stopped in %s, pid %d", seconds(e.Took), e.Pid))
	case proc.KindKilled:
		return c.Warn(fmt.Sprintf("killed after %s, pid %d", seconds(e.Took), e.Pid))
	case proc.KindBroker:
		p.brokers[e.Service] = e.Service != ""
		return e.Text
	case proc.KindWarning:
		return c.Warn("! " + e.Text)
	}
	return ""
}

// keeps says that the old process of a service goes on serving.
func (p *runPrinter) keeps(e proc.Event) string {
	if !p.served[e.Service] {
		return ""
	}
	return p.err.Dim("; the old one goes on serving")
}

func (p *runPrinter) note(e proc.Event, text string) {
	p.io.Notef("%s%s", p.prefix(p.err, e.Service), text)
}

// own is the prefix of what concerns all services.
const own = "msctl"

func (p *runPrinter) prefix(c term.Palette, service string) string {
	if service == "" {
		return c.Bold(fmt.Sprintf("%-*s", p.width, own)) + c.Dim(" │ ")
	}
	return c.Service(p.number[service], fmt.Sprintf("%-*s", p.width, service)) + c.Dim(" │ ")
}

// summary is printed once, when all answer: where everything is.
func (p *runPrinter) summary(e proc.Event) {
	c := p.err
	var b strings.Builder
	fmt.Fprintf(&b, "\n  %s in %s\n\n", c.Good(p.work.Name+" is ready"), seconds(e.Took))
	longest := 0
	for _, s := range p.services {
		longest = max(longest, len(p.shown(s)))
	}
	for _, s := range p.services {
		name := c.Service(p.number[s.Name], fmt.Sprintf("%-*s", p.width, s.Name))
		how := "answered in " + seconds(p.took[s.Name])
		if p.unasked[s.Name] {
			how = "runs"
		}
		fmt.Fprintf(&b, "  %s  %-*s  %s\n", name, longest, p.shown(s), c.Dim(how))
	}
	for _, s := range p.services {
		if s.Kind == workspace.KindGateway && s.Go {
			fmt.Fprintf(&b, "\n  API   %s\n  docs  %s\n", c.Accent(p.shown(s)), c.Accent(p.shown(s)+docsPath))
		}
	}
	how := "Changes are rebuilt and swapped in; Ctrl-C stops."
	switch {
	case p.detached:
		how = "It runs in the background: msctl ps, msctl logs -f, msctl stop."
	case p.noWatch:
		how = "Ctrl-C stops."
	}
	p.io.Notef("%s\n  %s\n", b.String(), c.Dim(how))
}

// docsPath is where a gateway of ours shows its API.
const docsPath = "/api"

// shown is a service's URL as one types it.
func (p *runPrinter) shown(s proc.Service) string {
	if where := p.where[s.Name]; where != "" {
		s.URL = where
	}
	return typed(s.URL)
}

func typed(address string) string { return strings.Replace(address, "//127.0.0.1:", "//localhost:", 1) }

// runLine is one line of --log json.
type runLine struct {
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

func (p *runPrinter) printJSON(e proc.Event) {
	line := runLine{
		Time: e.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"), Event: e.Kind, Service: e.Service, Stream: e.Stream,
		Pid: e.Pid, TookMS: milliseconds(e.Took), DelayMS: milliseconds(e.Delay), Paths: e.Paths, URL: e.URL, Quiet: e.Quiet,
	}
	if e.Text != "" || e.Kind == proc.KindLog {
		line.Text = &e.Text
	}
	encoder := json.NewEncoder(p.io.Out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		p.io.Notef("print an event: %v", err)
	}
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}

// seconds is a duration for people: two digits that matter.
func seconds(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

func list(words []string, most int) string {
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}
