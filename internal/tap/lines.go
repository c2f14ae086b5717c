package tap

import (
	"time"

	"github.com/msctl/msctl/runtime/tap"
)

// settling is how long a message that has ended waits for the report of the other side.
const settling = 200 * time.Millisecond

// Lines turns messages into a sequence of spans to print, each once: what is sent, at its end, with
// its handlers; HTTP requests; and what is handled without a known sender. Create it with [NewLines].
// It is used by one goroutine at a time.
type Lines struct {
	Trees   Trees
	pending []pendingSpan
	printed map[*Span]bool
}

type pendingSpan struct {
	span *Span
	due  time.Time
}

// NewLines returns an empty Lines.
func NewLines() *Lines { return &Lines{printed: map[*Span]bool{}} }

// Add adds a message that arrives now.
func (l *Lines) Add(m Message, now time.Time) {
	s := l.Trees.Add(m)
	if s == nil || s.Open {
		return
	}
	l.pending = append(l.pending, pendingSpan{s, now.Add(settling)})
}

// Take returns the spans to print now. With all, it returns those that may still change, too.
func (l *Lines) Take(now time.Time, all bool) (ready []*Span) {
	left := l.pending[:0]
	for _, p := range l.pending {
		switch {
		case l.printed[p.span]:
		case p.span.Kind == tap.Handle && p.span.Parent != nil && l.coming(p.span.Parent):
			// it is printed with what its sender reports
		case all || !now.Before(p.due) || settled(p.span):
			l.printed[p.span] = true
			for _, h := range p.span.Handlers() {
				l.printed[h] = !h.Open
			}
			ready = append(ready, p.span)
		default:
			left = append(left, p)
		}
	}
	l.pending = left
	l.forget()
	return ready
}

// coming reports whether a sender will be printed, or was not printed before this handler ended.
func (l *Lines) coming(sender *Span) bool { return sender.Kind != tap.HTTP && !l.printed[sender] }

// settled reports whether nothing is expected to be reported of a span any more.
func settled(s *Span) bool {
	if s.Kind == tap.HTTP {
		return true
	}
	handlers := s.Handlers()
	for _, h := range handlers {
		if h.Open {
			return false
		}
	}
	return s.Kind == tap.Send && len(handlers) > 0
}

// forget forgets the spans that Trees has removed.
func (l *Lines) forget() {
	if len(l.printed) < 4*maxTrees {
		return
	}
	for s := range l.printed {
		if l.Trees.spans[s.Span] != s {
			delete(l.printed, s)
		}
	}
}
