package bench

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/target"
)

// Fleet makes the runs of a Spec on several other processes.
type Fleet interface {
	// Size is the number of processes.
	Size() int
	// Connect makes sure that they are there. It is called once, before the first run.
	Connect(ctx context.Context) error
	// Start starts a run. When ctx ends, the run is stopped, and the processes report what
	// they have counted.
	Start(ctx context.Context, job *Job) (FleetRun, error)
}

// Job is one run for a Fleet.
type Job struct {
	Shared *Shared
	Files  map[string][]byte
	// Plan is the complete plan. Its messages have no connections.
	Plan load.Plan
	// Fault is the trigger of the fault that can be injected during the run; its text is ""
	// if there is none.
	Fault load.Trigger
}

// Live is a run in progress, of this process or of several.
type Live interface {
	Snapshot(recent int) load.Snapshot
	Done() <-chan struct{}
	Wait() *load.Result
	Stop()
	Abort(why string)
	BestCase() *load.Result
	TriggerError() error
	SetRate(perSecond float64) error
	SetUsers(n int) error
	SetTimeout(d time.Duration) error
	SetRetries(n int) error
	SetPreset(name string) error
}

// FleetRun is a run on several processes.
type FleetRun interface {
	Live
	// Fire injects the fault of the job on every process.
	Fire() error
	// Agents describes the processes, and what each of them has counted.
	Agents() []report.Agent
	// Faults returns how often each fault was injected; see Part.Faults.
	Faults() [][3]int64
}

// Guard decides where a process may send load. The zero Guard allows everything.
type Guard struct {
	// Target, if set, returns an error if a target is not allowed.
	Target func(context.Context, target.Target) error
	// Control, if set, returns an error if a connection to a target is not allowed: see
	// net.Dialer. It is asked about every connection, because a name may have changed its
	// address since Target, and brokers announce other servers.
	Control target.Control
}

// checkFleet rejects what several processes cannot do.
func (s *Spec) checkFleet() error {
	if s.Fleet == nil {
		return nil
	}
	n := s.Fleet.Size()
	switch {
	case s.Trials.Demo:
		return exit.Usagef("--agents cannot be combined with --demo: its service is in this process")
	case s.Outputs.Vegeta != "":
		return exit.WithHint(exit.Usagef("--agents cannot be combined with --vegeta: agents report sums, not single requests"), "use --save or --csv")
	case s.users() > 0 && s.users() < n:
		return s.Usagef([]string{"users"}, "--agents %d requires at least as many --users, and there are %d", n, s.users())
	case s.Load.Requests > 0 && s.Load.Requests < uint64(n):
		return s.Usagef([]string{"requests"}, "--agents %d requires at least as many --requests, and there are %d", n, s.Load.Requests)
	}
	for _, axis := range s.Trials.Axes {
		if axis.Name != "users" {
			continue
		}
		for _, v := range axis.Values {
			if one, err := s.With("users", v); err == nil && one.Load.Users < n {
				return s.Usagef([]string{"sweep"}, "--agents %d requires at least as many users, and one of the values is %s", n, v)
			}
		}
	}
	return nil
}

// start starts the run of a rig: in this process, or on the fleet.
func (b *Bench) start(ctx context.Context, r *rig) (*Run, error) {
	if r.spec.Fleet == nil {
		run, err := load.Start(ctx, r.plan)
		if err != nil {
			return nil, fmt.Errorf("start the run: %w", err)
		}
		return &Run{run, r, run}, nil
	}
	shared, files, err := r.spec.Share()
	if err != nil {
		return nil, err
	}
	job := &Job{Shared: shared, Files: files, Plan: r.plan}
	if len(forProxy(r.spec.Faults)) > 0 {
		fault := liveFault(r.spec.Faults)
		job.Fault = load.Trigger{Length: fault.Length, Text: fault.label()}
	}
	run, err := r.spec.Fleet.Start(ctx, job)
	if err != nil {
		return nil, err
	}
	r.fleet = run
	return &Run{run, r, nil}, nil
}

// LostAgents returns the error for agents that were lost during the runs of a document, or
// nil.
func LostAgents(d *report.Document) error {
	var lost []string
	for _, r := range d.Runs {
		for _, a := range r.Agents {
			switch name := cmp.Or(a.Name, a.ID); {
			case a.Lost != "":
				lost = append(lost, fmt.Sprintf("%s was lost (%s)", name, a.Lost))
			case a.Stalled > 0:
				lost = append(lost, fmt.Sprintf("%s was stalled for %.1f s", name, a.Stalled.Seconds()))
			}
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return exit.WithCode(fmt.Errorf("the run was not made by all agents: %s", strings.Join(lost, ", ")), exit.Failed)
}
