package tui

import (
	"strings"
	"unicode/utf8"
)

// Line is a line of text in looks.
type Line []Span

// Colored returns text whose only escape codes are colors (SGR), such as a line of a log, in the
// looks that are closest to them. Tabs become spaces.
func Colored(text string) (line Line) {
	look := Plain
	add := func(text string) {
		if text != "" {
			line = append(line, Span{look, strings.ReplaceAll(text, "\t", "    ")})
		}
	}
	for {
		before, rest, found := strings.Cut(text, "\x1b[")
		add(before)
		parameters, after, ended := strings.Cut(rest, "m")
		if !found || !ended {
			return line
		}
		look, text = colored(look, parameters), after
	}
}

// colored returns the look after the parameters of a color.
func colored(l Look, parameters string) Look {
	list := strings.FieldsFunc(parameters, func(r rune) bool { return r == ';' || r == ':' })
	if len(list) == 0 {
		return Plain
	}
	for i := 0; i < len(list); i++ {
		switch list[i] {
		case "0", "00", "22", "39":
			l = Plain
		case "1", "01":
			if l == Plain {
				l = Bold
			}
		case "2", "02", "90", "30":
			l = Dim
		case "31", "91":
			l = Bad
		case "32", "92":
			l = Good
		case "33", "93":
			l = Warn
		case "36", "96":
			l = Accent
		case "35", "95":
			l = name1
		case "34", "94":
			l = name2
		case "38", "48", "58": // a color by its number or its parts has no look
			if i+1 < len(list) {
				i += map[string]int{"5": 2, "2": 4}[list[i+1]]
			}
		}
	}
	return l
}

// frameOf draws a border with a title in its upper edge. It returns the area inside, and the
// column after the title.
func frameOf(a Area, l Look, title ...Span) (inner Area, after int) {
	if a.width < 2 || a.height < 2 {
		return a.Sub(0, 0, 0, 0), 0
	}
	a.Fill(1, 0, a.width-2, '─', l)
	a.Fill(1, a.height-1, a.width-2, '─', l)
	for y := 1; y < a.height-1; y++ {
		a.Set(0, y, '│', l)
		a.Set(a.width-1, y, '│', l)
	}
	for _, corner := range []struct {
		x, y int
		r    rune
	}{{0, 0, '╭'}, {a.width - 1, 0, '╮'}, {0, a.height - 1, '╰'}, {a.width - 1, a.height - 1, '╯'}} {
		a.Set(corner.x, corner.y, corner.r, l)
	}
	head := a.Sub(2, 0, a.width-4, 1)
	after = head.Write(head.Spans(head.Write(0, 0, Plain, " "), 0, title...), 0, Plain, " ")
	return a.Sub(1, 1, a.width-2, a.height-2), after
}

// Frame draws a border with a title at its upper left, and what is also of interest at its upper
// right, if there is room. It returns the area inside.
func Frame(a Area, l Look, title, right []Span) Area {
	inner, after := frameOf(a, l, title...)
	n := 2
	for _, s := range right {
		n += Width(s.Text)
	}
	if head := a.Sub(2, 0, a.width-4, 1); n > 2 && after+n <= head.width {
		x := head.Write(head.width-n, 0, Plain, " ")
		head.Write(head.Spans(x, 0, right...), 0, Plain, " ")
	}
	return inner
}

// Box draws a border with a title, and returns the area inside.
func Box(a Area, title string) Area {
	inner, _ := frameOf(a, Dim, Span{Bold, title})
	return inner
}

func contains(line, text string) bool {
	return strings.Contains(strings.ToLower(line), strings.ToLower(text))
}

// Mark marks where a text occurs, in any case, in a line that was drawn in the area.
func (a Area) Mark(line, text string) {
	if text == "" {
		return
	}
	lower, find := strings.ToLower(line), strings.ToLower(text)
	if len(lower) != len(line) { // positions would differ
		return
	}
	for at := 0; ; {
		i := strings.Index(lower[at:], find)
		if i < 0 {
			return
		}
		from := Width(line[:at+i])
		for x := from; x < from+Width(line[at+i:at+i+len(find)]); x++ {
			if c := a.at(x, 0); c != nil && c.r != '…' {
				c.look = WarnBadge
			}
		}
		at += i + len(find)
	}
}

// String returns the text without looks.
func (l Line) String() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Wrap cuts lines to a width.
func Wrap(lines []Line, room int) (all []Line) {
	for _, line := range lines {
		var now Line
		left := room
		for _, s := range line {
			for Width(s.Text) > left {
				pieces := wrapped(s.Text, max(left, 1))
				if left <= 0 || len(pieces) < 2 {
					all, now, left = append(all, now), nil, room
					if len(pieces) < 2 && Width(s.Text) > left {
						break
					}
					continue
				}
				now = append(now, Span{s.Look, pieces[0]})
				all, now, left = append(all, now), nil, room
				s.Text = s.Text[len(pieces[0]):]
			}
			now = append(now, s)
			left -= Width(s.Text)
		}
		all = append(all, now)
	}
	return all
}

// wrapped cuts a text into lines of a width.
func wrapped(text string, room int) (lines []string) {
	for room > 0 && Width(text) > room {
		n, end := 0, 0
		for i, r := range text {
			if n += runeWidth(r); n > room {
				end = i
				break
			}
		}
		if end == 0 {
			break
		}
		lines, text = append(lines, text[:end]), text[end:]
	}
	return append(lines, text)
}

// From returns the line from a column on.
func (l Line) From(column int) Line {
	for i, s := range l {
		n := Width(s.Text)
		if n <= column {
			column -= n
			continue
		}
		for column > 0 {
			r, size := utf8.DecodeRuneInString(s.Text)
			column -= runeWidth(r)
			s.Text = s.Text[size:]
		}
		return append(Line{s}, l[i+1:]...)
	}
	return nil
}
