package proc

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/workspace"
)

// State is the state of a service.
type State string

// The states of a service.
const (
	StateWaiting  State = "waiting"  // for its build, or for its dependencies
	StateStarting State = "starting" // running, and has not answered yet
	StateReady    State = "ready"
	StatePaused   State = "paused"  // ready, and paused
	StateCrashed  State = "crashed" // will be restarted
	StateFailed   State = "failed"  // could not be started; see ServiceStatus.Problem
	StateStopping State = "stopping"
	StateStopped  State = "stopped"
)

// Status is the status of a run, as shown by `msctl ps`.
type Status struct {
	Workspace string          `json:"workspace"`
	Pid       int             `json:"pid"` // of msctl
	Started   time.Time       `json:"started"`
	Services  []ServiceStatus `json:"services"`
	// Brokers are the addresses of the brokers in use, by transport. They include
	// passwords; see [Status.Redacted].
	Brokers map[string]string `json:"brokers,omitempty"`
}

// BrokerOf returns the address of the broker through which a service is reached, with its
// password. It returns "" if the run does not include the service, or the service has no
// broker.
func (s Status) BrokerOf(service string) string {
	for _, one := range s.Services {
		if one.Name == service && !one.RunsBroker {
			return one.Broker
		}
	}
	return ""
}

// Redacted returns a copy of the status without passwords.
func (s Status) Redacted() Status {
	s.Services, s.Brokers = slices.Clone(s.Services), maps.Clone(s.Brokers)
	for i := range s.Services {
		if address := s.Services[i].Broker; address != "" {
			s.Services[i].Broker = workspace.Redacted(address)
		}
	}
	for t, address := range s.Brokers {
		s.Brokers[t] = workspace.Redacted(address)
	}
	return s
}

// ServiceStatus is the status of one service.
type ServiceStatus struct {
	Name    string    `json:"name"`
	State   State     `json:"state"`
	Pid     int       `json:"pid,omitempty"` // of the process that serves, or is starting
	URL     string    `json:"url"`           // without a password
	Since   time.Time `json:"since"`         // when State last changed
	Crashes int       `json:"crashes"`       // in this run
	// BuildFailed reports that the last build has failed.
	BuildFailed bool `json:"buildFailed,omitempty"`
	// Problem is why the service has failed to start, or what it waits for.
	Problem string `json:"problem,omitempty"`
	// Debugger is where debuggers attach, host:port, or "" if it is not debugged.
	Debugger string `json:"debugger,omitempty"`
	// Broker is the address of its broker, with the password, or "" if it has none.
	Broker string `json:"broker,omitempty"`
	// RunsBroker reports that it is a broker that was started for this run.
	RunsBroker bool `json:"runsBroker,omitempty"`
}

// board derives the status from the events of the run. It is safe for concurrent use.
type board struct {
	mu     sync.Mutex // guards status
	status Status
}

func newBoard(w *workspace.Workspace) *board {
	return &board{status: Status{Workspace: w.Name, Pid: os.Getpid(), Started: time.Now()}}
}

func (b *board) read() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	copied := b.status
	copied.Services = slices.Clone(copied.Services) // Brokers does not change after init
	return copied
}

// init sets the services and brokers of the run.
func (b *board) init(units []unit, brokers *broker.Set) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Services = make([]ServiceStatus, len(units))
	for i, u := range units {
		b.status.Services[i] = ServiceStatus{Name: u.spec.Name, State: StateWaiting, URL: u.url, Since: b.status.Started, RunsBroker: u.runsBroker}
		if u.broker != nil {
			b.status.Services[i].Broker = u.broker.URL
		}
	}
	for _, one := range brokers.All {
		if b.status.Brokers == nil {
			b.status.Brokers = map[string]string{}
		}
		if b.status.Brokers[string(one.Transport)] == "" {
			b.status.Brokers[string(one.Transport)] = one.URL
		}
	}
}

func (b *board) note(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.status.Services {
		if s := &b.status.Services[i]; s.Name == e.Service {
			s.note(e)
		}
	}
}

func (s *ServiceStatus) note(e Event) {
	set := func(state State) { s.State, s.Pid, s.Since = state, e.Pid, e.Time }
	switch e.Kind {
	case KindStarting:
		if !s.serves() { // otherwise, the old process keeps serving
			set(StateStarting)
		}
	case KindReady, KindSwapped:
		set(StateReady)
		s.URL, s.Problem = cmp.Or(e.URL, s.URL), ""
	case KindCrashed:
		s.Crashes++
		if e.Pid == s.Pid || !s.serves() {
			set(StateCrashed)
			s.Pid = 0
		}
	case KindDebugger:
		s.Debugger = e.URL
	case KindPaused:
		set(StatePaused)
	case KindContinued:
		set(StateReady)
	case KindStopping:
		if e.Pid == s.Pid {
			set(StateStopping)
		}
	case KindStopped, KindKilled:
		if e.Pid == s.Pid {
			set(StateStopped)
			s.Pid = 0
		}
	case KindBuilt, KindUnchanged:
		s.BuildFailed = false
	case KindBuildFailed:
		s.BuildFailed = true
		if s.State == StateWaiting {
			set(StateFailed)
		}
	case KindFailed:
		set(StateFailed)
		s.Problem = e.Text
	case KindHalted:
		if s.Pid == 0 {
			set(StateStopped)
		}
		s.Problem = ""
	case KindWaiting:
		if s.State == StateStopped {
			set(StateWaiting)
		}
		s.Problem = "waiting for " + e.Text
	}
}

// serves reports whether a process of the service is ready.
func (s *ServiceStatus) serves() bool { return s.State == StateReady || s.State == StatePaused }
