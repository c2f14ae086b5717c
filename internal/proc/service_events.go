package proc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/workspace"
)

// What the owner of a service does when something happens; see service.go.

// onChange rebuilds a Go service, and restarts any other. During a build it
// has the build start anew.
func (s *service) onChange(ctx context.Context, c change) {
	if ctx.Err() != nil || c.stray && !s.broken {
		return
	}
	s.emit(Event{Kind: KindChanged, Paths: c.paths})
	switch {
	case s.spec.Path == "":
		s.restart(ctx)
	case s.building != nil:
		s.again = true
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
	if s.again {
		s.again = false
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

// restart has a new process take over: beside the old one where the socket is
// shared or a broker is between them and their clients, after its end otherwise.
func (s *service) restart(ctx context.Context) {
	s.retry.Stop()
	s.crashes.reset() // it is another program, or has other files to read
	if s.next != nil {
		s.discardNext()
	}
	if s.live == nil || s.overlaps() {
		s.start(ctx)
		return
	}
	if !s.restarting {
		s.restarting = true
		s.resume()
		s.retire(s.live)
	}
}

// discardNext ends the process that has not answered yet: a newer one comes, or
// it did not answer in time. Without a socket of its own the newer one must wait
// for its end.
func (s *service) discardNext() {
	p := s.next
	s.next, s.readiness = nil, nil
	if s.overlaps() {
		s.retire(p)
		return
	}
	s.endOne(p)
}

// onReadiness takes over with the process that has answered. One that has
// ended is onNextExit's business.
func (s *service) onReadiness(err error) {
	s.readiness = nil
	p := s.next
	if err != nil {
		select {
		case <-p.exited:
		case <-s.stop:
		default:
			s.notReady(err)
		}
		return
	}
	s.resume() // for the old one, which is to drain
	old := s.live
	s.live, s.next = p, nil
	p.ready = time.Now()
	kind := KindReady
	if old != nil {
		kind = KindSwapped
	}
	p.vocal.Store(true)
	s.emit(Event{Kind: kind, Pid: p.pid, Took: p.ready.Sub(p.began), URL: s.where, Text: s.unasked()})
	if old != nil {
		s.retire(old)
	}
	if !s.wasReady() {
		close(s.firstReady)
	}
}

// unasked says why nobody has asked the service whether it serves; "" for one
// that has answered.
func (s *service) unasked() string {
	if s.spec.Ready != workspace.ReadyProcess {
		return ""
	}
	return "it has not been asked: with `ready: {pattern: …}` it would be"
}

func (s *service) wasReady() bool {
	select {
	case <-s.firstReady:
		return true
	default:
		return false
	}
}

// notReady deals with a process that lives and did not answer in time.
func (s *service) notReady(cause error) {
	p := s.next
	s.discardNext()
	reason := fmt.Sprintf("did not become ready in %v: %v", s.readyTimeout(), cause)
	if !s.wasReady() {
		s.run.fail(&StartError{s.spec.Name, reason, p.output.last()})
		return
	}
	s.crashed(p, reason)
}

// onNextExit deals with a process that ended before it had answered.
func (s *service) onNextExit() {
	p := s.next
	s.next, s.readiness = nil, nil
	s.crashed(p, "ended before it was ready: "+p.how())
}

// onLiveExit starts a crashed service again, or goes on with a restart.
func (s *service) onLiveExit(ctx context.Context) {
	s.resume() // it has been killed while it was paused; the next one is not
	p := s.live
	s.live = nil
	if s.restarting {
		s.restarting = false
		s.start(ctx)
		return
	}
	if time.Since(p.ready) >= healthyAfter {
		s.crashes.reset()
	}
	s.crashed(p, "ended: "+p.how())
}

// crashed decides what follows when a process of the service is lost.
func (s *service) crashed(p *child, reason string) {
	switch {
	case s.live != nil:
		s.emit(Event{Kind: KindNotReady, Pid: p.pid, Text: reason})
	case s.next != nil:
		s.emit(Event{Kind: KindCrashed, Pid: p.pid, Text: reason}) // next takes over
	case !s.wasReady() && s.crashes.crashes+1 >= startAttempts:
		s.run.fail(&StartError{s.spec.Name, fmt.Sprintf("%s, %d times in a row", reason, startAttempts), p.output.last()})
	default:
		delay := s.crashes.next()
		s.emit(Event{Kind: KindCrashed, Pid: p.pid, Text: reason, Delay: delay})
		s.retry.Reset(delay)
	}
}

// failedToStart deals with a process that could not even be started.
func (s *service) failedToStart(err error) {
	switch {
	case !s.wasReady():
		var port *PortError
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
