package proc

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// service is one supervised service. The goroutine in own has everything below
// the line to itself; others talk to it over the channels.
type service struct {
	*unit
	run    *run
	socket net.Listener // handed to every process; nil where it opens its own

	change     chan change // of the watcher, which merges what waits in it
	pauses     chan pauseRequest
	stop       chan struct{} // closed when the service is to drain
	begun      chan struct{} // closed when its first build has begun, or it needs none
	firstReady chan struct{} // closed when it has been ready once
	done       chan struct{} // closed when nothing is left of it

	// ----
	program     string // of the last build that was done
	live        *child // serves
	next        *child // was started to serve, and has not answered yet
	readiness   chan error
	building    chan built // of the running build, nil without one
	cancelBuild context.CancelFunc
	again       bool // a change has come during the build
	broken      bool // the last build failed
	restarting  bool // live was asked to end, to be started again
	retry       *time.Timer
	pausedAt    time.Time   // when live was paused; zero when it is not
	goOn        *time.Timer // ends the pause
	crashes     backoff
	helpers     sync.WaitGroup // builds, readiness checks and old processes that drain
}

// change is what the watcher has seen.
type change struct {
	paths []string // relative to the workspace
	stray bool     // not of this service: of use only if its last build failed
}

func newService(r *run, u *unit, socket net.Listener) *service {
	return &service{
		unit: u, run: r, socket: socket,
		change:     make(chan change, 1),
		pauses:     make(chan pauseRequest),
		stop:       make(chan struct{}),
		begun:      make(chan struct{}),
		firstReady: make(chan struct{}),
		done:       make(chan struct{}),
		retry:      stoppedTimer(),
		goOn:       stoppedTimer(),
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// own is the life of the service. ctx ends when the run is to end; processes
// live until stop, because others may still need them.
func (s *service) own(ctx context.Context) {
	defer close(s.done)
	defer s.helpers.Wait()
	defer s.retry.Stop()
	defer s.goOn.Stop()
	if !s.prepare(ctx) {
		return
	}
	s.start(ctx)
	ending := ctx.Done()
	for {
		select {
		case <-ending:
			ending = nil
			s.resume() // those that depend on it may need it to drain
		case <-s.stop:
			s.shutdown()
			return
		case c := <-s.change:
			s.onChange(ctx, c)
		case b := <-s.building:
			s.onBuilt(ctx, b)
		case err := <-s.readiness:
			s.onReadiness(err)
		case <-exitOf(s.next):
			s.onNextExit()
		case <-exitOf(s.live):
			s.onLiveExit(ctx)
		case <-s.retry.C:
			s.start(ctx)
		case ask := <-s.pauses:
			ask.result <- s.onPause(ctx, ask.length)
		case <-s.goOn.C:
			s.resume()
		}
	}
}

func exitOf(p *child) <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.exited
}

// prepare builds the service and waits for those it depends on. It returns
// false when there is nothing to start.
func (s *service) prepare(ctx context.Context) bool {
	if !s.firstBuild(ctx) {
		return false
	}
	for _, other := range s.run.services {
		for _, need := range s.needs {
			if other.spec.Name != need {
				continue
			}
			select {
			case <-other.firstReady:
			case <-ctx.Done():
				return false
			}
		}
	}
	return ctx.Err() == nil
}

// firstBuild builds the service, in the order in which services start. A
// failure ends the run.
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
	defer release() // what the failure of this one ends does not begin before
	close(s.begun)
	s.emit(Event{Kind: KindBuilding})
	b := s.run.builder.build(ctx, s.unit, "")
	if b.err != nil {
		if ctx.Err() == nil {
			s.emit(Event{Kind: KindBuildFailed, Text: buildText(b.err), Took: b.took})
			s.run.fail(b.err)
		}
		return false
	}
	s.program = b.program
	s.emit(Event{Kind: KindBuilt, Took: b.took})
	s.learnSources(ctx)
	return true
}

// learnSources tells the watcher what the service is built from now.
func (s *service) learnSources(ctx context.Context) {
	if s.run.watcher == nil {
		return
	}
	s.run.watcher.learn(s, sources{}) // until it is known, every source file counts
	s.helpers.Go(func() {
		found, err := s.run.builder.sourcesOf(ctx, s.spec.Path)
		if err != nil {
			if ctx.Err() == nil {
				s.emit(Event{Kind: KindWarning, Text: "cannot tell what it is built from, so every change rebuilds it: " + err.Error()})
			}
			return
		}
		s.run.watcher.learn(s, found)
	})
}

// start starts a process and has its readiness asked.
func (s *service) start(ctx context.Context) {
	if ctx.Err() != nil {
		return // stop is about to come
	}
	p, err := s.spawn(ctx)
	if err != nil {
		s.failedToStart(err)
		return
	}
	s.next = p
	s.emit(Event{Kind: KindStarting, Pid: p.pid})
	result := make(chan error, 1)
	s.readiness = result
	alone := s.live == nil
	s.helpers.Go(func() { result <- s.awaitReady(context.WithoutCancel(ctx), p, alone) })
}

// spawn starts a process of the service, with its sockets.
func (s *service) spawn(ctx context.Context) (*child, error) {
	c := command{dir: s.dir, env: s.env, words: s.spec.Command}
	if s.spec.Path != "" {
		c.words = []string{s.program}
	}
	where := ""
	switch {
	case s.socket != nil:
		shared, err := descriptor(s.socket)
		if err != nil {
			return nil, err
		}
		defer shared.Close()
		own, addr, err := probe(ctx)
		if err != nil {
			return nil, err
		}
		defer own.Close()
		where = addr
		c.files = []*os.File{shared, own}
		c.env = slices.Concat(c.env, []string{fmt.Sprintf("%s=%d=3 probe=4", micro.InheritEnv, s.spec.Port)})
	case s.states:
		own, addr, err := probe(ctx)
		if err != nil {
			return nil, err
		}
		defer own.Close()
		where = addr
		c.files = []*os.File{own}
		c.env = slices.Concat(c.env, []string{micro.InheritEnv + "=ready=3"})
	default:
		if err := checkFree(ctx, s.spec); err != nil {
			return nil, err
		}
	}
	var p *child
	known := make(chan struct{})
	c.line = func(stream, text string) {
		<-known
		s.emit(Event{Kind: KindLog, Stream: stream, Text: text, Pid: p.pid, Quiet: s.quiet(p, text)})
	}
	defer close(known)
	var err error
	p, err = s.run.spawn(ctx, c)
	if p != nil {
		p.probe = where
	}
	return p, err
}

// awaitReady returns nil when the process has answered. It gives up when the
// process ends or takes too long. A process that is the only one of its service
// must answer on the service's port too.
func (s *service) awaitReady(ctx context.Context, p *child, alone bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.readyTimeout())
	defer cancel()
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		select {
		case <-p.exited:
			cancel()
		case <-s.stop:
			cancel()
		case <-done:
		}
	})
	defer wait.Wait()
	defer close(done)
	switch {
	case s.states:
		if err := await(ctx, readyAsker(p.probe)); err != nil || s.spec.ReadyPattern == "" {
			return err
		}
		return await(ctx, s.asker("", false)) // any process may answer; this one could
	case p.probe == "":
		return s.awaitAt(ctx, address(s.spec), false)
	}
	if err := s.awaitAt(ctx, p.probe, true); err != nil || !alone {
		return err
	}
	public, cancel := context.WithTimeout(ctx, silentTimeout)
	defer cancel()
	if err := s.awaitAt(public, address(s.spec), false); err != nil && ctx.Err() == nil {
		s.emit(Event{Kind: KindWarning, Text: fmt.Sprintf(
			"it is up, and nobody answers on its port %d: does it listen on MS_PORT, or PORT for a gateway?", s.spec.Port)})
	}
	return nil
}

// readyTimeout is how long a process may take to answer. The option is meant for
// the services: a broker takes the time that it takes, within reason.
func (s *service) readyTimeout() time.Duration {
	if s.runsBroker {
		return max(s.run.options.ReadyTimeout, brokerTimeout)
	}
	return s.run.options.ReadyTimeout
}

// brokerTimeout is how long a broker may take to start at least.
const brokerTimeout = 90 * time.Second

// silentTimeout is how long a process that is up may leave its port unanswered.
const silentTimeout = 3 * time.Second

func (s *service) awaitAt(ctx context.Context, addr string, probe bool) error {
	return await(ctx, s.asker(addr, probe))
}

func await(ctx context.Context, a asker) error {
	defer a.close()
	return awaitAnswer(ctx, a)
}

// quiet reports whether a line of a process is of use only to those who look for
// it. A broker speaks much while it starts and ends; when that fails, the last of
// it is told.
func (s *service) quiet(p *child, text string) bool {
	return s.runsBroker && (!p.vocal.Load() || !s.broker.program.worth(text))
}

// retire lets a process that is not needed any more drain, beside the loop.
func (s *service) retire(p *child) {
	s.helpers.Go(func() { s.endOne(p) })
}

// endOne ends a process and tells how that went. A broker of the run has nothing
// left to do when it is to end, and nothing to keep: it is not asked first.
func (s *service) endOne(p *child) {
	p.vocal.Store(false)
	s.emit(Event{Kind: KindStopping, Pid: p.pid})
	start := time.Now()
	patience := s.run.options.StopTimeout
	if s.runsBroker {
		patience = 0
	}
	kind := KindStopped
	if !p.end(patience, s.run.killed) && !s.runsBroker {
		kind = KindKilled
	}
	s.emit(Event{Kind: kind, Pid: p.pid, Took: time.Since(start)})
}

// shutdown ends everything of the service. own waits for what drains.
func (s *service) shutdown() {
	s.resume()
	if s.cancelBuild != nil {
		s.cancelBuild()
		<-s.building
	}
	for _, p := range []*child{s.next, s.live} {
		if p != nil && !s.restarting {
			s.retire(p)
		}
	}
}

func (s *service) emit(e Event) {
	e.Service = s.spec.Name
	s.run.emit(e)
}
