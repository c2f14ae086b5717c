package proc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/msctl/msctl/internal/proc/child"
)

// MaxPause is the longest time for which a service can be paused.
const MaxPause = 10 * time.Minute

// pauseError is an error in a request to pause a service, with its HTTP status.
type pauseError struct {
	status int
	text   string
}

func (e *pauseError) Error() string { return e.text }

// pauseRequest is a request to the owner of a service.
type pauseRequest struct {
	length time.Duration
	result chan error // buffered
}

// Pause pauses the process group of a service for d, at most [MaxPause]: its processes
// stop executing, and messages to them wait in their sockets. Pause returns when they have
// stopped. The run resumes them after d, even if the caller has ended, and earlier if it
// replaces or stops the service. Pausing a paused service extends or shortens the pause to
// d from now. Pause fails if the run has no such service, if the service is not ready, and
// on Windows.
func (c Control) Pause(ctx context.Context, service string, d time.Duration) error {
	query := url.Values{"service": {service}, "for": {d.String()}}
	_, err := c.request(ctx, http.MethodPost, "/pause?"+query.Encode())
	return err
}

// servePause handles the request of Control.Pause.
func (r *run) servePause(w http.ResponseWriter, req *http.Request) {
	err := r.pause(req.Context(), req.FormValue("service"), req.FormValue("for"))
	var invalid *pauseError
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
	case errors.As(err, &invalid):
		http.Error(w, err.Error(), invalid.status)
	case errors.Is(err, child.ErrNoPause):
		http.Error(w, err.Error(), http.StatusNotImplemented)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// pause pauses a service.
func (r *run) pause(ctx context.Context, name, length string) error {
	d, err := time.ParseDuration(length)
	if err != nil || d <= 0 || d > MaxPause {
		return &pauseError{http.StatusBadRequest, fmt.Sprintf("invalid pause %q: must be more than 0s and at most %v", length, MaxPause)}
	}
	for _, s := range r.services {
		if s.spec.Name == name {
			return s.requestPause(ctx, d)
		}
	}
	return &pauseError{http.StatusNotFound, fmt.Sprintf("service %q is not running", name)}
}

// requestPause asks the owner of the service to pause it.
func (s *service) requestPause(ctx context.Context, d time.Duration) error {
	if !s.wasReady() { // its owner may be waiting for a build, and not receive the request
		return s.cannotPause()
	}
	request := pauseRequest{d, make(chan error, 1)}
	select {
	case s.pauses <- request:
	case <-s.stop:
		return s.cannotPause()
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-request.result
}

func (s *service) cannotPause() error {
	return &pauseError{http.StatusConflict, "service " + s.spec.Name + " cannot be paused: it is not ready"}
}

// onPause pauses the live process, or changes when its pause ends.
func (s *service) onPause(ctx context.Context, d time.Duration) error {
	if s.live == nil || s.restarting || ctx.Err() != nil {
		return s.cannotPause()
	}
	if s.usesDelve() { // which would receive the signal
		return &pauseError{http.StatusConflict, "service " + s.spec.Name + " cannot be paused: it is debugged"}
	}
	if err := s.live.Pause(); err != nil {
		return fmt.Errorf("pause service %s: %w", s.spec.Name, err)
	}
	if s.pausedAt.IsZero() {
		s.pausedAt = time.Now()
	}
	s.pauseEnd.Reset(d)
	s.emit(Event{Kind: KindPaused, Pid: s.live.Pid, Delay: d})
	return nil
}

// resume resumes the live process if it is paused. It must be called before the process
// is ended or replaced, because a stopped process does not handle SIGTERM.
func (s *service) resume() {
	if s.pausedAt.IsZero() {
		return
	}
	s.pauseEnd.Stop()
	took := time.Since(s.pausedAt)
	s.pausedAt = time.Time{}
	if s.live.Resume() {
		s.emit(Event{Kind: KindContinued, Pid: s.live.Pid, Took: took})
	}
}
