package proc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// MaxPause bounds how long a service can be paused.
const MaxPause = 10 * time.Minute

// errNoPause is what a system says that cannot do it.
var errNoPause = errors.New("pausing a process is not supported on this system")

// pauseError is an error of whoever asks for a pause, with its HTTP status.
type pauseError struct {
	status int
	text   string
}

func (e *pauseError) Error() string { return e.text }

// pauseRequest asks the owner of a service to pause it.
type pauseRequest struct {
	length time.Duration
	result chan error // has room for one
}

// Pause stops the process of a service, and the processes it has started, where
// they are for d, at most MaxPause: they neither work nor answer, and what is
// sent to them waits in their sockets. It returns when they have been stopped;
// the run itself lets them go on after d, whatever becomes of the caller, and
// earlier when the service is to be replaced or stopped. Pausing a service that
// is paused already sets the time anew, to d from now. It is an error when the
// run has no such service, when that is not ready, and on Windows.
func (c Control) Pause(ctx context.Context, service string, d time.Duration) error {
	query := url.Values{"service": {service}, "for": {d.String()}}
	_, err := c.request(ctx, http.MethodPost, "/pause?"+query.Encode())
	return err
}

// servePause serves Control.Pause.
func (r *run) servePause(w http.ResponseWriter, req *http.Request) {
	err := r.pause(req.Context(), req.FormValue("service"), req.FormValue("for"))
	var asked *pauseError
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
	case errors.As(err, &asked):
		http.Error(w, err.Error(), asked.status)
	case errors.Is(err, errNoPause):
		http.Error(w, err.Error(), http.StatusNotImplemented)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// pause has a service's owner pause it.
func (r *run) pause(ctx context.Context, name, length string) error {
	d, err := time.ParseDuration(length)
	if err != nil || d <= 0 || d > MaxPause {
		return &pauseError{http.StatusBadRequest, fmt.Sprintf("%q is not how long to pause, more than 0 and at most %v", length, MaxPause)}
	}
	for _, s := range r.services {
		if s.spec.Name == name {
			return s.askPause(ctx, d)
		}
	}
	return &pauseError{http.StatusNotFound, fmt.Sprintf("no service %q runs here", name)}
}

// askPause is for other goroutines than the service's owner.
func (s *service) askPause(ctx context.Context, d time.Duration) error {
	if !s.wasReady() { // and its owner may be waiting for a build
		return s.cannotPause()
	}
	ask := pauseRequest{d, make(chan error, 1)}
	select {
	case s.pauses <- ask:
	case <-s.stop:
		return s.cannotPause()
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-ask.result
}

func (s *service) cannotPause() error {
	return &pauseError{http.StatusConflict, "service " + s.spec.Name + " is not ready, so it cannot be paused"}
}

// onPause pauses the process that serves, or sets the time anew at which it
// goes on.
func (s *service) onPause(ctx context.Context, d time.Duration) error {
	if s.live == nil || s.restarting || ctx.Err() != nil {
		return s.cannotPause()
	}
	if err := s.live.group.pause(s.live.pid); err != nil {
		return fmt.Errorf("pause service %s: %w", s.spec.Name, err)
	}
	if s.pausedAt.IsZero() {
		s.pausedAt = time.Now()
	}
	s.goOn.Reset(d)
	s.emit(Event{Kind: KindPaused, Pid: s.live.pid, Delay: d})
	return nil
}

// resume lets the process that serves go on, if it is paused. Everything that
// ends or replaces that process calls it first: a stopped process does not hear
// that it shall drain.
func (s *service) resume() {
	if s.pausedAt.IsZero() {
		return
	}
	s.goOn.Stop()
	took := time.Since(s.pausedAt)
	s.pausedAt = time.Time{}
	select {
	case <-s.live.exited: // somebody has killed it meanwhile; its number may be another's
		return
	default:
	}
	s.live.group.resume(s.live.pid)
	s.emit(Event{Kind: KindContinued, Pid: s.live.pid, Took: took})
}
