package microredis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/internal/stagger"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microredis/internal/redisurl"
)

// link keeps the session of a listener or client. It replaces a lost session with a new
// one.
type link struct {
	options *redis.Options
	// sentinels know the address of Redis; nil without them
	sentinels *redisurl.Sentinels
	memory    stagger.Memory
	settings  settings
	stubborn  bool // after the first session, give up only after the maximum number of attempts
	log       func() *slog.Logger
	receive   func(*session, *redis.Message) (leading bool)
	prepare   func(context.Context, *session) error // called before the session is used
	ended     func(*session)                        // called after the session has ended
	waiting   func() bool                           // reports whether calls or events are in flight
	out       *publisher
	watch     *lead.Watch // set for a server, which holds back what it publishes until all messages of a read have been processed

	mu      sync.Mutex // guards the fields below
	current *session
	failure error         // why there is no session
	failed  time.Time     // when the last attempt to connect failed; zero while there is none, or another is being made
	hurry   chan struct{} // closed to end the pause before the next attempt; nil when there is none
	running bool
	silent  time.Time     // when a session last ended without Redis noticing it
	changed chan struct{} // closed and replaced when a field above changes
}

// run keeps a session until ctx ends or the attempts are used up.
func (l *link) run(ctx context.Context) error {
	var lost time.Time // zero before the first session
	for attempt := 0; ; attempt++ {
		s, err := l.attempt(ctx)
		if err == nil {
			if !lost.IsZero() {
				s.settled = clock() + int64(settle)
				l.log().Info("connection restored", "transport", "redis", "address", l.options.Addr, "after", time.Since(lost).Round(time.Millisecond))
			}
			err = l.hold(ctx, s)
			lost, attempt = time.Now(), -1
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case attempt < 0:
			l.log().Warn("connection lost", "transport", "redis", "address", l.options.Addr, "error", err)
		case l.final(err, !lost.IsZero()), l.settings.attempts >= 0 && attempt >= l.settings.attempts:
			return err
		case attempt%attemptsPerLine == 0:
			l.log().Warn("cannot connect yet", "transport", "redis", "address", l.options.Addr, "error", err)
		}
		l.set(nil, err)
		if l.rest(ctx, attempt) != nil {
			return nil
		}
	}
}

// rest pauses after the given number of failures, unless hasten ends the pause. A negative
// number means that a session was lost.
func (l *link) rest(ctx context.Context, failures int) error {
	hurry := make(chan struct{})
	l.mu.Lock()
	if failures >= 0 {
		l.failed, l.hurry = time.Now(), hurry
		l.become(nil, l.failure)
	}
	l.mu.Unlock()
	timer := time.NewTimer(l.delay(failures))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hurry:
	case <-ctx.Done():
	}
	l.mu.Lock()
	l.failed, l.hurry = time.Time{}, nil
	l.mu.Unlock()
	return ctx.Err()
}

// hasten makes a link that pauses attempt to connect now. An attempt that has just failed
// counts as this one, so that frequent messages do not cause frequent attempts.
func (l *link) hasten() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hurry != nil && time.Since(l.failed) > firstDelay {
		close(l.hurry)
		l.failed, l.hurry = time.Time{}, nil
	}
}

// settle is how long after a reconnect a request without a receiver is sent again,
// because its service is probably about to reconnect as well.
const settle = 3 * time.Second

// attemptsPerLine is the number of failed attempts per log line.
const attemptsPerLine = 20

// attempt opens a session that is ready for use.
func (l *link) attempt(ctx context.Context) (*session, error) {
	s, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	s.begin()
	if err := l.prepare(ctx, s); err != nil {
		s.fail(err)
		l.discard(s)
		return nil, err
	}
	return s, nil
}

// hold uses a session until it ends, and returns the reason why it ended.
func (l *link) hold(ctx context.Context, s *session) error {
	l.out.attach(s)
	l.set(s, nil)
	select {
	case <-s.lost:
	case <-ctx.Done():
		s.fail(micro.ErrClosed)
	}
	l.set(nil, s.reason())
	if leftOpen(s.reason()) {
		l.mu.Lock()
		l.silent = time.Now()
		l.mu.Unlock()
	}
	l.out.attach(nil)
	l.ended(s)
	l.discard(s)
	return s.reason()
}

// leftOpen reports whether a session that ended for this reason may still be open for Redis,
// because it had been silent.
func leftOpen(reason error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(reason, errSilent) || errors.As(reason, &timeout) && timeout.Timeout()
}

// discard frees a session that has ended.
func (l *link) discard(s *session) {
	s.fail(micro.ErrClosed)
	_ = s.Close()
	s.readers.Wait()
}

func (l *link) set(s *session, failure error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.become(s, failure)
}

// become is set with mu held.
func (l *link) become(s *session, failure error) {
	l.current, l.failure = s, failure
	close(l.changed)
	l.changed = make(chan struct{})
}

// session returns the current session, or nil.
func (l *link) session() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// start starts run in wg unless it is already running.
func (l *link) start(ctx context.Context, wg *sync.WaitGroup) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running || ctx.Err() != nil {
		return
	}
	l.running, l.failure = true, nil
	wg.Go(func() {
		err := l.run(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.running = false
		l.become(nil, err)
	})
}

// linkState is a snapshot of a link's state.
type linkState struct {
	session *session        // nil if there is none
	failure error           // why there is none
	failed  bool            // whether the last attempt to connect has failed, and there is none now
	running bool            // whether the link is trying to connect
	changed <-chan struct{} // closed when anything here has changed
}

func (l *link) state() linkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return linkState{l.current, l.failure, !l.failed.IsZero(), l.running, l.changed}
}

// firstDelay is the pause after the first failure.
const firstDelay = 50 * time.Millisecond

// delay returns the jittered pause after the given number of failures.
func (l *link) delay(failures int) time.Duration {
	longest := l.settings.delay
	d := min(firstDelay, longest)
	for i := 0; i < failures && d < longest; i++ {
		d = min(2*d, longest)
	}
	return jitter(d)
}

// jitter returns a duration between half of d and d.
func jitter(d time.Duration) time.Duration {
	if d <= 1 {
		return max(d, 0)
	}
	return d/2 + rand.N(d/2)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// final reports whether retrying does not help. A stubborn link that has been connected
// before retries after any error, because the problem may be about to be fixed.
func (l *link) final(err error, was bool) bool {
	return isRefusal(err) && !(l.stubborn && was)
}

// isRefusal reports whether Redis rejected the credentials or permissions, or the TLS
// handshake failed.
func isRefusal(err error) bool {
	var header tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	return errors.As(err, &header) || errors.As(err, &verify) || isLoginError(err) || isForbidden(err)
}

// isLoginError reports whether Redis rejected the login, or requires one, as its protected mode
// does.
func isLoginError(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	for _, refusal := range []string{"WRONGPASS", "NOAUTH", "ERR invalid password", "ERR AUTH", "ERR Client sent AUTH", "DENIED"} {
		if strings.HasPrefix(answer.Error(), refusal) {
			return true
		}
	}
	return false
}

// refusal returns the error that a rejection by Redis matches.
func refusal(err error) error {
	switch {
	case isForbidden(err):
		return micro.ErrForbidden
	case isPassing(err):
		return micro.ErrUnreachable
	}
	return micro.ErrRefused
}

// isPassing reports whether err is a reply that Redis gives for a while only, whatever the
// command: it runs a long script, loads its data, or has no master, memory, or disk.
func isPassing(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	for _, passing := range []string{
		"BUSY ", "LOADING ", "MASTERDOWN ", "READONLY ", "CLUSTERDOWN ", "TRYAGAIN ", "NOREPLICAS ", "MISCONF ", "OOM ",
		"ERR max number of clients",
	} {
		if strings.HasPrefix(answer.Error(), passing) {
			return true
		}
	}
	return false
}

// isForbidden reports whether the user lacks a permission.
func isForbidden(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer) && strings.HasPrefix(answer.Error(), "NOPERM")
}

// list joins the first few names for a message.
func list(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
