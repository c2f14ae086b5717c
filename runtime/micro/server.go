package micro

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/wire"
)

// Server routes messages to handlers. Make it with NewServer, register handlers,
// then Serve. Registration is for one goroutine; everything else is safe for
// use from many.
type Server struct {
	name, version, instance string
	log                     *slog.Logger
	codec                   Codec
	defaults                handlerConfig
	maxInFlight             int64
	drainTimeout            time.Duration
	checks                  []healthCheck
	noDescribe              bool

	routes   map[string]*route // by canonical route; fixed once serving
	rest     *route            // for everything else; nil without one
	order    []*endpoint       // in the order of registration
	byText   atomic.Pointer[map[string]*route]
	textMu   sync.Mutex // serialises additions to byText
	workers  workers
	throttle throttle
	started  time.Time

	mu       sync.Mutex
	freed    *sync.Cond // a message has finished, while somebody waits
	waiting  atomic.Int64
	inFlight atomic.Int64
	base     context.Context
	serving  bool
}

// maxCachedPatterns bounds the texts of known patterns that are remembered, so
// that a peer that spells a pattern in ever new ways costs time and no memory.
const maxCachedPatterns = 4096

// NewServer makes a server without handlers.
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
	}
	s.freed = sync.NewCond(&s.mu)
	for _, o := range opts {
		o.applyServer(s)
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.byText.Store(&map[string]*route{})
	s.registerReserved()
	return s
}

func newInstance() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Serve serves on all listeners until ctx ends, then drains them and returns
// nil; an error of one listener stops all and is returned. A server serves once.
func (s *Server) Serve(ctx context.Context, listeners ...Listener) error {
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := s.begin(base); err != nil {
		return err
	}
	for _, ep := range s.order {
		if ep.unreachable() {
			s.log.Warn("no message can reach the handler: its pattern is read as JSON on arrival", "pattern", ep.pattern.String())
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
	return first
}

func (s *Server) begin(base context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving {
		return errors.New("micro: a server serves once: make another with NewServer")
	}
	s.serving, s.base = true, base
	return nil
}

// Context is what the contexts of handlers derive from: it ends when Serve
// returns. Listeners derive the contexts of their connections from it.
func (s *Server) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

// Logger returns the server's logger, for listeners.
func (s *Server) Logger() *slog.Logger { return s.log }

// DrainTimeout returns how long listeners wait for handlers when they stop.
func (s *Server) DrainTimeout() time.Duration { return s.drainTimeout }

// Wait returns when no message is being handled, or with ctx's error.
func (s *Server) Wait(ctx context.Context) error {
	return s.await(ctx, func() bool { return s.inFlight.Load() == 0 })
}

// await blocks until ok holds; it is asked again whenever a message finishes.
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

// Full reports whether Receive would wait for a place.
func (s *Server) Full() bool { return s.inFlight.Load() >= s.maxInFlight }

// acquire counts a message in, and waits for a place when there are too many.
func (s *Server) acquire(ctx context.Context) error {
	for {
		if s.inFlight.Add(1) <= s.maxInFlight {
			return nil
		}
		s.release()
		if err := s.await(ctx, func() bool { return s.inFlight.Load() < s.maxInFlight }); err != nil {
			return err
		}
	}
}

// release counts a message out.
func (s *Server) release() {
	s.inFlight.Add(-1)
	if s.waiting.Load() > 0 {
		s.mu.Lock()
		s.freed.Broadcast()
		s.mu.Unlock()
	}
}

// Receive is Deliver of a message whose transport knows nothing but packet, its
// answer's way and its peer.
func (s *Server) Receive(ctx context.Context, p *wire.Packet, to Responder, peer string) *Inbound {
	return s.Deliver(ctx, Delivery{Packet: p, To: to, Peer: peer})
}

// unknown answers or logs a message that nobody handles; p is its packet as far
// as it is one.
func (s *Server) unknown(ctx context.Context, d *Delivery, p *wire.Packet) {
	if p.ID != nil {
		_ = d.To.Respond(ctx, wire.Reply{ID: canonicalID(p.ID), NoHandler: true}) // the peer is gone: nothing to tell it
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
	s.LogPeer(slog.LevelError, "no handler for the event", "pattern", pattern[:min(len(pattern), 200)], "correlation_id", metadata.Get(MetaCorrelationID))
}

// canonicalID returns the id as JSON.stringify would write it again.
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

// lookup finds the route of the JSON text of a packet's pattern.
func (s *Server) lookup(pattern []byte) *route {
	known := *s.byText.Load()
	if r, ok := known[string(pattern)]; ok {
		return r
	}
	if pattern == nil {
		return nil
	}
	r := s.routes[routeKey(wire.Route(pattern))]
	if r != nil && len(known) < maxCachedPatterns && len(pattern) < 1024 {
		s.remember(string(pattern), r)
	}
	return r
}

func (s *Server) remember(text string, r *route) {
	s.textMu.Lock()
	defer s.textMu.Unlock()
	next := maps.Clone(*s.byText.Load())
	next[text] = r
	s.byText.Store(&next)
}
