package operate

import (
	"context"
	"sync"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// runner runs a workspace, and again when the files that describe it have changed.
type runner struct {
	o           runOptions
	io          *term.IO
	guard, nats []string
	work        *workspace.Workspace // of the current run

	mu         sync.Mutex       // guards what follows
	supervisor *proc.Supervisor // of the current run
	killed     bool
}

// kill kills all processes.
func (r *runner) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed = true
	if r.supervisor != nil {
		r.supervisor.Kill()
	}
}

// current returns the current run.
func (r *runner) current() *proc.Supervisor {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.supervisor
}

// run runs the services until ctx ends. begin is called for each run, and returns what its events
// are passed to.
func (r *runner) run(ctx context.Context, begin func(*proc.Supervisor) func(proc.Event)) error {
	for {
		supervisor, err := r.next(ctx)
		if err != nil {
			return err
		}
		show := begin(supervisor)
		once, cancel := context.WithCancel(ctx)
		changed := make(chan *workspace.Workspace, 1)
		go func() { changed <- r.pass(supervisor.Events(), show, cancel) }()
		err = supervisor.Run(once)
		cancel()
		work := <-changed
		if err != nil || work == nil || ctx.Err() != nil || supervisor.Stopped() {
			return err
		}
		r.work = work
	}
}

// next returns the supervisor of the next run.
func (r *runner) next(ctx context.Context) (*proc.Supervisor, error) {
	debugged, err := r.o.debugged(ctx, r.work)
	if err != nil {
		return nil, err
	}
	supervisor := proc.New(proc.Options{
		Workspace:    r.work,
		Services:     r.o.services,
		NoWatch:      r.o.noWatch,
		FailFast:     r.o.failFast,
		ReadyTimeout: r.o.readyTimeout,
		StopTimeout:  r.o.stopTimeout,
		Guard:        r.guard,
		NATS:         r.nats,
		Protocol:     target.OtherProtocol,
		Debug:        debugged.ports,
		Delve:        debugged.delve,
		Traceable:    debugged.traceable,
		Color:        r.o.colored(r.io),
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.supervisor = supervisor
	if r.killed {
		supervisor.Kill()
	}
	return supervisor, nil
}

// pass passes the events of a run to show until it has ended. If the workspace has changed, it ends
// the run with cancel and returns the workspace for the next one.
func (r *runner) pass(events <-chan proc.Event, show func(proc.Event), cancel func()) (changed *workspace.Workspace) {
	for e := range events {
		if changed != nil && e.Kind == proc.KindEnding {
			continue // it begins again
		}
		show(e)
		if e.Kind != proc.KindWorkspace || changed != nil {
			continue
		}
		// The run continues with what it has while the files have a mistake.
		work, err := r.o.check(r.io)
		switch {
		case err != nil:
			show(proc.Event{Time: e.Time, Kind: proc.KindWarning, Text: exit.Text(r.io.Secrets(), err) + "; the services keep running as before"})
		case !work.Same(r.work):
			changed = work
			show(proc.Event{Time: e.Time, Kind: proc.KindNote, Text: "restarting all services"})
			cancel()
		}
	}
	return changed
}
