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
	look look
}

const covered rune = -1

// grid is a screen in memory. Everything is drawn on it cell by cell and then written once,
// so text with escape codes is never measured, cut, or joined, and a frame of a large
// terminal is cheap. The zero grid is empty.
type grid struct {
	width, height int
	cells         []cell
}

// reset clears the grid and sets its size.
func (g *grid) reset(width, height int) {
	g.width, g.height = max(width, 0), max(height, 0)
	n := g.width * g.height
	g.cells = slices.Grow(g.cells[:0], n)[:n]
	clear(g.cells)
}

// all returns the entire grid as an area.
func (g *grid) all() area { return area{g, 0, 0, g.width, g.height} }

// text returns the lines of the grid, without trailing blanks.
func (g *grid) text(p *palette) string {
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
func (p *palette) writeRow(b *strings.Builder, row []cell) {
	end := len(row)
	for end > 0 && (row[end-1].r == 0 || row[end-1].r == ' ') && !p.visible(row[end-1].look) {
		end--
	}
	now := plain
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

// area is a rectangle of a grid. Drawing is clipped to it.
type area struct {
	g             *grid
	x, y          int
	width, height int
}

// sub returns a rectangle within the area, clipped to it.
func (a area) sub(x, y, width, height int) area {
	x, y = max(x, 0), max(y, 0)
	return area{a.g, a.x + x, a.y + y, max(min(width, a.width-x), 0), max(min(height, a.height-y), 0)}
}

// row returns one line of the area.
func (a area) row(y int) area { return a.sub(0, y, a.width, 1) }

// at returns the cell at a position, or nil outside of the area.
func (a area) at(x, y int) *cell {
	if x < 0 || y < 0 || x >= a.width || y >= a.height {
		return nil
	}
	return &a.g.cells[(a.y+y)*a.g.width+a.x+x]
}

// set draws a character that is one column wide.
func (a area) set(x, y int, r rune, l look) {
	if c := a.at(x, y); c != nil {
		*c = cell{r, l}
	}
}

// write draws text starting at x and returns the column after it. Text that does not fit is
// truncated with an ellipsis. Control characters are drawn as dots.
func (a area) write(x, y int, l look, text string) int {
	for i, r := range text {
		w := runeWidth(r)
		if x+w > a.width || x+w == a.width && width(text[i:]) > w {
			a.set(x, y, '…', l)
			return a.width
		}
		if w == 0 {
			continue
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			r = '·'
		}
		a.set(x, y, r, l)
		if w == 2 {
			a.set(x+1, y, covered, l)
		}
		x += w
	}
	return x
}

// span is text in one look.
type span struct {
	look look
	text string
}

// spans draws consecutive spans and returns the column after them.
func (a area) spans(x, y int, spans ...span) int {
	for _, s := range spans {
		x = a.write(x, y, s.look, s.text)
	}
	return x
}

// ends draws left at the left edge and right at the right edge. If there is no room for
// both, it only draws left.
func (a area) ends(y int, left, right []span) {
	n := 0
	for _, s := range right {
		n += width(s.text)
	}
	room := a.width - n - 1
	if room < 10 {
		a.row(y).spans(0, 0, left...)
		return
	}
	a.sub(0, y, room, 1).spans(0, 0, left...)
	a.row(y).spans(a.width-n, 0, right...)
}

// fill draws the same character n times.
func (a area) fill(x, y, n int, r rune, l look) {
	for i := range n {
		a.set(x+i, y, r, l)
	}
}

// width returns the number of columns of text.
func width(text string) (n int) {
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
