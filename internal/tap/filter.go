package tap

import (
	"strings"
	"time"
)

// Filter selects trees. The zero value selects all of them.
type Filter struct {
	Service string        // that sent or handled a message
	Pattern string        // part of the pattern or the path
	Errors  bool          // only trees in which something failed
	Slower  time.Duration // only trees in which a message took longer
	Trace   string        // part of the trace or correlation ID
	Text    string        // anywhere in a message
}

// Tree reports whether the filter selects the tree of root: whether one of its spans has everything
// that the filter requires.
func (f Filter) Tree(root *Span) (selected bool) {
	root.Walk(func(s *Span, _ int) bool {
		selected = f.Message(&s.Message)
		return !selected
	})
	return selected
}

// Message reports whether a single message has everything that the filter requires.
func (f Filter) Message(m *Message) bool {
	return (f.Service == "" || m.Service == f.Service) &&
		(f.Pattern == "" || strings.Contains(m.Pattern, f.Pattern) || strings.Contains(m.Path, f.Pattern)) &&
		(!f.Errors || !m.Open && m.Outcome != "ok") &&
		(f.Slower == 0 || time.Duration(m.Took) >= f.Slower) &&
		(f.Trace == "" || strings.Contains(m.Trace, f.Trace) || strings.Contains(m.Correlation, f.Trace)) &&
		(f.Text == "" || m.contains(f.Text))
}

// contains reports whether a text occurs in a message, in any case.
func (m *Message) contains(text string) bool {
	text = strings.ToLower(text)
	in := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if in(m.Pattern) || in(m.Path) || in(m.Service) || in(string(m.Data)) || in(string(m.Reply)) || in(m.Correlation) || in(m.Trace) {
		return true
	}
	if m.Error != nil && in(m.Error.Message) {
		return true
	}
	for k, v := range m.Metadata {
		if in(k) || in(v) {
			return true
		}
	}
	return false
}
