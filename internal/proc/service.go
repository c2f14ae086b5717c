package proc

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/proc/socket"
	"github.com/msctl/msctl/internal/proc/watch"
	"github.com/msctl/msctl/runtime/micro"
)

// service is one supervised service. The fields of the second group belong to the
// goroutine that runs own; other goroutines communicate with it over the channels.
type service struct {
	*unit
	run    *run
	socket net.Listener        // inherited by every process; nil if they open the port
	opened net.Listener        // socket, if the service has opened it itself
	watch  *watch.Subscription // nil if changes are not watched

	changes    <-chan watch.Change // nil if changes are not watched
	pauses     chan pauseRequest
	commands   chan commandRequest
	looping    chan struct{}          // closed when its owner receives commands
	stop       chan struct{}          // closed when the service should drain and end
	begun      chan struct{}          // closed when its first build has started, or if it needs none
	firstReady chan struct{}          // closed when it has been ready once
	foundAt    atomic.Pointer[string] // the URL at which it has answered, if it opens its port itself
	done       chan struct{}          // closed when all its processes have ended
	held       chan struct{}          // closed when it has failed to start, or waits for one that has
	holdOnce   sync.Once
	failing    atomic.Bool // it has failed to start, and has not been ready

	program      string   // the result of the last successful build
	live         *process // is serving
	next         *process // was started, and has not answered yet
	readiness    chan error
	building     chan built // receives the result of the running build; nil if none is running
	cancelBuild  context.CancelFunc
	rebuildAgain bool          // files have changed during the build
	broken       bool          // the last build failed
	restarting   bool          // live was asked to end and, unless halted, will be started again
	halted       bool          // the user has stopped it
	needsMet     chan struct{} // closed when all services that it depends on have been ready
	mayStart     bool          // they have been
	failure      string        // how it has failed to start, as last reported
	retry        *time.Timer
	pausedAt     time.Time   // when live was paused; zero if it is not paused
	pauseEnd     *time.Timer // resumes live
	crashes      backoff
	helpers      sync.WaitGroup // builds, readiness checks, and processes that drain
}

// process is a process of a service.
type process struct {
	*child.Process
	probe string      // the address of its private socket, or ""
	at    string      // where it has answered, if it opens its port itself; set by awaitReady
	ready time.Time   // when it became ready; for the goroutine that runs own
	vocal atomic.Bool // it is ready and was not asked to end

	delve       *delve        // nil if Delve does not attach to it
	inspectable chan struct{} // closed when a Node.js program has opened its inspector
	inspectOnce sync.Once
	late        bool // it is known to have taken longer than it should
}

func newService(r *run, u *unit, socket net.Listener) *service {
	return &service{
		unit: u, run: r, socket: socket,
		pauses:     make(chan pauseRequest),
		commands:   make(chan commandRequest),
		looping:    make(chan struct{}),
		stop:       make(chan struct{}),
		begun:      make(chan struct{}),
		firstReady: make(chan struct{}),
		done:       make(chan struct{}),
		held:       make(chan struct{}),
		retry:      stoppedTimer(),
		pauseEnd:   stoppedTimer(),
		crashes:    backoff{first: r.options.firstBackoff},
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// own runs the service. ctx ends when the run is about to end; the processes live until
// stop is closed, because other services may still need them.
func (s *service) own(ctx context.Context) {
	defer close(s.done)
	defer func() {
		if s.opened != nil {
			_ = s.opened.Close()
		}
	}()
	defer s.helpers.Wait()
	defer s.retry.Stop()
	defer s.pauseEnd.Stop()
	if !s.firstBuild(ctx) {
		return
	}
	s.awaitNeeds(ctx)
	close(s.looping)
	ending := ctx.Done()
	for {
		select {
		case <-ending:
			ending = nil
			s.resume() // services that depend on it may need it to drain
		case <-s.stop:
			s.shutdown()
			return
		case <-s.needsMet:
			s.needsMet, s.mayStart = nil, true
			if !s.halted && (s.program != "" || s.spec.Path == "") {
				s.start(ctx)
			}
		case c := <-s.changes:
			s.onChange(ctx, c)
		case b := <-s.building:
			s.onBuilt(ctx, b)
		case err := <-s.readiness:
			s.onReadiness(ctx, err)
		case <-exitOf(s.next):
			s.onNextExit()
		case <-exitOf(s.live):
			s.onLiveExit(ctx)
		case <-s.retry.C:
			s.start(ctx)
		case request := <-s.pauses:
			request.result <- s.onPause(ctx, request.length)
		case <-s.pauseEnd.C:
			s.resume()
		case request := <-s.commands:
			request.result <- s.onCommand(ctx, request.action)
		}
	}
}

// exitOf returns the channel that is closed when a process has ended, or nil without a
// process.
func exitOf(p *process) <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.Exited
}

// firstBuild builds the service. Services are built in the order in which they start. It
// returns false if the run is about to end. After a failure, the service waits for a
// change of its sources, unless that is fatal.
func (s *service) firstBuild(ctx context.Context) bool {
	for _, other := range s.run.services {
		if other == s {
			break
		}
		select {
		case <-other.begun:
		case <-ctx.Done():
			return false
		}
	}
	if s.spec.Path == "" {
		close(s.begun)
		return true
	}
	release, err := s.run.builder.acquire(ctx)
	if err != nil {
		return false
	}
	defer release() // after run.fail, so that no build starts when this one has failed
	close(s.begun)
	s.emit(Event{Kind: KindBuilding})
	b := s.run.builder.build(ctx, s.unit, "")
	if b.err != nil {
		if ctx.Err() == nil {
			s.emit(Event{Kind: KindBuildFailed, Text: buildText(b.err), Took: b.took})
		}
		if ctx.Err() != nil || s.fatal() || s.watch == nil {
			s.run.fail(b.err)
			return false
		}
		s.broken = true
		s.markFailed()
		s.learnSources(ctx)
		return true
	}
	s.program = b.program
	s.emit(Event{Kind: KindBuilt, Took: b.took})
	s.learnSources(ctx)
	return true
}

// learnSources tells the watcher what the service is built from.
func (s *service) learnSources(ctx context.Context) {
	if s.watch == nil {
		return
	}
	s.watch.Learn(watch.Sources{})
	s.helpers.Go(func() {
		found, err := s.run.builder.sourcesOf(ctx, s.spec.Path)
		if err == nil {
			s.watch.Learn(found)
		} else if ctx.Err() == nil {
			s.emit(Event{Kind: KindWarning, Text: "cannot determine its source files, so every change rebuilds it: " + err.Error()})
		}
	})
}

// start starts a process and its readiness check.
func (s *service) start(ctx context.Context) {
	if ctx.Err() != nil {
		return // stop is about to be closed
	}
	p, err := s.spawn(ctx)
	if err != nil {
		s.failedToStart(err)
		return
	}
	s.next = p
	s.emit(Event{Kind: KindStarting, Pid: p.Pid})
	if s.usesDelve() {
		s.attach(ctx, p)
	}
	s.checkReady(ctx, p)
}

// checkReady starts the readiness check of the next process.
func (s *service) checkReady(ctx context.Context, p *process) {
	result := make(chan error, 1)
	s.readiness = result
	alone := s.live == nil
	s.helpers.Go(func() { result <- s.awaitReady(context.WithoutCancel(ctx), p, alone) })
}

// spawn starts a process of the service, with the sockets that it inherits.
func (s *service) spawn(ctx context.Context) (*process, error) {
	env := slices.Concat(s.run.peers(s), s.env)
	c := child.Command{Dir: s.dir, Env: slices.Concat(env, s.tapEnv(env)), Words: s.spec.Command}
	if s.spec.Path != "" {
		c.Words = []string{s.program}
	}
	switch {
	case s.usesDelve():
		c.Words = slices.Concat(s.run.options.Traceable, c.Words)
	case s.usesInspector():
		c.Env = slices.Concat(c.Env, s.inspectEnv(c.Env))
	}
	p := &process{inspectable: make(chan struct{})}
	inherited := ""
	switch {
	case s.socket != nil:
		shared, err := socket.Descriptor(s.socket)
		if err != nil {
			return nil, err
		}
		defer shared.Close()
		c.Files = []*os.File{shared}
		inherited = fmt.Sprintf("%d=3 probe=4", s.spec.Port)
	case s.reportsReady:
		inherited = "ready=3"
	case s.inherits: // the port was in use at first
		if err := s.openSocket(ctx); err != nil {
			return nil, err
		}
		return s.spawn(ctx)
	default:
		if err := s.checkPort(ctx); err != nil {
			return nil, err
		}
	}
	if inherited != "" {
		private, address, err := socket.Private(ctx)
		if err != nil {
			return nil, err
		}
		defer private.Close()
		p.probe = address
		c.Files = append(c.Files, private)
		c.Env = slices.Concat(c.Env, []string{micro.InheritEnv + "=" + inherited})
	}
	started := make(chan struct{}) // the first line may come before Start returns
	c.Line = func(stream, text string) {
		<-started
		s.emit(Event{Kind: KindLog, Stream: stream, Text: text, Pid: p.Pid, Quiet: s.quiet(p, text)})
		if s.usesInspector() {
			s.inspected(p, text)
		}
	}
	var err error
	if p.Process, err = s.run.launcher.Start(ctx, c); err != nil {
		return nil, err
	}
	close(started)
	return p, nil
}

// peers returns the variables with the addresses of the other services.
func (r *run) peers(s *service) []string {
	found := map[string]string{}
	for _, other := range r.services {
		if url := other.foundAt.Load(); url != nil {
			found[other.spec.Name] = *url
		}
	}
	return peers(r.work, s.spec, found)
}

// quiet reports whether a line is of interest only if there is a problem. A broker logs
// a lot while it starts and ends; if that fails, its last output is part of the error.
func (s *service) quiet(p *process, text string) bool {
	return s.runsBroker && (!p.vocal.Load() || !s.broker.Program.Worth(text))
}

// retire ends a process that is no longer needed, without blocking own.
func (s *service) retire(p *process) {
	s.helpers.Go(func() { s.end(p) })
}

// end ends a process and reports how. A broker of the run is killed immediately: when it
// ends, no services are running, and its data is deleted.
func (s *service) end(p *process) {
	p.vocal.Store(false)
	s.emit(Event{Kind: KindStopping, Pid: p.Pid})
	start := time.Now()
	p.detach()
	grace := s.run.options.StopTimeout
	if s.runsBroker {
		grace = 0
	}
	kind := KindStopped
	if !p.End(grace, s.run.killed) && !s.runsBroker {
		kind = KindKilled
	}
	s.emit(Event{Kind: kind, Pid: p.Pid, Took: time.Since(start)})
}

// shutdown starts to end all processes of the service. own waits for them.
func (s *service) shutdown() {
	s.resume()
	if s.cancelBuild != nil {
		s.cancelBuild()
		<-s.building
	}
	for _, p := range []*process{s.next, s.live} {
		if p != nil && !s.restarting {
			s.retire(p)
		}
	}
}

func (s *service) emit(e Event) {
	e.Service = s.spec.Name
	s.run.emit(e)
}
