package proc

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/workspace"
)

// State is how a service is.
type State string

// The states of a service.
const (
	StateWaiting  State = "waiting"  // to be built, or for those it depends on
	StateStarting State = "starting" // was started and has not answered yet
	StateReady    State = "ready"
	StatePaused   State = "paused"  // is ready, and stopped for a while
	StateCrashed  State = "crashed" // will be started again
	StateStopping State = "stopping"
	StateStopped  State = "stopped"
)

// Status is what a run tells of itself to `msctl ps`.
type Status struct {
	Workspace string          `json:"workspace"`
	Pid       int             `json:"pid"` // of msctl
	Started   time.Time       `json:"started"`
	Services  []ServiceStatus `json:"services"`
	// Brokers are the addresses of the brokers in use, by transport, with
	// their passwords: see [Status.Redacted] and [Status.BrokerOf].
	Brokers map[string]string `json:"brokers,omitempty"`
}

// BrokerOf is the address of the broker through which a service of the run is
// reached, with its password; "" for a service that does not run, or has none.
func (s Status) BrokerOf(service string) string {
	for _, one := range s.Services {
		if one.Name == service && !one.RunsBroker {
			return one.Broker
		}
	}
	return ""
}

// Redacted is the status as it may be shown: without passwords.
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

// ServiceStatus is how one service of a run is.
type ServiceStatus struct {
	Name    string    `json:"name"`
	State   State     `json:"state"`
	Pid     int       `json:"pid,omitempty"` // of the process that serves, or will
	URL     string    `json:"url"`           // without a password
	Since   time.Time `json:"since"`         // of the state
	Crashes int       `json:"crashes"`       // since the start of the run
	// BuildFailed says that the files as they are do not build.
	BuildFailed bool `json:"buildFailed,omitempty"`
	// Broker is the address of its broker, with the password; "" without one.
	Broker string `json:"broker,omitempty"`
	// RunsBroker says that it is a broker that was started for this run.
	RunsBroker bool `json:"runsBroker,omitempty"`
}

// board keeps the status up to date from the events of the run. It is safe for
// concurrent use.
type board struct {
	mu     sync.Mutex // guards status
	status Status
}

func (b *board) read() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	copied := b.status
	copied.Services = slices.Clone(copied.Services) // Brokers does not change once it is there
	return copied
}

// show puts the brokers of a run in.
func (b *board) show(r *run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Services = make([]ServiceStatus, len(r.units))
	for i, u := range r.units {
		b.status.Services[i] = ServiceStatus{Name: u.spec.Name, State: StateWaiting, URL: u.where, Since: b.status.Started, RunsBroker: u.runsBroker}
		if u.broker != nil {
			b.status.Services[i].Broker = u.broker.url
		}
	}
	for _, broker := range r.brokers {
		if b.status.Brokers == nil {
			b.status.Brokers = map[string]string{}
		}
		if b.status.Brokers[string(broker.transport)] == "" {
			b.status.Brokers[string(broker.transport)] = broker.url
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
		if !s.serves() { // otherwise the old one serves on
			set(StateStarting)
		}
	case KindReady, KindSwapped:
		set(StateReady)
	case KindCrashed:
		s.Crashes++
		if e.Pid == s.Pid || !s.serves() {
			set(StateCrashed)
			s.Pid = 0
		}
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
	}
}

// serves reports whether there is a process that has answered.
func (s *ServiceStatus) serves() bool { return s.State == StateReady || s.State == StatePaused }
