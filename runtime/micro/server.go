package micro

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/tap"
	"github.com/msctl/msctl/runtime/wire"
)

// Server routes messages to handlers. Create it with [NewServer], register handlers,
// then call Serve. Handlers must be registered by one goroutine, before Serve; everything
// else is safe for concurrent use.
type Server struct {
	name, version, instance string
	log                     *slog.Logger
	codec                   Codec
	defaults                handlerConfig
	maxInFlight             int64
	drainTimeout            time.Duration
	checks                  []healthCheck
	noDescribe              bool
	internal                internalError
	observe                 Observer      // nil for none
	tap                     *tap.Reporter // nil for none

	routes   map[string]*route // by canonical route; fixed once serving
	raw      *route            // for messages without a pattern; nil without one
	rest     *route            // for everything else; nil without one
	order    []*endpoint       // in the order of registration
	patterns patterns
	workers  workers
	throttle throttle
	started  time.Time

	mu       sync.Mutex
	freed    *sync.Cond // signaled when a message has finished, if waiting > 0
	waiting  atomic.Int64
	inFlight atomic.Int64
	base     context.Context
	serving  bool
	// What Ready needs: the context of Serve, and its listeners.
	accepting context.Context
	listeners []Listener
}

// NewServer returns a server without handlers.
func NewServer(opts ...ServerOption) *Server {
	s := &Server{
		name:         "service",
		codec:        JSON(),
		maxInFlight:  serverMaxInFlight,
		drainTimeout: 10 * time.Second,
		routes:       map[string]*route{},
		instance:     newInstance(),
		started:      time.Now(),
		base:         context.Background(),
		tap:          tap.Default(),
	}
	s.freed = sync.NewCond(&s.mu)
	for _, o := range opts {
		o.applyServer(s)
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.registerReserved()
	return s
}

func newInstance() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Serve serves on all listeners until ctx ends; then it drains them and returns nil. An
// error of one listener stops all others and is returned. Serve can be called once.
func (s *Server) Serve(ctx context.Context, listeners ...Listener) error {
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := s.begin(ctx, base, listeners); err != nil {
		return err
	}
	for _, ep := range s.order {
		if ep.unreachable() {
			s.log.Warn("no message can reach the handler: incoming patterns are parsed as JSON, and this one then differs", "pattern", ep.pattern.String())
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence, err := s.announceReady(ctx, listeners)
	if err != nil {
		return err
	}
	defer silence()
	done := make(chan error)
	for _, l := range listeners {
		go func() { done <- l.Serve(ctx, s) }()
	}
	var first error
	for range listeners {
		if err := <-done; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	stop()
	s.workers.close()
	s.tap.Flush()
	return first
}

func (s *Server) begin(ctx, base context.Context, listeners []Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving {
		return errors.New("micro: Serve was called twice: create another server with NewServer")
	}
	s.serving, s.base = true, base
	s.accepting, s.listeners = ctx, listeners
	return nil
}

// Context returns the context that the contexts of handlers derive from. It ends when
// Serve returns. Listeners derive the contexts of their connections from it.
func (s *Server) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

// Logger returns the server's logger, for listeners.
func (s *Server) Logger() *slog.Logger { return s.log }

// DrainTimeout returns how long a stopping listener waits for handlers.
func (s *Server) DrainTimeout() time.Duration { return s.drainTimeout }

// Wait returns nil when no message is in flight, or the error of ctx.
func (s *Server) Wait(ctx context.Context) error {
	return s.await(ctx, func() bool { return s.inFlight.Load() == 0 })
}

// await blocks until ok returns true. It calls ok whenever a message has finished.
func (s *Server) await(ctx context.Context, ok func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.freed.Broadcast()
		s.mu.Unlock()
	})
	defer stop()
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for !ok() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.freed.Wait()
	}
	return nil
}

// Full reports whether the server is at its limit of messages in flight, so that Deliver
// would block.
func (s *Server) Full() bool { return s.inFlight.Load() >= s.maxInFlight }

// AwaitRoom returns nil when the server is below its limit of messages in flight, or the
// error of ctx.
func (s *Server) AwaitRoom(ctx context.Context) error {
	return s.await(ctx, func() bool { return !s.Full() })
}

// acquire counts a message as in flight. At the limit, it waits.
func (s *Server) acquire(ctx context.Context) error {
	for {
		if s.inFlight.Add(1) <= s.maxInFlight {
			return nil
		}
		s.release()
		if err := s.AwaitRoom(ctx); err != nil {
			return err
		}
	}
}

// release counts a message as finished. It takes the lock only if acquire or Wait is
// waiting, since it runs for every message.
func (s *Server) release() {
	s.inFlight.Add(-1)
	if s.waiting.Load() > 0 {
		s.mu.Lock()
		s.freed.Broadcast()
		s.mu.Unlock()
	}
}

// unknown replies to a request without a handler and logs such an event.
func (s *Server) unknown(ctx context.Context, d *Delivery, p *wire.Packet) {
	s.observeUnknown(ctx, d, p)
	s.reportUnknown(d, p)
	if p.ID != nil {
		_ = d.To.Respond(ctx, wire.Reply{ID: canonicalID(p.ID), NoHandler: true}) // an error means that the peer is gone
		return
	}
	pattern := "undefined"
	switch {
	case d.Route.address != "":
		pattern = d.Route.address
	case p.Pattern != nil:
		pattern = string(p.Pattern)
	}
	metadata := Metadata{raw: d.Packet.Metadata, pairs: d.Headers.pairs}
	attrs := []any{"pattern", pattern[:min(len(pattern), 200)], "correlation_id", metadata.Get(MetaCorrelationID)}
	if p.Pattern == nil { // the pattern does not identify what is lost
		attrs = append(attrs, "data", string(js.SanitizeUTF8(p.Data[:min(len(p.Data), 200)])))
	}
	s.LogPeer(slog.LevelError, "no handler for the event", attrs...)
}

// canonicalID returns the ID as JSON.stringify writes it after JSON.parse.
func canonicalID(id []byte) []byte {
	if id[0] == '"' {
		for _, c := range id {
			if c == '\\' {
				return js.Canonical(id)
			}
		}
		return id
	}
	return js.Canonical(id)
}
