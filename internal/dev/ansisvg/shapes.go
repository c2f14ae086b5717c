package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// kind determines how a shape is drawn; its value is its CSS class.
type kind string

const (
	dots    kind = "d" // braille: dashes as long as a dot
	thin    kind = "l"
	upright kind = "l u"
	broken  kind = "s" // upright
	heavy   kind = "h"
	filled  kind = "b"
)

var shapesCSS = fmt.Sprintf(`.d,.l,.s,.h{fill:none}.d{stroke-width:%s;stroke-dasharray:%[1]s %s}.l{stroke-width:1}.s{stroke-dasharray:2 2.25}.h{stroke-width:2.5}`,
	at(dotSize), at(cellWidth/2-dotSize))

const (
	dotSize = 2.0

	firstBraille, lastBraille = '\u2800', '\u28ff'
	firstBlock, lastBlock     = '▁', '█'
)

// arms returns the directions in which the lines of a box-drawing character lead
// from its center: left, right, up, down.
func arms(char rune) string {
	i := strings.IndexRune("─│┤├┬┴┼┌┐└┘╭╮╰╯╴╶╵╷", char)
	if i < 0 {
		return ""
	}
	return [...]string{"lr", "ud", "lud", "rud", "lrd", "lru", "lrud", "rd", "ld", "ru", "lu", "rd", "ld", "ru", "lu", "l", "r", "u", "d"}[i/len("─")]
}

// drawn reports whether a character is drawn as a shape instead of text.
func drawn(char rune) bool {
	return char >= firstBraille && char <= lastBraille || char >= firstBlock && char <= lastBlock || arms(char) != "" || strings.ContainsRune("┊┆╎━", char)
}

// ink is what the shapes of one path have in common.
type ink struct {
	kind  kind
	color string
	dim   bool
}

// spot is a position in a grid.
type spot struct{ x, y int }

// drawing contains all shapes on a screen.
type drawing struct {
	marks map[ink]map[spot]bool // marks to be joined into runs, in the grid of their kind
	lines map[ink]*strings.Builder
}

// shapes returns one path for all shapes with the same ink.
func shapes(s *screen) []string {
	d := &drawing{map[ink]map[spot]bool{}, map[ink]*strings.Builder{}}
	for y, row := range s.rows {
		for x, c := range row {
			if drawn(c.char) {
				d.add(c, x, y)
			}
		}
	}
	for i, grid := range d.marks {
		for _, r := range runs(grid) {
			d.line(i, stroke(i.kind, r))
		}
	}
	return paths(d.lines)
}

// add adds the character of a cell.
func (d *drawing) add(c cell, x, y int) {
	i := func(k kind) ink { return ink{k, c.style.fore, c.style.dim} }
	switch char := c.char; {
	case char >= firstBraille && char <= lastBraille:
		for _, dot := range braille(char) {
			d.mark(i(dots), spot{2*x + dot.x, 4*y + dot.y})
		}
	case char == '─':
		d.mark(i(thin), spot{x, y})
	case char == '━':
		d.mark(i(heavy), spot{x, y})
	case char == '│':
		d.mark(i(upright), spot{y, x}) // transposed, since runs are horizontal
	case arms(char) != "":
		d.line(i(thin), corner(char, float64(x), float64(y)))
	case char >= firstBlock && char <= lastBlock:
		d.line(i(filled), block(char, float64(x), float64(y)))
	default:
		d.mark(i(broken), spot{y, x})
	}
}

func (d *drawing) mark(i ink, at spot) {
	if d.marks[i] == nil {
		d.marks[i] = map[spot]bool{}
	}
	d.marks[i][at] = true
}

func (d *drawing) line(i ink, path string) {
	if d.lines[i] == nil {
		d.lines[i] = &strings.Builder{}
	}
	d.lines[i].WriteString(path)
}

// paths returns the paths in a stable order.
func paths(lines map[ink]*strings.Builder) (list []string) {
	order := slices.SortedFunc(maps.Keys(lines), func(a, b ink) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.color, b.color), cmp.Compare(fmt.Sprint(a.dim), fmt.Sprint(b.dim)))
	})
	for _, i := range order {
		paint, opacity := "stroke", ""
		if i.kind == filled {
			paint = "fill"
		}
		if i.dim {
			opacity = ` opacity=".62"`
		}
		list = append(list, fmt.Sprintf(`<path class="%s" %s="%s"%s d="%s"/>`+"\n", i.kind, paint, i.color, opacity, lines[i]))
	}
	return list
}

// braille returns the dots of a character, in columns of 4 rows.
func braille(char rune) (list []spot) {
	for bit, dot := range [...]spot{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}} {
		if char>>bit&1 == 1 {
			list = append(list, dot)
		}
	}
	return list
}

// run is a sequence of adjacent marks in a row.
type run struct {
	spot
	length int
}

// runs finds the runs, row by row.
func runs(grid map[spot]bool) (list []run) {
	order := slices.SortedFunc(maps.Keys(grid), func(a, b spot) int { return cmp.Or(cmp.Compare(a.y, b.y), cmp.Compare(a.x, b.x)) })
	for _, s := range order {
		if n := len(list); n > 0 && list[n-1].y == s.y && list[n-1].x+list[n-1].length == s.x {
			list[n-1].length++
			continue
		}
		list = append(list, run{s, 1})
	}
	return list
}

// stroke returns the path of a run.
func stroke(k kind, r run) string {
	x, y, n := float64(r.x), float64(r.y), float64(r.length)
	switch k {
	case dots:
		return fmt.Sprintf("M%s %sh%s", at(left(x/2)+dotSize/2), at(top(y/4)+dotSize), at((n-1)*cellWidth/2+dotSize))
	case broken, upright:
		return fmt.Sprintf("M%s %sv%s", at(left(y+0.5)), at(top(x)), at(n*lineHeight))
	}
	return fmt.Sprintf("M%s %sh%s", at(left(x)), at(top(y+0.5)), at(n*cellWidth))
}

// block returns the path of a block that fills part of its cell.
func block(char rune, x, y float64) string {
	height := float64(char-firstBlock+1) * lineHeight / 8
	return fmt.Sprintf("M%s %sv-%sh%sv%sz", at(left(x)), at(top(y+1)), at(height), at(cellWidth), at(height))
}

// corner returns the path of a box-drawing character; one with two arms is round.
func corner(char rune, x, y float64) string {
	middle := fmt.Sprintf("%s %s", at(left(x+0.5)), at(top(y+0.5)))
	ends := map[rune]string{
		'l': fmt.Sprintf("%s %s", at(left(x)), at(top(y+0.5))), 'r': fmt.Sprintf("%s %s", at(left(x+1)), at(top(y+0.5))),
		'u': fmt.Sprintf("%s %s", at(left(x+0.5)), at(top(y))), 'd': fmt.Sprintf("%s %s", at(left(x+0.5)), at(top(y+1))),
	}
	to := arms(char)
	if len(to) == 2 {
		return fmt.Sprintf("M%sQ%s %s", ends[rune(to[0])], middle, ends[rune(to[1])])
	}
	var path strings.Builder
	for _, arm := range to {
		path.WriteString("M" + middle + "L" + ends[arm])
	}
	return path.String()
}
