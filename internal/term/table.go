package term

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/term/visible"
)

// Table aligns text in columns. Its first row is the heading.
type Table struct {
	// Right holds the columns that are aligned right, from 0.
	Right map[int]bool

	rows [][]string
}

// Row adds a row. Special characters in its cells are escaped.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = visible.Line(cell)
	}
	t.rows = append(t.rows, row)
}

// Write writes the table with the heading dimmed and the first column highlighted.
func (t *Table) Write(w io.Writer, p Palette) {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case n == 0:
				cell = p.Dim(cell)
			case i == 0:
				cell = p.Accent(cell)
			}
			switch {
			case t.Right[i]:
				cell = space + cell
			case i < len(row)-1:
				cell += space
			}
			if i > 0 {
				line.WriteString("  ")
			}
			line.WriteString(cell)
		}
		fmt.Fprintln(w, line.String())
	}
}
