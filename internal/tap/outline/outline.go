// Package outline lays out call trees as rows, for the screen and the page of `msctl tap`. All texts
// that it returns are safe to print.
package outline

import (
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term/visible"
	reported "github.com/msctl/msctl/runtime/tap"
)

// Kind is what a row shows.
type Kind uint8

// The kinds of rows.
const (
	Message Kind = iota // a message
	Late                // the reply to the message above, after its sender had given up
	Failure             // the original error, below the message that failed
	More                // the tree has more messages than are shown
)

// Row is one line of a drawing of a tree.
type Row struct {
	Kind Kind
	Span *tap.Span
	// Handler is the span of the one program that handled the message, if that has no row of its own.
	Handler *tap.Span
	// Depth is 0 for the root, and Last has an element for each level below it, which reports whether
	// the row or its ancestor there is the last one of its siblings.
	Depth int
	Last  []bool
	// Attempt and Attempts are the number of this attempt of a request, from 1, and how many there
	// have been; both are 0 if there is only one.
	Attempt, Attempts int
	// Origin reports that the error of the tree arose here.
	Origin bool
}

// Tree is the drawing of a call tree.
type Tree struct {
	Root       *tap.Span
	Rows       []Row
	Start, End int64 // nanoseconds since 1970; of all spans
}

// The limits of a drawing. What exceeds them is left out.
const (
	maxRows  = 2000
	maxLevel = 40
)

// Of lays out the tree of a root. The rows refer to the spans, so they are valid until the tree changes.
func Of(root *tap.Span) *Tree {
	t := &Tree{Root: root, Start: root.Start, End: root.Start}
	root.Walk(func(s *tap.Span, _ int) bool {
		t.Start = min(t.Start, s.Start)
		t.End = max(t.End, s.Start+s.Took)
		return true
	})
	t.add(root, root.Origin(), nil, attempt{})
	if len(t.Rows) >= maxRows {
		t.Rows = append(t.Rows, Row{Kind: More, Span: root})
	}
	return t
}

// attempt is one of several.
type attempt struct{ number, of int }

// add adds the rows of a span and of what it caused.
func (t *Tree) add(s, origin *tap.Span, last []bool, a attempt) {
	if len(t.Rows) >= maxRows {
		return
	}
	row := Row{Span: s, Depth: len(last), Last: last, Attempt: a.number, Attempts: a.of}
	children := s.Children
	if sent(s) && len(s.Handlers()) == 1 {
		row.Handler = s.Handlers()[0]
		children = below(s, row.Handler)
	}
	row.Origin = origin != nil && (s == origin || row.Handler == origin)
	late := s.Late()
	if row.Handler == nil {
		late = nil // it has a row of its own
	}
	t.Rows = append(t.Rows, row)
	extra := Row{Span: s, Handler: row.Handler, Depth: row.Depth, Last: last}
	if row.Origin && ErrorText(&row) != "" {
		extra.Kind = Failure
		t.Rows = append(t.Rows, extra)
	}
	if late != nil {
		extra.Kind = Late
		t.Rows = append(t.Rows, extra)
	}
	if len(last) >= maxLevel {
		if len(children) > 0 {
			t.Rows = append(t.Rows, Row{Kind: More, Span: s, Depth: row.Depth, Last: last})
		}
		return
	}
	numbers := attempts(children)
	for i, c := range children {
		level := slices.Concat(last, []bool{i == len(children)-1})
		t.add(c, origin, level, numbers[c])
	}
}

// below returns what is drawn below a message with one handler: what else the sender caused, and what
// the handler did.
func below(s, handler *tap.Span) []*tap.Span {
	if len(s.Children) == 1 {
		return handler.Children
	}
	var all []*tap.Span
	for _, c := range s.Children {
		if c == handler {
			all = append(all, handler.Children...)
		} else {
			all = append(all, c)
		}
	}
	return all
}

// attempts numbers the attempts of requests with several.
func attempts(siblings []*tap.Span) map[*tap.Span]attempt {
	var of map[string]int
	for i, s := range siblings {
		if s.Call != "" && (s.Attempt > 1 || i > 0 && siblings[i-1].Call == s.Call) {
			of = map[string]int{}
			break
		}
	}
	if of == nil {
		return nil
	}
	for _, s := range siblings {
		if s.Call != "" {
			of[s.Call] = max(of[s.Call]+1, s.Attempt)
		}
	}
	numbers, seen := map[*tap.Span]attempt{}, map[string]int{}
	for _, s := range siblings {
		if of[s.Call] > 1 {
			seen[s.Call] = max(seen[s.Call]+1, s.Attempt)
			numbers[s] = attempt{seen[s.Call], of[s.Call]}
		}
	}
	return numbers
}

// sent reports whether a span is what a sender saw of a message.
func sent(s *tap.Span) bool { return s.Kind == reported.Send || s.Kind == reported.Emit }

// Branch returns the lines that connect the row to its parent and its siblings.
func (r *Row) Branch() string {
	const shown = 12 // deeper rows are not indented further
	levels := r.Last
	if len(levels) > shown {
		levels = levels[len(levels)-shown:]
	}
	var b strings.Builder
	for i, last := range levels {
		switch {
		case i < len(levels)-1 && last, r.Kind != Message && last:
			b.WriteString("  ")
		case i < len(levels)-1, r.Kind != Message:
			b.WriteString("│ ")
		case last:
			b.WriteString("└ ")
		default:
			b.WriteString("├ ")
		}
	}
	return b.String()
}

// Parties returns the sender and the receivers of the message, and the arrow between them; a part that
// is not known is "?", and one that does not exist is "".
func (r *Row) Parties() (from, arrow, to string) {
	s := r.Span
	name := visible.Line(s.Service)
	switch s.Kind {
	case reported.HTTP:
		return name, "", ""
	case reported.Handle:
		return "", "→", name
	}
	arrow = "→"
	if s.Kind == reported.Emit {
		arrow = "⇢"
	}
	if r.Handler != nil {
		return name, arrow, visible.Line(r.Handler.Service)
	}
	return name, arrow, Receivers(s)
}

// Receivers returns the names of the programs that handled a message, or "?".
func Receivers(s *tap.Span) string {
	var names []string
	seen := map[string]bool{}
	for _, h := range s.Handlers() {
		if name := visible.Line(h.Service); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "?"
	}
	return strings.Join(names, ", ")
}

// Outcome is how a message ended, in one word.
type Outcome struct {
	Text string
	Bad  bool // it failed
	Warn bool // the work may have been done all the same, or was given up
}

// OutcomeOf returns how a span ended.
func OutcomeOf(s *tap.Span) Outcome {
	if s.Open {
		return Outcome{Text: "open"}
	}
	text := visible.Line(string(s.Outcome))
	switch {
	case s.Status != 0:
		text = statusText(s.Status)
	case s.Outcome == reported.Failed && s.Error != nil && s.Error.Status != 0:
		text = statusText(s.Error.Status)
	}
	switch s.Outcome {
	case reported.OK:
		return Outcome{Text: text}
	case reported.TimedOut, reported.Abandoned, reported.Expired, reported.Shed:
		return Outcome{Text: text, Warn: true}
	}
	return Outcome{Text: text, Bad: true}
}

// ErrorText returns the original error of a row, with the service in which it arose, or "".
func ErrorText(r *Row) string {
	for _, s := range []*tap.Span{r.Handler, r.Span} {
		if s != nil && s.Failed() && s.Error != nil && s.Error.Message != "" {
			return visible.Line(s.Service + ": " + s.Error.Message)
		}
	}
	return ""
}

// LateBy returns how long after the sender had given up its handler replied, if it did.
func LateBy(s *tap.Span) (by time.Duration, handler string) {
	if h := s.Late(); h != nil {
		return h.End().Sub(s.End()), visible.Line(h.Service)
	}
	return 0, ""
}
