package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// style is the appearance of a cell.
type style struct {
	fore, back                   string // colors; an empty back is the background of the picture
	bold, dim, italic, underline bool
}

// cell is one character of the screen. Characters that take two columns are not
// supported.
type cell struct {
	char  rune
	style style
}

// screen is its rows, without the blanks at their ends.
type screen struct {
	rows    [][]cell
	columns int
}

// pen is the state that escape codes change.
type pen struct {
	style
	reverse bool
}

// now returns the style of the next character.
func (p *pen) now() style {
	s := p.style
	if s.fore == "" {
		s.fore = foreground
	}
	if p.reverse {
		s.fore, s.back = s.back, s.fore
		if s.fore == "" {
			s.fore = ground
		}
	}
	return s
}

// parse reads lines of text with SGR codes, the only escape codes in a capture.
func parse(text string) (*screen, error) {
	s, p := &screen{}, &pen{}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		row, err := p.line(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(s.rows)+1, err)
		}
		for len(row) > 0 && row[len(row)-1].char == ' ' && row[len(row)-1].style.back == "" {
			row = row[:len(row)-1]
		}
		s.rows = append(s.rows, row)
		s.columns = max(s.columns, len(row))
	}
	for len(s.rows) > 0 && len(s.rows[len(s.rows)-1]) == 0 {
		s.rows = s.rows[:len(s.rows)-1]
	}
	if len(s.rows) == 0 {
		return nil, errors.New("the screen is empty")
	}
	return s, nil
}

func (p *pen) line(text string) (row []cell, err error) {
	for text != "" {
		if code, ok := strings.CutPrefix(text, "\x1b["); ok {
			parameters, rest, ok := strings.Cut(code, "m")
			if !ok || strings.Trim(parameters, "0123456789;:") != "" {
				return nil, fmt.Errorf("%.10q is not an escape code for colors or styles", text)
			}
			p.change(parameters)
			text = rest
			continue
		}
		char, size := utf8.DecodeRuneInString(text)
		if char == utf8.RuneError || !unicode.IsPrint(char) {
			return nil, fmt.Errorf("unsupported character %q", text[:size])
		}
		row = append(row, cell{char, p.now()})
		text = text[size:]
	}
	return row, nil
}

// change applies the parameters of an SGR code and ignores unknown ones.
func (p *pen) change(parameters string) {
	var codes []int
	for text := range strings.FieldsFuncSeq(parameters, func(r rune) bool { return r == ';' || r == ':' }) {
		n, _ := strconv.Atoi(text) // digits
		codes = append(codes, n)
	}
	if len(codes) == 0 {
		codes = []int{0}
	}
	for i := 0; i < len(codes); i++ {
		switch c := codes[i]; {
		case c == 38 || c == 48:
			color, used := extended(codes[i+1:])
			i += used
			p.color(c == 48, color)
		case c >= 30 && c <= 37 || c >= 90 && c <= 97:
			p.color(false, palette(c%10+c/90*8))
		case c >= 40 && c <= 47 || c >= 100 && c <= 107:
			p.color(true, palette(c%10+c/100*8))
		case c == 39 || c == 49:
			p.color(c == 49, "")
		default:
			p.attribute(c)
		}
	}
}

func (p *pen) color(back bool, color string) {
	if back {
		p.back = color
	} else {
		p.fore = color
	}
}

func (p *pen) attribute(code int) {
	switch code {
	case 0:
		*p = pen{}
	case 1:
		p.bold = true
	case 2:
		p.dim = true
	case 22:
		p.bold, p.dim = false, false
	case 3, 23:
		p.italic = code == 3
	case 4, 24:
		p.underline = code == 4
	case 7, 27:
		p.reverse = code == 7
	}
}

// extended parses the parameters that follow 38 or 48: 5 and one number, or 2 and
// three numbers.
func extended(codes []int) (color string, used int) {
	switch {
	case len(codes) >= 2 && codes[0] == 5:
		return palette(codes[1]), 2
	case len(codes) >= 4 && codes[0] == 2:
		return fmt.Sprintf("#%02x%02x%02x", codes[1]&255, codes[2]&255, codes[3]&255), 4
	}
	return "", len(codes)
}

const (
	ground     = "#12161c"
	foreground = "#d5dae1"
)

// palette returns color n of 256; the first 16 are chosen to be legible on the
// background.
func palette(n int) string {
	named := [...]string{
		"#2a313b", "#f0716b", "#6fce7f", "#e3b455", "#6ba8f5", "#c792ea", "#57c7d4", foreground,
		"#8592a3", "#ff8a80", "#8ce79a", "#ffd479", "#8fc1ff", "#dcb0ff", "#7fe3ee", "#ffffff",
	}
	level := func(n int) int { return [...]int{0, 95, 135, 175, 215, 255}[n%6] }
	switch {
	case n < len(named):
		return named[n]
	case n < 232:
		n -= 16
		return fmt.Sprintf("#%02x%02x%02x", level(n/36), level(n/6), level(n))
	}
	grey := 8 + 10*(min(n, 255)-232)
	return fmt.Sprintf("#%02x%02x%02x", grey, grey, grey)
}
