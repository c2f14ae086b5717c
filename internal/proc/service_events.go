package proc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/proc/socket"
	"github.com/msctl/msctl/internal/proc/watch"
	"github.com/msctl/msctl/internal/workspace"
)

// The methods in this file run on the goroutine that owns the service; see own.

// onChange rebuilds a Go service, and restarts any other service. A change during a build
// cancels that build and starts another one.
func (s *service) onChange(ctx context.Context, c watch.Change) {
	if ctx.Err() != nil || c.Stray && !s.broken {
		return
	}
	s.emit(Event{Kind: KindChanged, Paths: c.Paths})
	switch {
	case s.spec.Path == "":
		s.restart(ctx)
	case s.building != nil:
		s.rebuildAgain = true
		s.cancelBuild()
	default:
		s.rebuild(ctx)
	}
}

func (s *service) rebuild(ctx context.Context) {
	s.emit(Event{Kind: KindBuilding})
	ctx, s.cancelBuild = context.WithCancel(ctx)
	result := make(chan built, 1)
	s.building = result
	before := s.program
	s.helpers.Go(func() {
		release, err := s.run.builder.acquire(ctx)
		if err != nil {
			result <- built{err: err}
			return
		}
		defer release()
		result <- s.run.builder.build(ctx, s.unit, before)
	})
}

func (s *service) onBuilt(ctx context.Context, b built) {
	s.cancelBuild()
	s.building, s.cancelBuild = nil, nil
	if ctx.Err() != nil {
		return
	}
	if s.rebuildAgain {
		s.rebuildAgain = false
		s.rebuild(ctx)
		return
	}
	s.learnSources(ctx)
	if b.err != nil {
		s.broken = true
		s.emit(Event{Kind: KindBuildFailed, Text: buildText(b.err), Took: b.took})
		return
	}
	s.broken, s.program = false, b.program
	if b.unchanged && (s.live != nil || s.next != nil) {
		s.emit(Event{Kind: KindUnchanged, Took: b.took})
		return
	}
	s.emit(Event{Kind: KindBuilt, Took: b.took})
	s.restart(ctx)
}

func buildText(err error) string {
	var failed *BuildError
	if errors.As(err, &failed) && failed.Output != "" {
		return failed.Output
	}
	return err.Error()
}

// restart replaces the process of the service. The new process starts while the old one
// still runs if they share the socket, or if clients reach them through a broker. In any
// other case it starts when the old one has ended.
func (s *service) restart(ctx context.Context) {
	s.retry.Stop()
	s.crashes.reset() // the program or its files have changed
	s.failure = ""
	if !s.mayStart || s.halted {
		return // it starts when those that it depends on are ready, or when the user starts it
	}
	if s.next != nil {
		s.discardNext()
	}
	switch {
	case s.restarting: // it starts when the old process has ended
	case s.live == nil || s.overlaps():
		s.start(ctx)
	default:
		s.restarting = true
		s.resume()
		s.retire(s.live)
	}
}

// discardNext ends the process that has not answered yet, because a newer one replaces it
// or it did not answer in time. If processes of the service cannot overlap, it waits for
// the end.
func (s *service) discardNext() {
	p := s.next
	s.next, s.readiness = nil, nil
	if s.overlaps() {
		s.retire(p)
		return
	}
	s.end(p)
}

// onReadiness makes the next process the one that serves, if it has answered. The end of
// the process is handled by onNextExit.
func (s *service) onReadiness(ctx context.Context, err error) {
	s.readiness = nil
	p := s.next
	if err != nil {
		select {
		case <-p.Exited:
		case <-s.stop:
		default:
			s.notReady(ctx, err)
		}
		return
	}
	s.resume() // the old process, so that it can drain
	old := s.live
	s.live, s.next = p, nil
	p.ready = time.Now()
	kind := KindReady
	if old != nil {
		kind = KindSwapped
	}
	p.vocal.Store(true)
	if p.at != "" && s.broker == nil { // a service on a broker is reached through it, also if it serves HTTP
		url := scheme(s.spec) + "://" + p.at
		s.url = url
		s.foundAt.Store(&url)
	}
	s.emit(Event{Kind: kind, Pid: p.Pid, Took: p.ready.Sub(p.Began), URL: s.url, Text: s.notQueried()})
	if old != nil {
		s.retire(old)
	}
	if s.usesInspector() {
		s.expectInspector(p)
	}
	s.failing.Store(false)
	if !s.wasReady() {
		close(s.firstReady)
	}
}

// notQueried returns why the service counts as ready without having answered a message,
// or "" if it has answered.
func (s *service) notQueried() string {
	if s.spec.Ready != workspace.ReadyProcess {
		return ""
	}
	return "not queried; set `ready: {pattern: …}` to query it"
}

func (s *service) wasReady() bool {
	select {
	case <-s.firstReady:
		return true
	default:
		return false
	}
}

// notReady handles a process that is running but did not answer in time.
func (s *service) notReady(ctx context.Context, cause error) {
	p := s.next
	reason := fmt.Sprintf("did not become ready in %v: %v", s.readyTimeout(), cause)
	switch {
	case s.debugAt != "":
		if !p.late {
			p.late = true
			s.emit(Event{Kind: KindNote, Text: fmt.Sprintf("not ready after %v; msctl keeps waiting, because a debugger may hold it", s.readyTimeout())})
		}
		s.checkReady(ctx, p)
		return
	case s.wasReady():
	case s.fatal():
		s.run.fail(&StartError{s.spec.Name, reason, p.LastOutput()})
	default: // it may recover by itself, as nest start --watch does, or be waiting for a debugger
		s.failed(isMute, Event{Pid: p.Pid, Text: reason})
		s.checkReady(ctx, p)
		return
	}
	s.discardNext()
	if s.wasReady() {
		s.crashed(p, reason)
	}
}

// onNextExit handles a process that ended before it answered.
func (s *service) onNextExit() {
	p := s.next
	s.next, s.readiness = nil, nil
	s.crashed(p, "ended before it was ready: "+p.How())
}

// onLiveExit restarts a crashed service, or continues a restart.
func (s *service) onLiveExit(ctx context.Context) {
	s.resume() // it may have been killed while it was paused; clears the pause
	p := s.live
	s.live = nil
	if s.restarting {
		s.restarting = false
		if !s.halted {
			s.start(ctx)
		}
		return
	}
	if time.Since(p.ready) >= healthyAfter {
		s.crashes.reset()
	}
	s.crashed(p, "ended: "+p.How())
}

// crashed decides what happens when a process of the service has ended unexpectedly.
func (s *service) crashed(p *process, reason string) {
	switch {
	case s.live != nil:
		s.emit(Event{Kind: KindNotReady, Pid: p.Pid, Text: reason})
	case s.next != nil:
		s.emit(Event{Kind: KindCrashed, Pid: p.Pid, Text: reason}) // next replaces it
	case !s.wasReady() && s.crashes.crashes+1 >= startAttempts:
		reason = fmt.Sprintf("%s, %d times in a row%s", reason, startAttempts, missingPackages(s.run.work, s.spec))
		if s.fatal() {
			s.run.fail(&StartError{s.spec.Name, reason, p.LastOutput()})
			return
		}
		delay := s.crashes.next()
		s.failed(endsEarly, Event{Pid: p.Pid, Text: reason, Delay: delay})
		s.retry.Reset(delay)
	default:
		delay := s.crashes.next()
		s.emit(Event{Kind: KindCrashed, Pid: p.Pid, Text: reason, Delay: delay})
		s.retry.Reset(delay)
	}
}

// failedToStart handles a process that could not be started.
func (s *service) failedToStart(err error) {
	switch {
	case !s.wasReady() && !s.fatal():
		delay := s.crashes.next()
		s.failed(notStarted, Event{Text: s.startFailure(err), Delay: delay})
		s.retry.Reset(delay)
	case !s.wasReady():
		var port *socket.PortError
		if !errors.As(err, &port) {
			err = &StartError{Service: s.spec.Name, Reason: "cannot be started: " + err.Error()}
		}
		s.run.fail(err)
	case s.live != nil:
		s.emit(Event{Kind: KindNotReady, Text: err.Error()})
	default:
		delay := s.crashes.next()
		s.emit(Event{Kind: KindCrashed, Text: err.Error(), Delay: delay})
		s.retry.Reset(delay)
	}
}
