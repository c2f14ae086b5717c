package cli

import (
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/disk"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/page"
)

// writePage writes the page of --html: the trees that the filter selects.
func (v *tapView) writePage(name string) error {
	var selected []*tap.Span
	for _, root := range v.trees.Roots() {
		if v.o.filter.Tree(root) {
			selected = append(selected, root)
		}
	}
	p := page.New(name, selected, time.Now())
	p.Missing, p.Forgotten = v.trees.Dropped, v.trees.Evicted
	if err := disk.Write(v.o.html, p.Write); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	trees := "call trees"
	if p.Shown() == 1 {
		trees = "call tree"
	}
	v.io.Notef("wrote %s: %d %s", v.io.ErrPalette().Accent(v.o.html), p.Shown(), trees)
	return nil
}
