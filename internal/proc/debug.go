package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/proc/debug"
	"github.com/msctl/msctl/internal/proc/socket"
	"github.com/msctl/msctl/internal/workspace"
)

// A debugger may hold a service for as long as the user looks at it. A service that is
// debugged is therefore never given up because it does not become ready, and two of its
// processes never run at the same time, because they would need the same debug port.

const (
	// leaveTimeout is how long Delve may take to detach from a process that is about to end.
	leaveTimeout = 5 * time.Second
	// ownEnd is how long the end of a process may be noticed later than that of Delve.
	ownEnd = time.Second
)

// DebugPortError reports that the port at which debuggers would attach cannot be opened.
type DebugPortError struct {
	Service string
	Port    int
	Err     *socket.PortError
}

// Error names the service, the port, and its owner if it is known.
func (e *DebugPortError) Error() string { return "debugger of " + e.Err.Error() }

// Unwrap returns the error of the port.
func (e *DebugPortError) Unwrap() error { return e.Err }

// debugAddress returns where debuggers attach, if the service is debugged.
func debugAddress(ports map[string]int, name string) string {
	if ports[name] == 0 {
		return ""
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[name]))
}

// usesDelve reports whether Delve attaches to the processes of the service.
func (u *unit) usesDelve() bool { return u.debugAt != "" && u.spec.Path != "" }

// usesInspector reports whether the Node.js program of the service opens its inspector.
func (u *unit) usesInspector() bool { return u.debugAt != "" && u.spec.Path == "" }

// checkDebugPorts checks that the ports for debuggers are free.
func (s *Supervisor) checkDebugPorts(ctx context.Context) error {
	for _, u := range s.units {
		if u.debugAt == "" {
			continue
		}
		var port *socket.PortError
		if err := socket.CheckFree(ctx, u.spec.Name, u.debugAt); errors.As(err, &port) {
			return &DebugPortError{u.spec.Name, s.options.Debug[u.spec.Name], port}
		}
	}
	return nil
}

// delve is the Delve of one process.
type delve struct {
	leave chan struct{} // closed when the process is about to be asked to end
	left  chan struct{} // closed when Delve has detached or the process has ended
}

// attach starts Delve for a process, and keeps it running: a debugger can end it.
func (s *service) attach(ctx context.Context, p *process) {
	ctx = context.WithoutCancel(ctx)
	p.delve = &delve{make(chan struct{}), make(chan struct{})}
	program := s.program
	s.helpers.Go(func() {
		defer close(p.delve.left)
		for again := p.runs(program); again; {
			again = s.runDelve(ctx, p)
		}
	})
}

// runs waits until the process is the program of the service, and not the one that makes it
// traceable. It returns false if the process ends or is about to end.
func (p *process) runs(program string) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.Exited:
			return false
		case <-p.delve.leave:
			return false
		case <-tick.C:
			if debug.Runs(p.Pid, program) {
				return true
			}
		}
	}
}

// detach makes Delve leave a process that is about to end, so that it drains even if it is
// stopped at a breakpoint.
func (p *process) detach() {
	if p.delve != nil {
		close(p.delve.leave)
		<-p.delve.left
	}
}

// runDelve runs Delve until it ends or has to leave the process. It reports whether the
// process can be attached to again.
func (s *service) runDelve(ctx context.Context, p *process) (again bool) {
	d, err := s.run.launcher.Start(ctx, child.Command{
		Dir: s.dir, Env: os.Environ(), Words: debug.DelveWords(s.run.options.Delve, s.debugAt, p.Pid), Line: func(string, string) {},
	})
	if err != nil {
		s.emit(Event{Kind: KindWarning, Text: "no debugger: " + err.Error()})
		return false
	}
	ctx, cancel := context.WithCancel(ctx)
	attached, lost := false, make(chan struct{})
	go func() {
		defer close(lost)
		_ = debug.Watch(ctx, s.debugAt, func() { // how it ends makes no difference
			attached = true
			s.emit(Event{Kind: KindDebugger, Pid: p.Pid, Text: "Delve", URL: s.debugAt})
		}, func() {
			s.emit(Event{Kind: KindWarning, Text: "stopped at a panic, before it prints it: a debugger shows it, or lets it continue"})
		})
	}()
	select {
	case <-d.Exited:
	case <-lost: // a debugger has made it detach
		d.Interrupt(leaveTimeout, s.run.killed)
	case <-p.delve.leave:
		d.Interrupt(leaveTimeout, s.run.killed)
	case <-p.Exited:
	}
	cancel()
	<-lost
	d.End(0, nil)
	select {
	case <-p.delve.leave:
		return false
	case <-p.Exited:
		return false
	case <-time.After(ownEnd):
	}
	if !attached {
		s.emit(Event{Kind: KindWarning, Text: "no debugger: " + debug.Problem(d.LastOutput())})
	}
	return attached
}

// brokerPort matches a port in the address of a broker, which may be a list.
var brokerPort = regexp.MustCompile(`:(\d+)(?:[/?, ]|$)`)

// inspectEnv returns the variables that make the Node.js program of the service open its
// inspector.
func (s *service) inspectEnv(env []string) []string {
	_, text, _ := net.SplitHostPort(s.debugAt)
	port, _ := strconv.Atoi(text) // the supervisor has composed it
	i := debug.Inspect{Port: port}
	if s.spec.Port != 0 {
		i.Listen = []int{s.spec.Port}
	}
	if s.broker != nil {
		for _, m := range brokerPort.FindAllStringSubmatch(s.broker.URL+" "+workspace.DefaultBrokerURL(s.spec.Transport), -1) {
			if port, err := strconv.Atoi(m[1]); err == nil {
				i.Connect = append(i.Connect, port)
			}
		}
	}
	return i.Env(s.run.builder.dir, env)
}

// inspected reports that a line of the process shows that its inspector is open. Tools such
// as `nest start --watch` replace the program by themselves, so there may be several.
func (s *service) inspected(p *process, line string) {
	if at := debug.InspectorAt(line); at != "" {
		p.inspectOnce.Do(func() { close(p.inspectable) })
		s.emit(Event{Kind: KindDebugger, Pid: p.Pid, Text: "Node.js", URL: at})
	}
}

// expectInspector warns if the ready process does not open its inspector.
func (s *service) expectInspector(p *process) {
	s.helpers.Go(func() {
		timer := time.NewTimer(s.run.options.inspectWait)
		defer timer.Stop()
		select {
		case <-p.inspectable:
		case <-p.Exited:
		case <-s.stop:
		case <-timer.C:
			s.emit(Event{Kind: KindWarning, Text: fmt.Sprintf(
				"no debugger: no Node.js process of %s has opened its port; msctl debugs Node.js programs and the Go services that it builds", s.spec.Name)})
		}
	})
}
