package tap

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/tap"
)

// Span is a message as one program saw it, with what it caused.
type Span struct {
	Message
	Parent   *Span   // nil for the root of a tree, or if the parent is not known (yet)
	Children []*Span // by start
}

// Begin returns the time at which the span started.
func (s *Span) Begin() time.Time { return time.Unix(0, s.Start) }

// Duration returns how long the span took, or has taken when it was last reported.
func (s *Span) Duration() time.Duration { return time.Duration(s.Took) }

// End returns the time at which the span ended.
func (s *Span) End() time.Time { return time.Unix(0, s.Start+s.Took) }

// Failed reports whether the span has ended with another outcome than success.
func (s *Span) Failed() bool { return !s.Open && s.Outcome != tap.OK }

// Late returns the first handler of a message that succeeded after its sender had given up, or nil.
func (s *Span) Late() *Span {
	if s.Outcome != tap.TimedOut && s.Outcome != tap.Abandoned {
		return nil
	}
	for _, c := range s.Children {
		if c.Kind == tap.Handle && !c.Open && c.Outcome != tap.Failed && c.Start+c.Took > s.Start+s.Took {
			return c
		}
	}
	return nil
}

// Handlers returns the spans of the programs that received the message.
func (s *Span) Handlers() []*Span {
	return slices.DeleteFunc(slices.Clone(s.Children), func(c *Span) bool { return c.Kind != tap.Handle })
}

// Walk calls visit for the span and everything that it caused, in the order of a drawing, until visit
// returns false.
func (s *Span) Walk(visit func(s *Span, depth int) bool) { s.walk(visit, 0) }

func (s *Span) walk(visit func(*Span, int) bool, depth int) bool {
	if !visit(s, depth) {
		return false
	}
	for _, c := range s.Children {
		if !c.walk(visit, depth+1) {
			return false
		}
	}
	return true
}

// Root returns the root of the span's tree.
func (s *Span) Root() *Span {
	for s.Parent != nil {
		s = s.Parent
	}
	return s
}

// Origin returns the span in which the error of a tree arose: the deepest that reports it as its own,
// or nil if nothing has failed.
func (s *Span) Origin() *Span {
	var origin *Span
	deepest := -1
	s.Walk(func(c *Span, depth int) bool {
		if c.Failed() && c.Error != nil && c.Error.Own && c.Kind == tap.Handle && depth > deepest {
			origin, deepest = c, depth
		}
		return true
	})
	if origin != nil {
		return origin
	}
	s.Walk(func(c *Span, depth int) bool { // no handler reports it, as when nothing answers
		if c.Failed() && depth > deepest {
			origin, deepest = c, depth
		}
		return true
	})
	return origin
}

// The limits of Trees.
const (
	maxTrees      = 5000
	maxTreeWeight = 100 << 20 // bytes
	// maxDepth limits how deep a tree gets. Spans below it are roots of their own.
	maxDepth = 200
)

// Trees joins messages into call trees, and keeps the latest. The zero value is empty. It is used by
// one goroutine at a time.
//
// A span's parent is the one that it names. A message whose handler names none, because its sender
// added nothing to it, is joined by the ID of its packet, which is the same at both ends.
type Trees struct {
	roots   []*Span // in the order of arrival
	spans   map[string]*Span
	waiting map[string][]*Span // spans without their parent, by the name of that
	packets map[string]*Span   // messages that were sent, by packet
	strays  map[string][]*Span // handlers without a parent, by packet
	weight  int
	// Dropped counts the records that did not arrive, and Evicted the spans that were removed for newer ones.
	Dropped, Evicted int
}

// Roots returns the roots of all trees, the oldest first. It must not be changed.
func (t *Trees) Roots() []*Span { return t.roots }

// Add adds a message, or replaces what was reported of it before, and returns its span; nil for a
// line that only counts what was dropped.
func (t *Trees) Add(m Message) *Span {
	t.Dropped += m.Dropped
	if m.Span == "" {
		return nil
	}
	if t.spans == nil {
		t.spans, t.waiting, t.packets, t.strays = map[string]*Span{}, map[string][]*Span{}, map[string]*Span{}, map[string][]*Span{}
	}
	t.weight += m.Weight()
	if s := t.spans[m.Span]; s != nil {
		t.weight -= s.Weight()
		if !m.Open || s.Open {
			s.Message = m
		}
		t.joinPacket(s)
		return s
	}
	s := &Span{Message: m}
	t.spans[m.Span] = s
	t.roots = append(t.roots, s)
	for _, child := range t.waiting[m.Span] {
		t.adopt(s, child)
	}
	delete(t.waiting, m.Span)
	switch parent := t.spans[m.Record.Parent]; {
	case m.Record.Parent == "":
	case parent != nil:
		t.adopt(parent, s)
	default:
		t.waiting[m.Record.Parent] = append(t.waiting[m.Record.Parent], s)
	}
	t.joinPacket(s)
	t.evict()
	return s
}

// Packet returns the key by which both ends of a message can be joined if the receiver names no parent, or "" if there is none.
func (m *Message) Packet() string {
	if len(m.ID) == 0 || m.Transport == "" {
		return ""
	}
	return m.Transport + " " + string(m.ID)
}

// joinPacket joins a sender and its handlers by the ID of the packet, if they are not joined yet.
func (t *Trees) joinPacket(s *Span) {
	key := s.Packet()
	switch {
	case key == "":
	case s.Kind == tap.Send:
		t.packets[key] = s
		for _, handler := range t.strays[key] {
			if handler.Parent == nil {
				t.adopt(s, handler)
			}
		}
		delete(t.strays, key)
	case s.Kind == tap.Handle && s.Parent == nil && s.Record.Parent == "":
		if sender := t.packets[key]; sender != nil {
			t.adopt(sender, s)
		} else if !slices.Contains(t.strays[key], s) {
			t.strays[key] = append(t.strays[key], s)
		}
	}
}

// adopt makes a root a child of parent, unless that would close a circle or make the tree too deep.
func (t *Trees) adopt(parent, child *Span) {
	depth := 0
	for p := parent; p != nil; p = p.Parent {
		if depth++; p == child || depth > maxDepth {
			return
		}
	}
	child.Parent = parent
	at, _ := slices.BinarySearchFunc(parent.Children, child, func(a, b *Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), strings.Compare(a.Span, b.Span))
	})
	parent.Children = slices.Insert(parent.Children, at, child)
	for i := len(t.roots) - 1; i >= 0; i-- { // it is probably among the latest
		if t.roots[i] == child {
			t.roots = slices.Delete(t.roots, i, i+1)
			break
		}
	}
}

// evict removes the oldest trees while there is too much.
func (t *Trees) evict() {
	for len(t.roots) > 1 && (len(t.roots) > maxTrees || t.weight > maxTreeWeight) {
		root := t.roots[0]
		t.roots[0] = nil
		t.roots = t.roots[1:]
		root.Walk(func(s *Span, _ int) bool {
			t.forget(s)
			return true
		})
	}
}

func (t *Trees) forget(s *Span) {
	t.Evicted++
	t.weight -= s.Weight()
	delete(t.spans, s.Span)
	remove := func(m map[string][]*Span, key string) {
		if left := slices.DeleteFunc(m[key], func(o *Span) bool { return o == s }); len(left) > 0 {
			m[key] = left
		} else {
			delete(m, key)
		}
	}
	remove(t.waiting, s.Record.Parent)
	if key := s.Packet(); key != "" {
		remove(t.strays, key)
		if t.packets[key] == s {
			delete(t.packets, key)
		}
	}
}
