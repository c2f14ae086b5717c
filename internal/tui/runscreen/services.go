package runscreen

import (
	"cmp"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/proc/usage"
	"github.com/msctl/msctl/internal/runlog"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/tui"
)

// build is the last build of a service.
type build struct {
	state proc.Kind // KindBuilding, KindBuilt, KindUnchanged, KindBuildFailed; "" without a build
	took  time.Duration
	at    time.Time
}

// service is what the screen shows of a service, or of a broker of the run.
type service struct {
	proc.Service // zero for a broker, apart from its name

	status proc.ServiceStatus
	starts int // of processes
	build  build
	usage  *usage.Usage // nil if it is not known
}

// services are the services of a run in the order of their start.
type services struct {
	all      []*service
	number   map[string]int // for the color
	selected int
}

// set replaces the services, and keeps what is known of those that stay.
func (l *services) set(list []proc.Service) {
	var all []*service
	for _, s := range list {
		one := l.named(s.Name)
		if one == nil {
			one = &service{status: proc.ServiceStatus{Name: s.Name, State: proc.StateWaiting, URL: s.URL}}
		}
		one.Service = s
		all = append(all, one)
	}
	l.all = all
	l.selected = min(l.selected, max(len(all)-1, 0))
	l.renumber()
}

func (l *services) renumber() {
	l.number = map[string]int{}
	for i, s := range l.all {
		l.number[s.Name] = i
	}
}

func (l *services) named(name string) *service {
	for _, s := range l.all {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// current returns the selected service, or nil.
func (l *services) current() *service {
	if l.selected >= len(l.all) {
		return nil
	}
	return l.all[l.selected]
}

func (l *services) move(by int) {
	l.selected = min(max(l.selected+by, 0), max(len(l.all)-1, 0))
}

// note takes from an event what the status does not have.
func (l *services) note(e proc.Event) {
	s := l.named(e.Service)
	if s == nil {
		return
	}
	switch e.Kind {
	case proc.KindStarting:
		s.starts++
	case proc.KindBuilding, proc.KindBuilt, proc.KindUnchanged, proc.KindBuildFailed:
		s.build = build{e.Kind, e.Took, e.Time}
	}
}

// update takes the status of the run. Brokers that were started for it are listed first.
func (l *services) update(status proc.Status) {
	for i, now := range status.Services {
		s := l.named(now.Name)
		if s == nil {
			s = &service{Service: proc.Service{Name: now.Name}}
			at := min(i, len(l.all))
			l.all = append(l.all[:at:at], append([]*service{s}, l.all[at:]...)...)
			if l.selected >= at && len(l.all) > 1 {
				l.selected++
			}
			l.renumber()
		}
		if now.Pid != s.status.Pid {
			s.usage = nil
		}
		s.status = now
	}
}

// measure takes what process groups use, by their leader.
func (l *services) measure(found map[int]usage.Usage) {
	for _, s := range l.all {
		s.usage = nil
		if u, ok := found[s.status.Pid]; ok && s.status.Pid != 0 {
			s.usage = &u
		}
	}
}

// groups returns the leaders of the process groups.
func (l *services) groups() (pids []int) {
	for _, s := range l.all {
		if s.status.Pid != 0 {
			pids = append(pids, s.status.Pid)
		}
	}
	return pids
}

// ready counts the services that are ready, without brokers.
func (l *services) ready() (n, of int) {
	for _, s := range l.all {
		if s.status.RunsBroker {
			continue
		}
		of++
		if s.status.State == proc.StateReady || s.status.State == proc.StatePaused {
			n++
		}
	}
	return n, of
}

const unknown = "–"

// stateSpan returns the state with its sign.
func (s *service) stateSpan() tui.Span {
	text := string(s.status.State)
	switch s.status.State {
	case proc.StateReady:
		return tui.Span{Look: tui.Good, Text: "● " + text}
	case proc.StateCrashed, proc.StateFailed:
		return tui.Span{Look: tui.Bad, Text: "✗ " + text}
	case proc.StateWaiting, proc.StateStopped:
		return tui.Span{Look: tui.Dim, Text: "○ " + text}
	case proc.StatePaused:
		return tui.Span{Look: tui.Warn, Text: "‖ " + text}
	}
	return tui.Span{Look: tui.Warn, Text: "◌ " + text}
}

// halted reports whether the service can be started.
func (s *service) halted() bool { return s.status.State == proc.StateStopped }

// since returns how long the state has lasted.
func (s *service) since(now time.Time) string {
	if s.status.Since.IsZero() {
		return ""
	}
	return age(now.Sub(s.status.Since))
}

// age formats a duration in few columns: 12s, 3m20s, 5h2m.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
}

func (s *service) cpu() string {
	if s.usage == nil || s.usage.CPU < 0 {
		return unknown
	}
	return fmt.Sprintf("%.1f%%", 100*s.usage.CPU)
}

func (s *service) memory() string {
	switch {
	case s.usage == nil:
		return unknown
	case s.usage.Memory < 10<<20:
		return fmt.Sprintf("%.1f MB", float64(s.usage.Memory)/(1<<20))
	case s.usage.Memory < 10<<30:
		return fmt.Sprintf("%d MB", s.usage.Memory>>20)
	}
	return fmt.Sprintf("%d GB", s.usage.Memory>>30)
}

// restarts counts the processes after the first one, with the crashes.
func (s *service) restarts() tui.Span {
	text := fmt.Sprint(max(s.starts-1, 0))
	if s.status.Crashes == 0 {
		return tui.Span{Text: text}
	}
	return tui.Span{Look: tui.Warn, Text: text + fmt.Sprintf(", %d✗", s.status.Crashes)}
}

// buildSpan describes the last build.
func (s *service) buildSpan() tui.Span {
	at := s.build.at.Format("15:04:05")
	switch s.build.state {
	case proc.KindBuilding:
		return tui.Span{Look: tui.Warn, Text: "building …"}
	case proc.KindBuildFailed:
		return tui.Span{Look: tui.Bad, Text: "✗ failed " + at}
	case proc.KindBuilt:
		return tui.Span{Text: term.Duration(s.build.took) + " " + at}
	case proc.KindUnchanged:
		return tui.Span{Text: "unchanged " + at}
	}
	return tui.Span{Look: tui.Dim, Text: unknown}
}

// where returns the address of the service or, while it does not serve, why.
func (s *service) where() tui.Span {
	switch {
	case s.status.Problem != "" && s.status.State != proc.StateReady:
		look := tui.Bad
		if s.status.State == proc.StateWaiting {
			look = tui.Dim
		}
		return tui.Span{Look: look, Text: visible.Line(s.status.Problem)}
	case s.status.Debugger != "":
		return tui.Span{Look: tui.Dim, Text: "debugger at " + visible.Line(s.status.Debugger)}
	}
	return tui.Span{Look: tui.Dim, Text: visible.Line(runlog.Localhost(cmp.Or(s.status.URL, s.URL)))}
}
