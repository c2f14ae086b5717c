package main

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// The sizes of the picture, in pixels.
const (
	cellWidth  = 8.4
	lineHeight = 17.0
	fontSize   = 14
	baseline   = 12.5 // of a line, from its top
	marginX    = 14.0
	marginY    = 12.0
)

// at formats a coordinate with as few digits as are visible.
func at(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

func left(column float64) float64 { return marginX + column*cellWidth }
func top(row float64) float64     { return marginY + row*lineHeight }

// picture is an SVG picture that is being drawn.
type picture struct {
	body    strings.Builder
	classes map[style]string // of text
	css     strings.Builder
}

// draw returns the picture of a screen.
func draw(s *screen, title string) string {
	p := &picture{classes: map[style]string{}}
	for y, row := range s.rows {
		p.grounds(y, row)
		p.text(y, row)
	}
	for _, path := range shapes(s) {
		p.body.WriteString(path)
	}
	width, height := 2*marginX+float64(s.columns)*cellWidth, 2*marginY+float64(len(s.rows))*lineHeight
	name := html.EscapeString(title)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]s %[2]s" width="%[1]s" height="%[2]s" role="img" aria-label="%[3]s">
<title>%[3]s</title>
<style>text{font:%[4]dpx ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;white-space:pre}%[5]s%[6]s</style>
<rect width="100%%" height="100%%" rx="8" fill="%[7]s"/>
%[8]s</svg>
`, at(width), at(height), name, fontSize, shapesCSS, p.css.String(), ground, p.body.String())
}

// grounds draws the cells' backgrounds.
func (p *picture) grounds(y int, row []cell) {
	for x := 0; x < len(row); {
		end := x + 1
		for end < len(row) && row[end].style.back == row[x].style.back {
			end++
		}
		if back := row[x].style.back; back != "" {
			fmt.Fprintf(&p.body, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`+"\n",
				at(left(float64(x))), at(top(float64(y))), at(float64(end-x)*cellWidth), at(lineHeight), back)
		}
		x = end
	}
}

// text writes a row's text, one part for each style. Each part has an explicit
// width, so that columns align in every font.
func (p *picture) text(y int, row []cell) {
	var parts strings.Builder
	for x := 0; x < len(row); {
		if blank(row[x]) {
			x++
			continue
		}
		end := x + 1
		for end < len(row) && row[end].style == row[x].style && (!blank(row[end]) || between(row, end)) {
			end++
		}
		var text strings.Builder
		for _, c := range row[x:end] {
			text.WriteRune(c.char)
		}
		size := ""
		if end-x > 1 {
			size = fmt.Sprintf(` textLength="%s" lengthAdjust="spacingAndGlyphs"`, at(float64(end-x)*cellWidth))
		}
		fmt.Fprintf(&parts, `<tspan class="%s" x="%s"%s>%s</tspan>`, p.class(row[x].style), at(left(float64(x))), size, html.EscapeString(text.String()))
		x = end
	}
	if parts.Len() > 0 {
		fmt.Fprintf(&p.body, `<text y="%s">%s</text>`+"\n", at(top(float64(y))+baseline), parts.String())
	}
}

// blank reports whether a cell has no text.
func blank(c cell) bool { return c.char == ' ' || drawn(c.char) }

// between reports whether a cell is a space between two words of the same style.
func between(row []cell, x int) bool {
	return row[x].char == ' ' && x+1 < len(row) && !blank(row[x+1]) && row[x+1].style == row[x].style
}

// class returns the CSS class of text in a style.
func (p *picture) class(s style) string {
	s.back = ""
	name, ok := p.classes[s]
	if ok {
		return name
	}
	name = fmt.Sprintf("c%d", len(p.classes))
	p.classes[s] = name
	fmt.Fprintf(&p.css, ".%s{fill:%s", name, s.fore)
	for _, rule := range []struct {
		set  bool
		text string
	}{{s.bold, "font-weight:700"}, {s.dim, "opacity:.62"}, {s.italic, "font-style:italic"}, {s.underline, "text-decoration:underline"}} {
		if rule.set {
			p.css.WriteString(";" + rule.text)
		}
	}
	p.css.WriteString("}")
	return name
}
