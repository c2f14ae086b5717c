package tui

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// cell is one place of a screen. Its rune is 0 where nothing was drawn, and
// covered where the wide character before it reaches into it.
type cell struct {
	r    rune
	look look
}

const covered rune = -1

// grid is a screen in memory. Everything is drawn on it cell by cell and
// written once: text with escape codes is never measured, cut or joined, and a
// frame of a large terminal costs little. The zero grid is of no size.
type grid struct {
	width, height int
	cells         []cell
}

// reset makes the grid empty and of a size.
func (g *grid) reset(width, height int) {
	g.width, g.height = max(width, 0), max(height, 0)
	n := g.width * g.height
	g.cells = slices.Grow(g.cells[:0], n)[:n]
	clear(g.cells)
}

// all is the whole grid as an area.
func (g *grid) all() area { return area{g, 0, 0, g.width, g.height} }

// text writes the grid down, line by line, each without what is empty at its
// end.
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

// writeRow writes cells with as few changes of their look as possible.
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

// area is a rectangle of a grid. What is drawn past its edges is left out.
type area struct {
	g             *grid
	x, y          int
	width, height int
}

// sub is a rectangle within the area, cut to what fits.
func (a area) sub(x, y, width, height int) area {
	x, y = max(x, 0), max(y, 0)
	return area{a.g, a.x + x, a.y + y, max(min(width, a.width-x), 0), max(min(height, a.height-y), 0)}
}

// row is one line of the area.
func (a area) row(y int) area { return a.sub(0, y, a.width, 1) }

// at is the cell at a place, nil outside.
func (a area) at(x, y int) *cell {
	if x < 0 || y < 0 || x >= a.width || y >= a.height {
		return nil
	}
	return &a.g.cells[(a.y+y)*a.g.width+a.x+x]
}

// set draws one character that is one column wide.
func (a area) set(x, y int, r rune, l look) {
	if c := a.at(x, y); c != nil {
		*c = cell{r, l}
	}
}

// write draws text from x on and returns where it ended. Text that does not fit
// is cut, and ends in …; what a terminal would obey is not drawn.
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

// spans writes spans one after the other and returns where they ended.
func (a area) spans(x, y int, spans ...span) int {
	for _, s := range spans {
		x = a.write(x, y, s.look, s.text)
	}
	return x
}

// ends writes left from the left edge and right up to the right one, which goes
// before where there is no room for both.
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

// width is how many columns text takes.
func width(text string) (n int) {
	for _, r := range text {
		n += runeWidth(r)
	}
	return n
}

// runeWidth is how many columns a character takes: what would be obeyed takes
// the one of the dot that stands for it.
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
