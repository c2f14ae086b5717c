// Package merge merges two edited versions of a text, line by line, and marks conflicts like
// git.
//
// [Text] finds the changes from the base to each version. Changes in different places are
// all applied. Where the versions changed the same or adjacent lines in different ways, the
// result contains both, between the markers <<<<<<<, =======, and >>>>>>>. The result is
// that of `git merge-file`, apart from texts in which the same lines occur several times, so
// that their changes can be described in more than one way.
package merge

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Labels name the two versions in the markers of conflicts.
type Labels struct{ Ours, Theirs string }

// Result is a merged text.
type Result struct {
	Text []byte
	// Conflicts are the numbers of the lines with the marker <<<<<<<, starting at 1.
	Conflicts []int
}

// Text merges two versions of a base.
func Text(base, ours, theirs []byte, labels Labels) Result {
	m := merger{base: lines(base), ours: lines(ours), theirs: lines(theirs)}
	w := writer{labels: labels}
	for _, p := range m.parts() {
		switch p.kind {
		case theirsOnly:
			w.lines(p.theirs.of(m.theirs))
		case conflict:
			w.conflict(p, m)
		default:
			w.lines(p.ours.of(m.ours))
		}
	}
	return Result{[]byte(w.out.String()), w.conflicts}
}

// lines splits a text after each newline.
func lines(text []byte) []string { return slices.Collect(strings.Lines(string(text))) }

// span is a range of lines: the first one, and the one after the last.
type span struct{ from, to int }

func (s span) of(text []string) []string { return text[s.from:s.to] }

// part is a part of the result.
type part struct {
	kind               kind
	base, ours, theirs span
}

type kind int

const (
	// same is unchanged, or was changed in the same way.
	same kind = iota
	// oursOnly was changed only in ours, or in the same way after all.
	oursOnly
	// theirsOnly was changed only in theirs.
	theirsOnly
	// conflict was changed in different ways.
	conflict
)

type merger struct{ base, ours, theirs []string }

// parts returns the parts of the result, in order.
func (m merger) parts() []part {
	var all []part
	for _, p := range m.regions() {
		if p.kind == conflict {
			all = append(all, m.refine(p)...)
		} else {
			all = append(all, p)
		}
	}
	return m.join(all)
}

// regions divides the texts into unchanged and changed parts. Changes that overlap or touch
// are one part.
func (m merger) regions() []part {
	ours, theirs := differences(m.base, m.ours), differences(m.base, m.theirs)
	var all []part
	var end part // where the last part ends
	for len(ours) > 0 || len(theirs) > 0 {
		changed := m.region(&ours, &theirs, end)
		all = append(all, between(end, changed), changed)
		end = changed
	}
	last := part{base: span{from: len(m.base)}, ours: span{from: len(m.ours)}, theirs: span{from: len(m.theirs)}}
	return append(all, between(end, last))
}

// between returns the unchanged part between two parts.
func between(a, b part) part {
	return part{same, span{a.base.to, b.base.from}, span{a.ours.to, b.ours.from}, span{a.theirs.to, b.theirs.from}}
}

// region takes the first change, and all that overlap or touch it, from the changes after
// end.
func (m merger) region(ours, theirs *[]change, end part) part {
	p := part{base: span{len(m.base), 0}}
	for _, list := range []*[]change{ours, theirs} {
		if len(*list) > 0 {
			p.base.from = min(p.base.from, (*list)[0].a)
		}
	}
	p.base.to = p.base.from
	fromOurs, fromTheirs := *ours, *theirs
	for take(ours, &p.base) || take(theirs, &p.base) {
	}
	fromOurs, fromTheirs = fromOurs[:len(fromOurs)-len(*ours)], fromTheirs[:len(fromTheirs)-len(*theirs)]
	p.ours, p.theirs = side(fromOurs, p.base, end.base.to, end.ours.to), side(fromTheirs, p.base, end.base.to, end.theirs.to)
	switch {
	case len(fromTheirs) == 0:
		p.kind = oursOnly
	case len(fromOurs) == 0:
		p.kind = theirsOnly
	case len(fromOurs) > 1 || len(fromTheirs) > 1 || fromOurs[0].a != fromTheirs[0].a || fromOurs[0].aEnd != fromTheirs[0].aEnd ||
		!slices.Equal(p.ours.of(m.ours), p.theirs.of(m.theirs)):
		p.kind = conflict
	}
	return p
}

// take removes the first change from the list, and extends the range by it, if it overlaps
// or touches the range.
func take(list *[]change, in *span) bool {
	if len(*list) == 0 || (*list)[0].a > in.to {
		return false
	}
	in.to = max(in.to, (*list)[0].aEnd)
	*list = (*list)[1:]
	return true
}

// side returns the lines of a version that correspond to a range of the base. The changes
// are those in the range; before it, line base of the base is line own of the version.
func side(changes []change, in span, base, own int) span {
	if len(changes) == 0 {
		return span{in.from - base + own, in.to - base + own}
	}
	first, last := changes[0], changes[len(changes)-1]
	return span{first.b - (first.a - in.from), last.bEnd + (in.to - last.aEnd)}
}

// refine splits a conflict into the lines in which the versions agree and smaller conflicts.
func (m merger) refine(p part) []part {
	if p.ours.from == p.ours.to || p.theirs.from == p.theirs.to {
		return []part{p}
	}
	changes := differences(p.ours.of(m.ours), p.theirs.of(m.theirs))
	if len(changes) == 0 {
		p.kind = oursOnly
		return []part{p}
	}
	var all []part
	end := part{ours: span{to: p.ours.from}, theirs: span{to: p.theirs.from}}
	for _, c := range changes {
		next := part{kind: conflict, ours: span{p.ours.from + c.a, p.ours.from + c.aEnd}, theirs: span{p.theirs.from + c.b, p.theirs.from + c.bEnd}}
		all = append(all, between(end, next), next)
		end = next
	}
	return append(all, between(end, part{ours: span{from: p.ours.to}, theirs: span{from: p.theirs.to}}))
}

// minimumBetween is the number of unchanged lines between two conflicts below which they are
// easier to read as one.
const minimumBetween = 4

// join joins conflicts with few lines between them, or none with a letter or digit.
func (m merger) join(parts []part) []part {
	var out []part
	last := -1 // the index of the last conflict in out, if only unchanged lines follow it
	for _, p := range parts {
		if p.kind == conflict && last >= 0 {
			if q := out[last]; m.trivial(span{q.ours.to, p.ours.from}) {
				out = append(out[:last], part{kind: conflict, ours: span{q.ours.from, p.ours.to}, theirs: span{q.theirs.from, p.theirs.to}})
				continue
			}
		}
		switch p.kind {
		case conflict:
			last = len(out)
		case oursOnly, theirsOnly:
			last = -1
		}
		out = append(out, p)
	}
	return out
}

func (m merger) trivial(s span) bool {
	isWord := func(r rune) bool { return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
	return s.to-s.from < minimumBetween ||
		!slices.ContainsFunc(s.of(m.ours), func(line string) bool { return strings.ContainsFunc(line, isWord) })
}

// writer writes the result.
type writer struct {
	out       strings.Builder
	written   int // the number of lines
	labels    Labels
	conflicts []int
}

func (w *writer) lines(text []string) {
	for _, line := range text {
		w.out.WriteString(line)
	}
	w.written += len(text)
}

func (w *writer) conflict(p part, m merger) {
	newline := m.newline(p)
	w.conflicts = append(w.conflicts, w.written+1)
	for _, side := range []struct {
		marker string
		text   []string
	}{
		{fmt.Sprintf("<<<<<<< %s", w.labels.Ours), p.ours.of(m.ours)},
		{"=======", p.theirs.of(m.theirs)},
	} {
		w.lines([]string{side.marker + newline})
		w.lines(side.text)
		if n := len(side.text); n > 0 && !strings.HasSuffix(side.text[n-1], "\n") {
			w.out.WriteString(newline) // the marker needs a line of its own
		}
	}
	w.lines([]string{fmt.Sprintf(">>>>>>> %s", w.labels.Theirs) + newline})
}

// newline returns the line ending of a conflict's markers: \r\n if the lines before it in
// both versions end so, and the first one of the base.
func (m merger) newline(p part) string {
	known := false
	for _, near := range []struct {
		text []string
		line int
	}{{m.ours, p.ours.from - 1}, {m.theirs, p.theirs.from - 1}, {m.base, 0}} {
		switch ending(near.text, max(near.line, 0)) {
		case "\n":
			return "\n"
		case "\r\n":
			known = true
		}
	}
	if known {
		return "\r\n"
	}
	return "\n"
}

// ending returns the line ending of a line, or of the one before if it is the last one and
// has none, or "".
func ending(text []string, line int) string {
	for ; line >= 0 && line < len(text); line-- {
		switch {
		case strings.HasSuffix(text[line], "\r\n"):
			return "\r\n"
		case strings.HasSuffix(text[line], "\n"):
			return "\n"
		}
	}
	return ""
}
