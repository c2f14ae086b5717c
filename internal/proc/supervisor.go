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

	"github.com/msctl/msctl/internal/workspace"
)

// Options says what to run and how. Workspace is required; the zero value of
// everything else has a meaning.
type Options struct {
	Workspace *workspace.Workspace
	// Services are the names of those to run; what they depend on runs too.
	// Empty for all.
	Services []string
	// NoWatch turns rebuilding and restarting on change off.
	NoWatch bool
	// ReadyTimeout is how long a process may take to answer; 60 s by default.
	ReadyTimeout time.Duration
	// StopTimeout is how long a process may take to drain before it is killed;
	// 12 s by default, a little more than a service gives its handlers.
	StopTimeout time.Duration
	// Guard is the command line of a process that calls [Guard]. Without one
	// processes may outlive a supervisor that is killed.
	Guard []string
	// NATS is the command line of a process that calls [ServeNATS], to which
	// the port is added. Without one a missing NATS server is an error.
	NATS []string
	// CacheDir is where programs are built; by default a folder in the user's
	// cache.
	CacheDir string
	// Color has the services told to colour what they write.
	Color bool
}

// Service is what a reader of events needs to know of a service.
type Service struct {
	Name string
	Kind workspace.Kind
	Port int
	URL  string // where it is asked, with the address it listens on; that of its broker may turn out to be another
	Go   bool   // msctl builds it
}

// Supervisor runs the services of a workspace. Make it with New, read Events
// until they end, and call Run once.
type Supervisor struct {
	options Options
	units   []unit
	events  chan Event
	killed  chan struct{}
	kill    sync.Once
}

// New makes a supervisor; nothing runs yet. Unknown names in o.Services are
// left out: ask the workspace first.
func New(o Options) *Supervisor {
	if o.ReadyTimeout <= 0 {
		o.ReadyTimeout = time.Minute
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = 12 * time.Second
	}
	return &Supervisor{
		options: o,
		units:   plan(o.Workspace, o.Services, o.Color),
		events:  make(chan Event, 256),
		killed:  make(chan struct{}),
	}
}

// Services returns the services that will run, in dependency order.
func (s *Supervisor) Services() []Service {
	out := make([]Service, len(s.units))
	for i, u := range s.units {
		out[i] = Service{u.spec.Name, u.spec.Kind, u.spec.Port, u.where, u.spec.Path != ""}
	}
	return out
}

// Events returns the channel of all events. It must be read: services wait when
// nobody does. It is closed before Run returns.
func (s *Supervisor) Events() <-chan Event { return s.events }

// Kill ends every process at once; Run then returns. It may be called from any
// goroutine, and more than once.
func (s *Supervisor) Kill() { s.kill.Do(func() { close(s.killed) }) }

// StartError says why a service could not be started; the whole run ends then.
type StartError struct {
	Service string
	Reason  string
	// Output is the last that the service wrote.
	Output []string
}

// Error names the service and the reason.
func (e *StartError) Error() string { return "service " + e.Service + " " + e.Reason }

// ErrKilled is the cause of a run's end by [Supervisor.Kill].
var ErrKilled = errors.New("killed")

// run is one call of Run.
type run struct {
	*Supervisor
	work     *workspace.Workspace
	began    time.Time
	number   atomic.Int64 // of the last program kept
	launcher *launcher
	guard    *guard
	builder  *builder
	watcher  *watcher // nil without watching
	board    *board
	units    []unit // those of the Supervisor, and the brokers that are started
	brokers  []*broker
	services []*service
	fail     context.CancelCauseFunc // ends the run with an error
}

// Run starts all services, and the brokers that they need and that do not
// answer on this machine, and keeps them running until ctx ends; then it
// drains them, each one after all that depend on it, and returns nil. When a
// service cannot be started it stops the others and returns a *[StartError],
// *[BuildError], *[PortError] or *[BrokerError]; after Kill it returns
// [ErrKilled]. When it returns, no process is left.
func (s *Supervisor) Run(ctx context.Context) error {
	defer close(s.events)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &run{Supervisor: s, work: s.options.Workspace, began: time.Now(), fail: fail, units: slices.Clone(s.units), board: s.newBoard()}
	sockets, err := r.open(ctx)
	defer closeSockets(sockets)
	if err != nil {
		return err
	}
	dir, session, err := r.folders(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(session)
	if err := r.provide(ctx, session); err != nil {
		return r.unlessAsked(ctx, err)
	}
	r.board.show(r)
	r.announceBrokers()
	if r.guard, err = startGuard(ctx, s.options.Guard, session); err != nil {
		return err
	}
	defer r.guard.close()
	r.launcher = newLauncher()
	defer r.launcher.close()
	r.builder = newBuilder(r, dir, session)
	for i := range r.units {
		r.services = append(r.services, newService(r, &r.units[i], sockets[r.units[i].spec.Name]))
	}
	stop, err := r.control(ctx, session)
	if err != nil {
		return err
	}
	defer stop()
	r.supervise(ctx)
	return r.result(ctx)
}

// unlessAsked is the error of a preparation, unless it is that the run was to
// end meanwhile.
func (r *run) unlessAsked(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return r.result(ctx)
	}
	return err
}

// supervise runs the services' goroutines until all have ended.
func (r *run) supervise(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	wait.Go(func() {
		select {
		case <-r.killed:
			r.fail(ErrKilled)
		case <-ctx.Done():
		}
	})
	watching, stopWatching := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	if !r.options.NoWatch {
		if err := r.watch(watching, &watcher); err != nil {
			r.warn("changes are not seen: %v", err)
		}
	}
	var services sync.WaitGroup
	for _, s := range r.services {
		services.Go(func() { s.own(ctx) })
		wait.Go(func() { r.orderStop(ctx, s) })
	}
	wait.Go(func() { r.announce(ctx) })
	services.Wait()
	stopWatching()
	watcher.Wait()
	cancel(nil)
	wait.Wait()
}

// orderStop tells a service to stop once the run is to end and all services
// that depend on it have stopped.
func (r *run) orderStop(ctx context.Context, s *service) {
	<-ctx.Done()
	for _, other := range r.services {
		for _, need := range other.needs {
			if need == s.spec.Name {
				<-other.done
			}
		}
	}
	close(s.stop)
}

// announce tells when every service has been ready once.
func (r *run) announce(ctx context.Context) {
	for _, s := range r.services {
		select {
		case <-s.firstReady:
		case <-ctx.Done():
			return
		}
	}
	r.emit(Event{Kind: KindAllReady, Took: time.Since(r.began)})
}

// result is what Run returns.
func (r *run) result(ctx context.Context) error {
	cause := context.Cause(ctx)
	var start *StartError
	var build *BuildError
	var port *PortError
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

// emit gives an event to the reader, who must be fast unless all is to end.
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
