package page

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/outline"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
)

type treeView struct {
	Time, Took, Trace string
	Messages          int
	Bad               bool
	Rows              []rowView
}

type rowView struct {
	Branch string
	Text   string // of a row that is no message
	Class  string

	Attempt, From, Arrow, To, Pattern, Outcome, Took string
	Bars                                             []bar
	Facts                                            []fact
	Bodies                                           []body
}

// bar is a part of the waterfall, in percent of its width.
type bar struct {
	Class       string
	Left, Width float64
}

type fact struct{ Label, Text string }

type body struct {
	Title string
	Parts []part
}

type part struct{ Class, Text string }

func viewOf(t *outline.Tree) treeView {
	v := treeView{
		Time: time.Unix(0, t.Start).Format("15:04:05.000"), Took: term.Duration(time.Duration(t.End - t.Start)), Trace: visible.Line(t.Root.Trace),
	}
	for i := range t.Rows {
		row := &t.Rows[i]
		if row.Kind == outline.Message {
			v.Messages++
			v.Bad = v.Bad || row.Span.Failed() || row.Handler != nil && row.Handler.Failed()
		}
		v.Rows = append(v.Rows, viewOfRow(t, row))
	}
	return v
}

func viewOfRow(t *outline.Tree, row *outline.Row) rowView {
	s := row.Span
	v := rowView{Branch: row.Branch()}
	switch row.Kind {
	case outline.Failure:
		v.Class, v.Text = "failure", "✖ "+outline.ErrorText(row)
		return v
	case outline.Late:
		by, handler := outline.LateBy(s)
		v.Class, v.Text = "late", "↩ "+handler+" replied "+term.Duration(by)+" too late"
		v.Bars = []bar{barOf(t, row.Handler, row.Handler.Start+row.Handler.Took, "warn")}
		return v
	case outline.More:
		v.Class, v.Text = "more", "… the rest is not shown"
		return v
	case outline.Message:
	}
	v.From, v.Arrow, v.To = row.Parties()
	v.Pattern, v.Took = outline.PatternOf(s), term.Duration(s.Duration())
	if row.Attempts > 1 {
		v.Attempt = fmt.Sprintf("↻%d/%d", row.Attempt, row.Attempts)
	} else if s.Attempt > 1 {
		v.Attempt = fmt.Sprintf("↻%d", s.Attempt)
	}
	outcome := outline.OutcomeOf(s)
	v.Outcome, v.Class = outcome.Text, classOf(s, outcome)
	if row.Origin {
		v.Outcome = "✖ " + v.Outcome
	}
	end := s.Start + s.Took
	if row.Handler == nil {
		v.Bars = []bar{barOf(t, s, end, v.Class)}
	} else {
		handled := min(row.Handler.Start+row.Handler.Took, end) // what is late has a row of its own
		v.Bars = []bar{barOf(t, s, end, v.Class+" sent"), barOf(t, row.Handler, handled, v.Class)}
	}
	v.Facts, v.Bodies = factsOf(row), bodiesOf(row)
	return v
}

func classOf(s *tap.Span, o outline.Outcome) string {
	switch {
	case s.Open:
		return ""
	case o.Bad:
		return "bad"
	case o.Warn:
		return "warn"
	}
	return "good"
}

func barOf(t *outline.Tree, s *tap.Span, end int64, class string) bar {
	total := float64(max(t.End-t.Start, 1))
	percent := func(n int64) float64 { return math.Round(min(max(float64(n)/total, 0), 1)*10000) / 100 }
	return bar{class, min(percent(s.Start-t.Start), 99.5), percent(end - s.Start)}
}

// factsOf returns what is known of a message besides its data and its reply.
func factsOf(row *outline.Row) (facts []fact) {
	s, h := row.Span, row.Handler
	add := func(label, text string) {
		if text != "" {
			facts = append(facts, fact{label, visible.Line(text)})
		}
	}
	add("pattern", s.Pattern)
	add("path", s.Path)
	if s.Error != nil {
		add("error", s.Error.Message)
	}
	add("sent", s.Begin().Format("15:04:05.000000")+", took "+term.Duration(s.Duration()))
	if h != nil {
		add("handled", fmt.Sprintf("after %s, in %s", term.Duration(max(h.Begin().Sub(s.Begin()), 0)), term.Duration(h.Duration())))
		if h.Error != nil && (s.Error == nil || h.Error.Message != s.Error.Message) {
			add("error there", h.Error.Message)
		}
	}
	in, out := s.In, s.Out
	if h != nil {
		in, out = max(in, h.In), max(out, h.Out)
	}
	add("size", fmt.Sprintf("data %s, reply %s", term.Count(in, "byte"), term.Count(out, "byte")))
	add("from", program(s))
	if h != nil {
		add("to", program(h))
	}
	add("transport", strings.TrimSpace(s.Transport+" "+s.Peer))
	add("correlation", s.Correlation)
	metadata := s.Metadata
	if h != nil && len(h.Metadata) > 0 {
		metadata = h.Metadata
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		add("metadata", key+": "+metadata[key])
	}
	for _, s := range []*tap.Span{s, h} {
		if s != nil && s.Error != nil && s.Error.Stack != "" {
			facts = append(facts, fact{"stack", visible.Text(s.Error.Stack)})
		}
	}
	return facts
}

func program(s *tap.Span) string {
	text := s.Service
	if s.PID != 0 {
		text += fmt.Sprintf(", pid %d", s.PID)
	}
	if s.Runtime != "" {
		text += ", " + s.Runtime
	}
	return text
}

func bodiesOf(row *outline.Row) (bodies []body) {
	add := func(title string, text json.RawMessage, size int, cut bool) {
		if len(text) == 0 {
			return
		}
		cut = cut && text[0] == '"' && size > len(text)
		if cut {
			title += ": only the beginning of " + term.Count(size, "byte")
		}
		bodies = append(bodies, body{title, partsOf(outline.Pretty(text, cut))})
	}
	s, h := row.Span, row.Handler
	data, reply := s, s
	if len(s.Data) == 0 && h != nil {
		data = h
	}
	if len(s.Reply) == 0 && h != nil {
		reply = h
	}
	add("Data", data.Data, data.In, data.Cut)
	title := "Reply"
	if reply.Values > 1 {
		title = fmt.Sprintf("Reply: the last of %d values", reply.Values)
	}
	add(title, reply.Reply, reply.Out, reply.Cut)
	return bodies
}

// partsOf returns the parts of JSON text with their classes.
func partsOf(text string) (parts []part) {
	classes := [...]string{outline.Key: "key", outline.String: "string", outline.Number: "number", outline.Word: "word"}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			parts = append(parts, part{Text: "\n"})
		}
		outline.Parts(line, func(role outline.Role, text string) { parts = append(parts, part{classes[role], text}) })
	}
	return parts
}
