package tui

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// cell is a character cell of the screen. Its rune is 0 if nothing was drawn, and covered
// if the wide character to its left extends into it.
type cell struct {
	r    rune
	look Look
}

const covered rune = -1

// Grid is a screen in memory. Everything is drawn on it cell by cell and then written once,
// so text with escape codes is never measured, cut, or joined, and a frame of a large
// terminal is cheap. The zero Grid is empty.
type Grid struct {
	width, height int
	cells         []cell
}

// Reset clears the grid and sets its size.
func (g *Grid) Reset(width, height int) {
	g.width, g.height = max(width, 0), max(height, 0)
	n := g.width * g.height
	g.cells = slices.Grow(g.cells[:0], n)[:n]
	clear(g.cells)
}

// All returns the entire grid as an area.
func (g *Grid) All() Area { return Area{g, 0, 0, g.width, g.height} }

// Text returns the lines of the grid, without trailing blanks.
func (g *Grid) Text(p *Palette) string {
	var b strings.Builder
	b.Grow(len(g.cells) * 4)
	for y := range g.height {
		if y > 0 {
			b.WriteByte('\n')
		}
		p.writeRow(&b, g.cells[y*g.width:(y+1)*g.width])
	}
	return b.String()
}

// writeRow writes cells with as few changes of the look as possible.
func (p *Palette) writeRow(b *strings.Builder, row []cell) {
	end := len(row)
	for end > 0 && (row[end-1].r == 0 || row[end-1].r == ' ') && !p.visible(row[end-1].look) {
		end--
	}
	now := Plain
	for _, c := range row[:end] {
		if c.r == covered {
			continue
		}
		if c.r == 0 {
			c.r = ' '
		}
		if c.look != now && (c.r != ' ' || p.visible(c.look) || p.visible(now)) {
			b.WriteString(p.end[now])
			b.WriteString(p.begin[c.look])
			now = c.look
		}
		b.WriteRune(c.r)
	}
	b.WriteString(p.end[now])
}

// Area is a rectangle of a grid. Drawing is clipped to it.
type Area struct {
	g             *Grid
	x, y          int
	width, height int
}

// Size returns the number of columns and lines.
func (a Area) Size() (width, height int) { return a.width, a.height }

// Sub returns a rectangle within the area, clipped to it.
func (a Area) Sub(x, y, width, height int) Area {
	x, y = max(x, 0), max(y, 0)
	return Area{a.g, a.x + x, a.y + y, max(min(width, a.width-x), 0), max(min(height, a.height-y), 0)}
}

// Row returns one line of the area.
func (a Area) Row(y int) Area { return a.Sub(0, y, a.width, 1) }

// at returns the cell at a position, or nil outside of the area.
func (a Area) at(x, y int) *cell {
	if x < 0 || y < 0 || x >= a.width || y >= a.height {
		return nil
	}
	return &a.g.cells[(a.y+y)*a.g.width+a.x+x]
}

// Set draws a character that is one column wide.
func (a Area) Set(x, y int, r rune, l Look) {
	if c := a.at(x, y); c != nil {
		*c = cell{r, l}
	}
}

// Write draws text starting at x and returns the column after it. Text that does not fit is
// truncated with an ellipsis. Control characters are drawn as dots.
func (a Area) Write(x, y int, l Look, text string) int {
	for i, r := range text {
		w := runeWidth(r)
		if x+w > a.width || x+w == a.width && Width(text[i:]) > w {
			a.Set(x, y, '…', l)
			return a.width
		}
		if w == 0 {
			continue
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			r = '·'
		}
		a.Set(x, y, r, l)
		if w == 2 {
			a.Set(x+1, y, covered, l)
		}
		x += w
	}
	return x
}

// Span is text in one look.
type Span struct {
	Look Look
	Text string
}

// Spans draws consecutive spans and returns the column after them.
func (a Area) Spans(x, y int, spans ...Span) int {
	for _, s := range spans {
		x = a.Write(x, y, s.Look, s.Text)
	}
	return x
}

// Ends draws left at the left edge and right at the right edge. If there is no room for
// both, it only draws left.
func (a Area) Ends(y int, left, right []Span) {
	n := 0
	for _, s := range right {
		n += Width(s.Text)
	}
	room := a.width - n - 1
	if room < 10 {
		a.Row(y).Spans(0, 0, left...)
		return
	}
	a.Sub(0, y, room, 1).Spans(0, 0, left...)
	a.Row(y).Spans(a.width-n, 0, right...)
}

// Fill draws the same character n times.
func (a Area) Fill(x, y, n int, r rune, l Look) {
	for i := range n {
		a.Set(x+i, y, r, l)
	}
}

// Width returns the number of columns of text.
func Width(text string) (n int) {
	for _, r := range text {
		n += runeWidth(r)
	}
	return n
}

// runeWidth returns the number of columns of a character. A control character takes one,
// for the dot that replaces it.
func runeWidth(r rune) int {
	switch {
	case r < 0x300, // before combining characters
		r >= 0x2190 && r < 0x2200,  // arrows
		r >= 0x2500 && r < 0x25fd,  // lines, blocks and shapes
		r >= 0x2800 && r <= 0x28ff: // braille
		return 1
	}
	return ansi.StringWidth(string(r))
}
