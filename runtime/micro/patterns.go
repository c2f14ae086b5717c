package micro

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/msctl/msctl/runtime/wire"
)

// maxCachedPatterns limits the texts in patterns that differ from those of the handlers: two
// for each handler are free. A peer that keeps sending new spellings of a pattern costs time,
// but no memory.
const maxCachedPatterns = 4096

// patterns remembers the routes of the pattern texts that have arrived. It is safe for
// concurrent use.
//
// known is read without a lock, so it never changes, and a new text takes a new map. Texts
// therefore wait in fresh, until they have been looked up there as often as the new map has
// entries: then its cost is small for each lookup, however many handlers there are.
type patterns struct {
	known atomic.Pointer[map[string]*route]

	mu     sync.Mutex // guards what follows
	fresh  map[string]*route
	hits   int // lookups that were found in fresh since the last new map
	copied int // entries of all new maps, for tests
}

// lookup returns the route of a text, and nil if the text is not remembered.
func (p *patterns) lookup(text []byte) *route {
	known := p.known.Load()
	if known != nil {
		if r, ok := (*known)[string(text)]; ok {
			return r
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.fresh[string(text)]
	if r == nil {
		if known = p.known.Load(); known != nil { // it may have moved
			r = (*known)[string(text)]
		}
		return r
	}
	if p.hits++; p.hits >= p.size() {
		p.publish()
	}
	return r
}

// remember adds a text, unless there are limit texts.
func (p *patterns) remember(text string, r *route, limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size() >= limit {
		return
	}
	if known := p.known.Load(); known != nil && (*known)[text] != nil {
		return // another goroutine was faster
	}
	if p.fresh == nil {
		p.fresh = map[string]*route{}
	}
	p.fresh[text] = r
}

// size and publish are called with mu held.
func (p *patterns) size() int {
	n := len(p.fresh)
	if known := p.known.Load(); known != nil {
		n += len(*known)
	}
	return n
}

func (p *patterns) publish() {
	next := make(map[string]*route, p.size())
	if known := p.known.Load(); known != nil {
		maps.Copy(next, *known)
	}
	maps.Copy(next, p.fresh)
	p.known.Store(&next)
	p.fresh, p.hits = nil, 0
	p.copied += len(next)
}

// lookup returns the route for the JSON text of a packet's pattern. Computing a route is
// much slower than the rest of a dispatch, so texts that found one are remembered.
func (s *Server) lookup(pattern []byte) *route {
	if pattern == nil {
		return nil
	}
	if r := s.patterns.lookup(pattern); r != nil {
		return r
	}
	r := s.routes[routeKey(wire.Route(pattern))]
	if r != nil && len(pattern) < 1024 {
		s.patterns.remember(string(pattern), r, maxCachedPatterns+2*len(s.routes))
	}
	return r
}
