package microredis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/micro"
)

// link keeps one side's session: it makes it, and makes another when it is lost.
type link struct {
	options  *redis.Options
	settings settings
	stubborn bool // once it has been up, nothing but the number of attempts ends it
	log      *slog.Logger
	receive  func(*session, *redis.Message) (leading bool)
	prepare  func(context.Context, *session) error // before the session counts as up
	ended    func(*session)                        // after its end
	waiting  func() bool                           // whether somebody waits for an answer
	out      *publisher

	mu      sync.Mutex // guards what follows
	current *session
	failure error         // why there is no session
	changed chan struct{} // closed, and made anew, when something above changes
	running bool
}

// run keeps a session until ctx ends, or no more attempts are to be made.
func (l *link) run(ctx context.Context) error {
	was := false
	downSince := time.Now()
	for attempt := 0; ; attempt++ {
		s, err := l.attempt(ctx)
		if ctx.Err() != nil {
			if s != nil {
				l.discard(s)
			}
			return nil
		}
		if err == nil {
			if was {
				l.log.Info("connection restored", "transport", "redis", "address", l.options.Addr, "after", time.Since(downSince).Round(time.Millisecond))
			}
			was, attempt = true, 0
			l.hold(ctx, s)
			if ctx.Err() != nil {
				return nil
			}
			downSince = time.Now()
			l.log.Warn("connection lost", "transport", "redis", "address", l.options.Addr, "error", s.reason())
			err = s.reason()
		} else if l.final(err, was) || l.settings.attempts >= 0 && attempt >= l.settings.attempts {
			return err
		} else if attempt == 0 || attempt%20 == 0 {
			l.log.Warn("cannot connect yet", "transport", "redis", "address", l.options.Addr, "error", err)
		}
		l.set(nil, err)
		if pause(ctx, l.delay(attempt)) != nil {
			return nil
		}
	}
}

// attempt makes a session that is ready for use.
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

// hold has the session in use until it ends.
func (l *link) hold(ctx context.Context, s *session) {
	l.out.attach(s)
	l.set(s, nil)
	select {
	case <-s.lost:
	case <-ctx.Done():
		s.fail(micro.ErrClosed)
	}
	l.set(nil, s.reason())
	l.out.detach()
	l.ended(s)
	l.discard(s)
}

// discard frees a session that has ended.
func (l *link) discard(s *session) {
	s.fail(micro.ErrClosed)
	s.shut()
	s.readers.Wait()
}

func (l *link) set(s *session, failure error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.failure = s, failure
	close(l.changed)
	l.changed = make(chan struct{})
}

// session returns the session there is, or nil.
func (l *link) session() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// start runs the link by wg until ctx ends, if it does not run.
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
		l.running = false
		l.mu.Unlock()
		l.set(nil, err)
	})
}

// state returns the session there is, or nil, why there is none, whether one is
// being made, and what is closed when any of that changes.
func (l *link) state() (s *session, failure error, running bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, l.failure, l.running, l.changed
}

// maxDelay is the longest pause that doubling leads to.
const maxDelay = 2 * time.Second

// delay returns the pause after so many failures, jittered.
func (l *link) delay(failures int) time.Duration {
	d := l.settings.delay
	for range failures {
		if d >= maxDelay {
			break
		}
		d = min(2*d, maxDelay)
	}
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

// final reports whether err will not pass by itself: Redis wants other
// credentials, or the two sides do not agree on TLS.
func (l *link) final(err error, was bool) bool {
	if l.stubborn && was {
		return false
	}
	var answer redis.Error
	var header tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &header), errors.As(err, &verify), errors.As(err, &unknown):
		return true
	case errors.As(err, &answer):
		text := answer.Error()
		for _, refusal := range []string{"WRONGPASS", "NOAUTH", "NOPERM", "ERR invalid password", "ERR AUTH", "ERR Client sent AUTH"} {
			if strings.HasPrefix(text, refusal) {
				return true
			}
		}
	}
	return false
}

// list shows some names.
func list(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
