package proc

import (
	"context"
	"fmt"
	"slices"

	"github.com/msctl/msctl/internal/tap"
)

// Action is what the user wants to be done with a service of a run.
type Action string

// The actions.
const (
	// Restart replaces the process, as after a change, or starts a service that was stopped.
	Restart Action = "restart"
	// Halt drains and ends the process. The service stays stopped, whatever changes, until it
	// is started.
	Halt Action = "stop"
	// Start starts a service that was stopped.
	Start Action = "start"
	// Rebuild builds the program and replaces the process if the program is a different one.
	Rebuild Action = "rebuild"
)

// commandRequest is a request to the owner of a service.
type commandRequest struct {
	action Action
	result chan error // buffered
}

// Do makes the owner of a service do something with it, and returns when that has begun. What
// follows is reported as events. It returns an error if the service is not in the state for it.
// Before Run has started the services, no service is.
func (s *Supervisor) Do(ctx context.Context, name string, a Action) error {
	r := s.active.Load()
	if r == nil {
		return fmt.Errorf("service %s: the run is still starting", name)
	}
	i := slices.IndexFunc(r.services, func(one *service) bool { return one.spec.Name == name })
	if i < 0 {
		return fmt.Errorf("service %q is not part of the run", name)
	}
	one := r.services[i]
	if one.runsBroker {
		return fmt.Errorf("%s is a broker of the run: services need it", name)
	}
	select {
	case <-one.looping:
	default: // its owner waits for the first build, or could not build it
		return fmt.Errorf("service %s is still being built", name)
	}
	request := commandRequest{a, make(chan error, 1)}
	select {
	case one.commands <- request:
		return <-request.result
	case <-one.done:
	case <-one.stop:
	case <-ctx.Done():
		return ctx.Err()
	}
	return fmt.Errorf("service %s: the run is about to end", name)
}

// Status returns the status of the run. Before Run has started the services, it has none.
func (s *Supervisor) Status() Status {
	r := s.active.Load()
	if r == nil {
		return Status{Workspace: s.options.Workspace.Name}
	}
	return r.board.read()
}

// Messages passes the messages between the services of the run to pass, those of before and then
// new ones, until the run or ctx ends, or pass returns false. It waits for the start of the run.
func (s *Supervisor) Messages(ctx context.Context, pass func(tap.Message) bool) {
	select {
	case <-s.started:
	case <-ctx.Done():
		return
	}
	r := s.active.Load()
	if r == nil {
		return // it has failed to start
	}
	_ = r.hub.Messages(ctx, pass) // which fails when ctx ends
}

// onCommand does what the user wants. It runs on the goroutine that owns the service.
func (s *service) onCommand(ctx context.Context, a Action) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("service %s: the run is about to end", s.spec.Name)
	case a == Halt && s.halted:
		return fmt.Errorf("service %s is stopped already", s.spec.Name)
	case a == Halt:
		s.halt()
		return nil
	case a == Start && !s.halted:
		return fmt.Errorf("service %s is not stopped", s.spec.Name)
	case a == Rebuild && s.spec.Path == "":
		return fmt.Errorf("service %s is not built by msctl: restart it", s.spec.Name)
	case a == Rebuild:
		s.rebuildNow(ctx)
		return nil
	}
	s.halted = false
	switch {
	case s.spec.Path != "" && s.program == "": // its build has failed
		s.rebuildNow(ctx)
	case !s.mayStart:
		s.emit(Event{Kind: KindWaiting, Text: s.firstMissing()})
	default:
		s.restart(ctx)
	}
	return nil
}

// firstMissing returns a service that this one waits for.
func (s *service) firstMissing() string {
	for _, other := range s.run.services {
		if slices.Contains(s.needs, other.spec.Name) && !other.wasReady() {
			return other.spec.Name
		}
	}
	return ""
}

// rebuildNow builds the service, again if it is being built.
func (s *service) rebuildNow(ctx context.Context) {
	if s.building != nil {
		s.rebuildAgain = true
		s.cancelBuild()
		return
	}
	s.rebuild(ctx)
}

// halt ends the processes of the service, which stays stopped.
func (s *service) halt() {
	s.halted = true
	s.retry.Stop()
	s.resume()
	s.emit(Event{Kind: KindHalted})
	if s.next != nil {
		s.discardNext()
	}
	if s.live != nil && !s.restarting {
		s.restarting = true // it was asked to end
		s.retire(s.live)
	}
}
