package micro

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// manyServer has n handlers.
func manyServer(n int) (s *Server, texts [][]byte) {
	s = NewServer()
	for i := range n {
		p := Cmd(fmt.Sprint("handler", i))
		Handle(s, p, func(context.Context, None) (int, error) { return i, nil })
		texts = append(texts, []byte(p.JSON()))
	}
	return s, texts
}

// TestManyPatterns checks that the cost of a message does not grow with the number of handlers:
// the entries that are copied, and the texts that are not remembered.
func TestManyPatterns(t *testing.T) {
	const handlers = 10_000
	s, texts := manyServer(handlers)
	messages := 0
	round := func() {
		for i, text := range texts {
			if r := s.lookup(text); r == nil || r.message.pattern.JSON() != string(text) {
				t.Errorf("handler %d: %v", i, r)
			}
		}
	}
	var all sync.WaitGroup
	const callers = 4
	for range callers {
		messages += handlers
		all.Go(round)
	}
	all.Wait()
	published := func() bool {
		known := s.patterns.known.Load()
		return known != nil && len(*known) == handlers
	}
	// Some patterns may have arrived after the last new map: in the worst case, a single one,
	// which must then be looked up as often as there are patterns.
	for i := 0; i < handlers && !published(); i++ {
		messages++
		s.lookup(texts[handlers-1])
		for text := range s.patterns.fresh {
			messages++
			s.lookup([]byte(text))
			break
		}
	}
	if !published() {
		t.Error("the patterns still need the lock")
	}
	if s.patterns.copied > messages {
		t.Errorf("%d entries were copied for %d messages", s.patterns.copied, messages)
	}
	if n := s.patterns.size(); n != handlers {
		t.Errorf("%d of %d patterns are remembered", n, handlers)
	}
	if n := testing.AllocsPerRun(100, func() { s.lookup(texts[handlers/2]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkManyPatterns measures a lookup among many handlers.
func BenchmarkManyPatterns(b *testing.B) {
	for _, handlers := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("handlers=%d", handlers), func(b *testing.B) {
			s, texts := manyServer(handlers)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.lookup(texts[i%handlers])
			}
		})
	}
}
