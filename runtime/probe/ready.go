package probe

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// readyTimeout limits a check of /ready.
const readyTimeout = 3 * time.Second

// The states of a program, as the probes report them.
const (
	stateOK           = "ok"
	stateError        = "error"
	stateShuttingDown = "shutting_down"
)

// status is the body of a probe's response.
type status struct {
	Message string `json:"message,omitempty"`
	Status  string `json:"status"`
}

// addProbes adds /live and /ready. running ends when the program begins to shut down.
func (p *Port) addProbes(running context.Context) {
	p.mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) { write(w, status{Status: stateOK}) })
	p.mux.HandleFunc("GET /ready", func(w http.ResponseWriter, req *http.Request) {
		var err error
		if running.Err() == nil {
			// The check does not end with the request that began it: others wait for its result.
			ctx, cancel := context.WithTimeout(p.ctx, readyTimeout)
			defer cancel()
			err = p.checks.ask(ctx, req.Context())
		}
		switch {
		case running.Err() != nil: // whatever a draining part reports
			write(w, status{Status: stateShuttingDown})
		case err != nil:
			write(w, status{Status: stateError, Message: err.Error()})
		default:
			write(w, status{Status: stateOK})
		}
	})
}

// write writes a probe's result. Only stateOK has the status code 200.
func write(w http.ResponseWriter, s status) {
	text, err := json.Marshal(s)
	if err != nil {
		text = []byte(`{"status":"error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if s.Status != stateOK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(text, '\n')) // an error means that the caller is gone
}

// checks asks the parts of a program. However many requests there are, it asks only once at a
// time, because a part may ask a database in turn: requests that arrive meanwhile wait for the
// same result.
type checks struct {
	parts []Readiness

	mu      sync.Mutex
	running *check // nil if there is none
}

type check struct {
	done chan struct{} // closed when err is set
	err  error
}

// ask returns the first reason of a part that is not ready, or nil. A check has the context ctx;
// waiting for that of another caller ends with waiting.
func (c *checks) ask(ctx, waiting context.Context) error {
	c.mu.Lock()
	current, first := c.running, c.running == nil
	if first {
		current = &check{done: make(chan struct{})}
		c.running = current
	}
	c.mu.Unlock()
	if first {
		c.run(ctx, current)
	}
	select {
	case <-current.done:
		return current.err
	case <-waiting.Done():
		return waiting.Err()
	}
}

func (c *checks) run(ctx context.Context, current *check) {
	// A part that panics must not leave the others waiting for it.
	current.err = context.Canceled
	defer func() {
		c.mu.Lock()
		c.running = nil
		c.mu.Unlock()
		close(current.done)
	}()
	var err error
	for _, part := range c.parts {
		if err = part.Ready(ctx); err != nil {
			break
		}
	}
	current.err = err
}
