package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/proc/debug"
	"github.com/msctl/msctl/internal/proc/socket"
	"github.com/msctl/msctl/internal/proc/watch"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/workspace"
)

// Options configures a [Supervisor]. Workspace is required.
type Options struct {
	Workspace *workspace.Workspace
	// Services are the names of the services to run, in addition to their dependencies.
	// If it is empty, all services run.
	Services []string
	// FailFast ends the run if a service cannot be started. Otherwise, the service tries
	// again when its files have changed, and after a while; see KindFailed.
	FailFast bool
	// NoWatch disables rebuilding and restarting on changes.
	NoWatch bool
	// ReadyTimeout is how long a process may take to answer; 60 seconds by default.
	ReadyTimeout time.Duration
	// StopTimeout is how long a process may take to drain before it is killed. The
	// default is 12 seconds, slightly more than a service grants its handlers.
	StopTimeout time.Duration
	// Guard is the command line of a process that calls [child.RunGuard]. Without it,
	// processes may outlive a supervisor that is killed.
	Guard []string
	// NATS is the command line of a process that calls [broker.ServeNATS]; the port is
	// appended to it. Without it, a missing NATS server is an error.
	NATS []string
	// Protocol names what is spoken at an address, host:port, if that is not NestJS's TCP
	// transport; it returns "" if that is not known. It is optional: it explains why a
	// service accepts connections and does not become ready.
	Protocol func(ctx context.Context, address string) string
	// CacheDir is where programs are built; a folder in the user's cache by default.
	CacheDir string
	// Debug are the ports at which debuggers attach to services, by the name of the service.
	// Each port stays the same when the process of the service is replaced.
	Debug map[string]int
	// Delve is the path of Delve; see [debug.FindDelve]. It is required if Debug names a Go
	// service.
	Delve string
	// Traceable is the command line of a process that calls [debug.ExecTraceable]; the
	// program of a service that is debugged is appended to it. Without it, Linux may not
	// allow Delve to attach.
	Traceable []string
	// Color makes the services write in color, by setting FORCE_COLOR.
	Color bool

	firstBackoff time.Duration // the delay before a restart after the first crash
	settleTime   time.Duration // how long a process that cannot be queried must have run
	inspectWait  time.Duration // how long after it is ready a Node.js program may open its inspector
}

// Service describes a service to readers of events.
type Service struct {
	Name string
	Kind workspace.Kind
	Port int
	// URL is where the service is reached. The address of its broker may turn out to be
	// different; see KindBroker.
	URL string
	Go  bool // msctl builds it
}

// Supervisor runs the services of a workspace. Create it with [New], call Run once, and
// read Events until the channel is closed.
type Supervisor struct {
	options Options
	units   []unit
	events  chan Event
	killed  chan struct{}
	kill    sync.Once
	active  atomic.Pointer[run] // once its services start
	started chan struct{}       // closed when active is set, or will never be
	stopped atomic.Bool         // msctl stop was called
}

// New creates a supervisor and starts nothing. It ignores unknown names in o.Services.
func New(o Options) *Supervisor {
	for setting, usual := range map[*time.Duration]time.Duration{
		&o.ReadyTimeout: time.Minute, &o.StopTimeout: 12 * time.Second,
		&o.firstBackoff: 250 * time.Millisecond, &o.settleTime: 2 * time.Second, &o.inspectWait: 10 * time.Second,
	} {
		if *setting <= 0 {
			*setting = usual
		}
	}
	return &Supervisor{
		options: o,
		units:   plan(o),
		events:  make(chan Event, 256),
		killed:  make(chan struct{}),
		started: make(chan struct{}),
	}
}

// Services returns the services that will run, in dependency order.
func (s *Supervisor) Services() []Service {
	out := make([]Service, len(s.units))
	for i, u := range s.units {
		out[i] = Service{u.spec.Name, u.spec.Kind, u.spec.Port, u.url, u.spec.Path != ""}
	}
	return out
}

// Events returns the channel of all events. It must be read, because services block
// while it is full. Run closes it before it returns.
func (s *Supervisor) Events() <-chan Event { return s.events }

// Stopped reports whether the run was asked to end by [Control.Stop].
func (s *Supervisor) Stopped() bool { return s.stopped.Load() }

// Kill kills every process, which makes Run return. It is safe for concurrent use, and
// may be called more than once.
func (s *Supervisor) Kill() { s.kill.Do(func() { close(s.killed) }) }

// StartError reports that a service could not be started, which ends the run.
type StartError struct {
	Service string
	Reason  string
	// Output is the last output of the service.
	Output []string
}

// Error names the service and the reason.
func (e *StartError) Error() string { return "service " + e.Service + " " + e.Reason }

// ErrKilled is returned by [Supervisor.Run] after [Supervisor.Kill].
var ErrKilled = errors.New("killed")

// run is the state of one call of Run.
type run struct {
	*Supervisor
	work     *workspace.Workspace
	began    time.Time
	number   atomic.Int64 // of the last program that was built
	launcher *child.Launcher
	builder  *builder
	board    *board
	hub      *tap.Hub // collects the messages of the services
	units    []unit   // those of the Supervisor, after the brokers that are started
	services []*service
	fail     context.CancelCauseFunc // ends the run with an error
}

// Run starts all services, and the brokers of this machine that they need and that are
// not running. It keeps them running until ctx ends, then drains each service after all
// services that depend on it, and returns nil. If a service cannot be started, Run stops
// the others and returns a *[StartError], *[BuildError], *[socket.PortError],
// *[DebugPortError], or *[broker.Error]. After Kill, it returns [ErrKilled]. No process outlives Run.
func (s *Supervisor) Run(ctx context.Context) error {
	defer close(s.events)
	announce := sync.OnceFunc(func() { close(s.started) })
	defer announce()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &run{Supervisor: s, work: s.options.Workspace, began: time.Now(), fail: fail, board: newBoard(s.options.Workspace)}
	sockets, err := s.openSockets(ctx)
	defer closeSockets(sockets)
	if err == nil {
		err = s.checkDebugPorts(ctx)
	}
	if err != nil {
		return err
	}
	dir, session, err := r.folders(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(session)
	brokers, err := r.findBrokers(ctx, session)
	if err != nil {
		if ctx.Err() != nil {
			return r.result(ctx)
		}
		return err
	}
	r.units = append(brokerUnits(brokers), servedBy(s.units, brokers)...)
	r.board.init(r.units, brokers)
	r.announceBrokers(brokers)
	for _, text := range overridden(r.work, s.units) {
		r.emit(Event{Kind: KindNote, Text: text})
	}
	for _, ignored := range r.work.Local.Ignored {
		r.warn("%v", ignored)
	}
	if r.launcher, err = child.NewLauncher(ctx, s.options.Guard, session, r.warn); err != nil {
		return err
	}
	defer r.launcher.Close()
	r.builder = newBuilder(r, dir, session)
	if slices.ContainsFunc(r.units, func(u unit) bool { return u.usesInspector() }) {
		if err := debug.WriteInspect(dir); err != nil {
			return err
		}
	}
	for i := range r.units {
		r.services = append(r.services, newService(r, &r.units[i], sockets[r.units[i].spec.Name]))
	}
	if r.hub, err = tap.Listen(ctx); err != nil {
		return err
	}
	stop, err := r.control(ctx, session)
	if err != nil {
		r.hub.Close()
		return err
	}
	defer func() {
		r.hub.Close() // first: it ends the responses with messages
		stop()
	}()
	s.active.Store(r)
	announce()
	r.supervise(ctx)
	return r.result(ctx)
}

// supervise runs the goroutines of the services until all of them have ended.
func (r *run) supervise(ctx context.Context) {
	requested := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	ended := make(chan struct{})
	wait.Go(func() { r.announceEnd(ctx, requested, ended) })
	stopWatching := r.watch(ctx)
	var services sync.WaitGroup
	for _, s := range r.services {
		services.Go(func() { s.own(ctx) })
		wait.Go(func() { r.stopInOrder(ctx, s) })
	}
	wait.Go(func() { r.announceReady(ctx) })
	services.Wait()
	close(ended)
	stopWatching()
	cancel(nil)
	wait.Wait()
}

// announceEnd emits KindEnding when the end of the run is requested, and KindKilling when
// it is killed. It returns when all services have ended.
func (r *run) announceEnd(ctx, requested context.Context, ended <-chan struct{}) {
	select {
	case <-r.killed:
	case <-ended:
		return
	case <-ctx.Done():
		if r.result(requested) == nil {
			r.emit(Event{Kind: KindEnding})
		}
	}
	select {
	case <-r.killed:
		select {
		case r.events <- Event{Kind: KindKilling, Time: time.Now()}: // emit may drop it now
		default:
		}
		r.fail(ErrKilled)
	case <-ended:
	}
}

// watch watches for changes until ctx ends or stop, which waits for the end, is called.
func (r *run) watch(ctx context.Context) (stop func()) {
	if r.options.NoWatch {
		return func() {}
	}
	watcher, err := watch.New(r.work, r.warn, func(names []string) { r.emit(Event{Kind: KindWorkspace, Paths: names}) })
	if err != nil {
		r.warn("changes are not watched: %v", err)
		return func() {}
	}
	for _, s := range r.services {
		s.watch = watcher.Subscribe(s.spec)
		s.changes = s.watch.Changes
	}
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() { watcher.Run(ctx) })
	return func() {
		cancel()
		wait.Wait()
	}
}

// stopInOrder stops a service when the run is about to end and all services that depend
// on it have ended.
func (r *run) stopInOrder(ctx context.Context, s *service) {
	<-ctx.Done()
	for _, other := range r.services {
		if slices.Contains(other.needs, s.spec.Name) {
			<-other.done
		}
	}
	close(s.stop)
}

// result returns the result of Run.
func (r *run) result(ctx context.Context) error {
	cause := context.Cause(ctx)
	var start *StartError
	var build *BuildError
	var port *socket.PortError
	switch {
	case errors.Is(cause, ErrKilled):
		return ErrKilled
	case errors.As(cause, &start), errors.As(cause, &build), errors.As(cause, &port):
		return cause
	}
	select {
	case <-r.killed:
		return ErrKilled
	default:
		return nil
	}
}

// emit sends an event. It blocks while the reader is slow, but not after Kill.
func (r *run) emit(e Event) {
	e.Time = time.Now()
	r.board.note(e)
	select {
	case r.events <- e:
	case <-r.killed:
	}
}

func (r *run) warn(format string, args ...any) {
	r.emit(Event{Kind: KindWarning, Text: fmt.Sprintf(format, args...)})
}
