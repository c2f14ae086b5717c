package proc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/proc/socket"
	"github.com/msctl/msctl/internal/workspace"
)

// A service that fails to start does not end the run, unless that is fatal: it tries again
// when its files change, and with a growing delay. The services that depend on it wait.

// fatal reports whether a failure of the service to start ends the run. All services
// depend on the brokers of the run.
func (s *service) fatal() bool { return s.run.options.FailFast || s.runsBroker }

// The ways in which a service fails to start.
const (
	notStarted = "not started"
	endsEarly  = "ends early"
	isMute     = "does not answer"
)

// failed reports why the service has failed to start. Repeated reports of the same way are
// quiet.
func (s *service) failed(way string, e Event) {
	e.Kind, e.Quiet = KindFailed, way == s.failure
	s.failure = way
	s.emit(e)
	s.markFailed()
}

// startFailure describes why a process could not be started, without the name of the
// service.
func (s *service) startFailure(err error) string {
	var port *socket.PortError
	if errors.As(err, &port) {
		return strings.TrimPrefix(err.Error(), "service "+s.spec.Name+": ")
	}
	return "cannot be started: " + err.Error()
}

// missingPackages reports that the packages of a Node.js program are not installed. It returns
// "" if they are, or if the service is another program.
func missingPackages(w *workspace.Workspace, s *workspace.Service) string {
	if s.Path != "" {
		return ""
	}
	dir := w.WorkDir(s)
	if _, err := os.Stat(filepath.Join(dir, "package-lock.json")); err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err == nil {
		return ""
	}
	return "; its packages are not installed: run `npm ci` in " + filepath.ToSlash(cmp.Or(s.Dir, "."))
}

// markFailed lets the services that depend on this one report that they wait.
func (s *service) markFailed() {
	s.failing.Store(true)
	s.hold()
}

func (s *service) hold() { s.holdOnce.Do(func() { close(s.held) }) }

// awaitNeeds closes needsMet when all services that this one depends on have been ready.
// If one of them fails to start, it reports that this service waits.
func (s *service) awaitNeeds(ctx context.Context) {
	met := make(chan struct{})
	s.needsMet = met
	var needs sync.WaitGroup
	var report sync.Once
	for _, other := range s.run.services {
		if !slices.Contains(s.needs, other.spec.Name) {
			continue
		}
		needs.Go(func() {
			select {
			case <-other.firstReady:
				return
			case <-ctx.Done():
				return
			case <-other.held:
			}
			report.Do(func() {
				s.emit(Event{Kind: KindWaiting, Text: other.spec.Name})
				s.hold()
			})
			select {
			case <-other.firstReady:
			case <-ctx.Done():
			}
		})
	}
	s.helpers.Go(func() {
		needs.Wait()
		if ctx.Err() == nil {
			close(met)
		}
	})
}

// openSocket opens the listening socket of the service; own closes it.
func (s *service) openSocket(ctx context.Context) error {
	l, err := s.listen(ctx)
	if err != nil {
		return err
	}
	s.socket, s.opened = l, l
	return nil
}

// announceReady emits KindAllReady when every service has been ready once. If some cannot
// start, it first emits KindPartlyReady when the others are ready.
func (r *run) announceReady(ctx context.Context) {
	for _, s := range r.services {
		select {
		case <-s.firstReady:
		case <-s.held:
		case <-ctx.Done():
			return
		}
	}
	if text := r.missing(); text != "" {
		r.emit(Event{Kind: KindPartlyReady, Text: text})
	}
	for _, s := range r.services {
		select {
		case <-s.firstReady:
		case <-ctx.Done():
			return
		}
	}
	r.emit(Event{Kind: KindAllReady, Took: time.Since(r.began)})
}

// missing describes the services that have not been ready; "" if there are none.
func (r *run) missing() string {
	var failed, waiting []string
	ready := 0
	for _, s := range r.services {
		switch {
		case s.runsBroker:
		case s.wasReady():
			ready++
		case s.failing.Load():
			failed = append(failed, s.spec.Name)
		default:
			waiting = append(waiting, s.spec.Name)
		}
	}
	if len(failed)+len(waiting) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d services ready; failed: %s", ready, ready+len(failed)+len(waiting), strings.Join(failed, ", "))
	if len(waiting) > 0 {
		text += "; waiting: " + strings.Join(waiting, ", ")
	}
	return text
}

// listen opens the listening socket of a service that inherits it.
func (u *unit) listen(ctx context.Context) (l net.Listener, err error) {
	l, err = socket.Listen(ctx, u.spec.Name, address(u.spec))
	if err != nil {
		return nil, err
	}
	if isLocalhost(u.spec.Host) { // a client of localhost must not reach another program
		if err := socket.CheckFree(ctx, u.spec.Name, reachable(u.spec)[1]); err != nil {
			_ = l.Close()
			return nil, err
		}
	}
	return l, nil
}
