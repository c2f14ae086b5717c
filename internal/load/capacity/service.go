package capacity

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Config configures a service. The zero value has one worker and a service time of 0.
type Config struct {
	// Workers is how many requests are processed concurrently; 0 means 1.
	Workers int
	// ServiceTime is the distribution of the time to process one request.
	ServiceTime Distribution
	// Queue is how many requests may wait for a worker; others are rejected with
	// status 503. 0 means [MaxWaiting].
	Queue int
	// DropExpired makes workers reply with status 504 to requests whose caller has
	// given up instead of processing them.
	DropExpired bool
	// Seed makes the service times repeatable: with the same seed, the n-th job takes
	// the same time in every run.
	Seed uint64
	// Answer is the JSON text of every reply; nil means {"ok":true}.
	Answer json.RawMessage
	// Log receives what the server logs; nil discards it.
	Log *slog.Logger
}

// MaxWaiting bounds the requests that wait, whatever [Config.Queue] is. Each of them
// holds a goroutine of the server and 4 KB of memory, so this many take 200 MB.
const MaxWaiting = 50_000

// Capacity returns the capacity in requests per second: the number of workers divided
// by the mean service time. It is +Inf if the service time is 0.
func (c Config) Capacity() float64 {
	mean := c.ServiceTime.Mean()
	if mean <= 0 {
		return math.Inf(1)
	}
	return float64(c.workers()) / mean.Seconds()
}

func (c Config) workers() int { return max(c.Workers, 1) }

// Stats are the counts of a service. Until the service is closed, Arrived is the sum of
// all the others except Wasted.
type Stats struct {
	Arrived uint64 // requests received
	Waiting int    // requests in the queue now
	Busy    int    // requests in progress now
	Done    uint64 // requests processed
	Wasted  uint64 // those of Done whose callers had given up
	Expired uint64 // requests dropped because their callers had given up
	Refused uint64 // requests rejected because the queue was full
}

// Service is a queue and its workers. Make it with New, register its Handler on a
// server, and call Close at the end. It is safe for concurrent use. It has no
// goroutine: arrivals and a timer drive it.
type Service struct {
	config Config
	began  time.Time
	answer micro.Value

	mu      sync.Mutex // guards what follows
	queue   queue
	times   Distribution
	timer   *time.Timer
	timerAt time.Duration // when the timer fires; 0 if it is not set
	closed  bool
}

// New returns a service that is idle until its Handler is called.
func New(c Config) *Service {
	s := &Service{config: c, began: time.Now(), times: c.ServiceTime}
	s.answer = micro.Value{Raw: c.Answer, Last: true}
	if c.Answer == nil {
		s.answer.Raw = json.RawMessage(`{"ok":true}`)
	}
	random := rand.New(rand.NewPCG(c.Seed, 0x6d6f636b))
	s.queue = queue{
		workers: c.workers(), room: max(c.Queue, 0), dropExpired: c.DropExpired,
		draw: func() time.Duration { return s.times.draw(random) },
	}
	s.timer = time.AfterFunc(time.Hour, s.tick)
	s.timer.Stop()
	return s
}

// Handler returns the service as a message handler, for any number of patterns and
// servers. It returns when the request has been processed, even if its context has
// ended: abandoned requests are processed, too. The error has status 503 if the queue
// is full and, with DropExpired, 504 if the caller has given up.
func (s *Service) Handler() micro.Handler {
	var (
		errFull    = micro.Errorf(503, "the queue is full")
		errExpired = micro.Errorf(504, "the caller had given up before the work started")
		errClosed  = micro.Errorf(503, "the service is shutting down")
	)
	return func(ctx context.Context, _ *micro.Request, reply micro.Reply) error {
		switch s.work(ctx) {
		case refused:
			return errFull
		case expired:
			return errExpired
		case closed:
			return errClosed
		}
		return reply.Send(s.answer)
	}
}

// work queues a request and waits for its verdict.
func (s *Service) work(ctx context.Context) verdict {
	j := &job{ctx: ctx, result: make(chan verdict, 1)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return closed
	}
	s.queue.arrive(s.now(), j)
	s.arm()
	s.mu.Unlock()
	return <-j.result
}

// Stall makes the workers neither start nor finish any job for d from now on, as if
// the process were paused. Requests wait, and none is rejected before the stall ends.
// A stall within another one has no effect unless it ends later.
func (s *Service) Stall(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.stall(s.now(), d)
	s.arm()
}

// SetServiceTime changes the service time of jobs that start from now on.
func (s *Service) SetServiceTime(d Distribution) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.advance(s.now())
	s.times = d
	s.arm()
}

// Capacity returns [Config.Capacity] with the current service time.
func (s *Service) Capacity() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config
	now.ServiceTime = s.times
	return now.Capacity()
}

// Stats returns the current counts.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.advance(s.now())
	s.arm()
	return s.queue.stats()
}

// Close ends every request in the queue or in progress, and all later ones, with
// status 503. It may be called more than once.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.advance(s.now())
	s.closed = true
	s.queue.close()
	s.timer.Stop()
}

func (s *Service) now() time.Duration { return time.Since(s.began) }

// tick runs when the timer fires, on its own goroutine.
func (s *Service) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timerAt = 0
	if !s.closed {
		s.queue.advance(s.now())
		s.arm()
	}
}

// arm sets the timer to the queue's next event.
func (s *Service) arm() {
	at, ok := s.queue.next()
	if !ok || at == s.timerAt || s.closed {
		return // a timer that is still set without a next event does nothing
	}
	s.timerAt = at
	s.timer.Reset(at - s.now())
}
