// Package taptree holds the call trees of a screen: which of them are shown, the selected row, and what
// is visible. Only trees that are looked at are laid out, so that a message costs little.
package taptree

import (
	"slices"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/outline"
)

// Line is a visible row.
type Line struct {
	Tree     *outline.Tree
	Row      *outline.Row
	Selected bool
	Match    bool // it contains the text of the filter
}

// List is a list of call trees, the newest last. Its zero value is empty and follows the newest tree. It
// is used by one goroutine at a time.
type List struct {
	// Messages counts the messages that were added, and LeftOut those that were discarded during a
	// pause that took too long.
	Messages, LeftOut int

	trees   tap.Trees
	filter  tap.Filter
	laidOut map[*tap.Span]*layout // by root; what is missing is not known

	stays bool // it does not follow the newest tree
	// The selected row, and where it is on the screen. The row may have gone.
	span *tap.Span
	kind outline.Kind
	y    int

	paused bool
	queue  []tap.Message // what arrived during the pause
	weight int           // of the queue, in bytes
}

// layout is what is known of a tree. It is discarded when the tree changes.
type layout struct {
	tree  *outline.Tree // nil until it is needed
	shown bool
}

// The limits of what a pause collects.
const (
	maxQueued       = 50_000
	maxQueuedWeight = 32 << 20
)

// Add adds a message, or keeps it for the end of the pause.
func (l *List) Add(m tap.Message) {
	if m.Span != "" {
		l.Messages++
	}
	if !l.paused {
		l.add(m)
		return
	}
	l.queue = append(l.queue, m)
	l.weight += weight(&m)
	for len(l.queue) > maxQueued || l.weight > maxQueuedWeight {
		l.weight -= weight(&l.queue[0])
		l.queue[0] = tap.Message{}
		l.queue = l.queue[1:]
		l.LeftOut++
	}
}

func weight(m *tap.Message) int { return 600 + len(m.Data) + len(m.Reply) }

func (l *List) add(m tap.Message) {
	if s := l.trees.Add(m); s != nil {
		delete(l.laidOut, s.Root())
	}
}

// Pause starts or ends a pause, during which nothing changes.
func (l *List) Pause(on bool) {
	l.paused = on
	if on {
		return
	}
	for _, m := range l.queue {
		l.add(m)
	}
	l.queue, l.weight = nil, 0
}

// Paused reports whether there is a pause, and how many messages have arrived during it.
func (l *List) Paused() (on bool, waiting int) { return l.paused, len(l.queue) }

// Trees returns all trees.
func (l *List) Trees() *tap.Trees { return &l.trees }

// Filter returns the filter of the trees that are shown.
func (l *List) Filter() tap.Filter { return l.filter }

// SetFilter replaces the filter.
func (l *List) SetFilter(f tap.Filter) {
	l.filter = f
	clear(l.laidOut)
}

// Shown returns the number of trees that the filter selects.
func (l *List) Shown() (n int) {
	if l.filter == (tap.Filter{}) {
		return len(l.trees.Roots())
	}
	for i := range l.trees.Roots() {
		if l.layout(i).shown {
			n++
		}
	}
	return n
}

// Services returns the names of the services in the trees, sorted.
func (l *List) Services() (names []string) {
	seen := map[string]bool{}
	for _, root := range l.trees.Roots() {
		root.Walk(func(s *tap.Span, _ int) bool {
			if !seen[s.Service] {
				seen[s.Service] = true
				names = append(names, s.Service)
			}
			return true
		})
	}
	slices.Sort(names)
	return names
}

// layout returns what is known of the tree with an index.
func (l *List) layout(i int) *layout {
	root := l.trees.Roots()[i]
	known := l.laidOut[root]
	if known == nil {
		known = &layout{shown: l.filter == (tap.Filter{}) || l.filter.Tree(root)}
		if l.laidOut == nil || len(l.laidOut) > 2*len(l.trees.Roots())+1000 { // most are of trees that have gone
			l.laidOut = map[*tap.Span]*layout{}
		}
		l.laidOut[root] = known
	}
	return known
}

func (l *List) tree(i int) *outline.Tree {
	known := l.layout(i)
	if known.tree == nil {
		known.tree = outline.Of(l.trees.Roots()[i])
	}
	return known.tree
}

// place is a row, by the index of its tree and its index there.
type place struct{ tree, row int }

func (l *List) next(p place) (place, bool) {
	if p.row+1 < len(l.tree(p.tree).Rows) {
		return place{p.tree, p.row + 1}, true
	}
	for i := p.tree + 1; i < len(l.trees.Roots()); i++ {
		if l.layout(i).shown {
			return place{i, 0}, true
		}
	}
	return p, false
}

func (l *List) previous(p place) (place, bool) {
	if p.row > 0 {
		return place{p.tree, p.row - 1}, true
	}
	for i := p.tree - 1; i >= 0; i-- {
		if l.layout(i).shown {
			return place{i, len(l.tree(i).Rows) - 1}, true
		}
	}
	return p, false
}

// first returns the first row of the first or the last tree that is shown.
func (l *List) first(newest bool) (place, bool) {
	for i := range l.trees.Roots() {
		if newest {
			i = len(l.trees.Roots()) - 1 - i
		}
		if l.layout(i).shown {
			return place{i, 0}, true
		}
	}
	return place{}, false
}

// locate returns the selected row. If it has gone, it is the oldest row.
func (l *List) locate() (place, bool) {
	if !l.stays || l.span == nil {
		return l.first(true)
	}
	i := slices.Index(l.trees.Roots(), l.span.Root())
	if i < 0 || !l.layout(i).shown {
		return l.nearest(i)
	}
	at := place{tree: i}
	for j := range l.tree(i).Rows {
		row := &l.tree(i).Rows[j]
		if row.Span != l.span && row.Handler != l.span {
			continue
		}
		if at.row = j; row.Kind == l.kind {
			break
		}
	}
	return at, true
}

// nearest returns the first row of a tree that is shown, close to the tree with an index.
func (l *List) nearest(i int) (place, bool) {
	if i >= 0 {
		if p, ok := l.next(place{i, len(l.tree(i).Rows)}); ok {
			return p, true
		}
		return l.first(true)
	}
	return l.first(false)
}

func (l *List) selectAt(p place) {
	row := &l.tree(p.tree).Rows[p.row]
	l.span, l.kind = row.Span, row.Kind
}

// Move moves the selection by a number of rows, and stops following the newest tree.
func (l *List) Move(by int) {
	at, ok := l.locate()
	if !ok {
		return
	}
	l.stays = true
	step, one := l.next, 1
	if by < 0 {
		step, one = l.previous, -1
	}
	for ; by != 0; by -= one {
		if at, ok = step(at); !ok {
			break
		}
		l.y += one
	}
	l.selectAt(at)
}

// Home selects the oldest row.
func (l *List) Home() {
	if at, ok := l.first(false); ok {
		l.stays, l.y = true, 0
		l.selectAt(at)
	}
}

// End selects the newest tree, and follows it.
func (l *List) End() { l.stays = false }

// Following reports whether the newest tree is selected.
func (l *List) Following() bool { return !l.stays }

// Find selects the next row, or the previous one, that contains the text of the filter. It returns false
// if there is none.
func (l *List) Find(forward bool) bool {
	at, ok := l.locate()
	step := l.next
	if !forward {
		step = l.previous
	}
	moved := 0
	for ok {
		if at, ok = step(at); ok {
			moved++
			if l.match(&l.tree(at.tree).Rows[at.row]) {
				break
			}
		}
	}
	if !ok {
		return false
	}
	l.stays = true
	l.selectAt(at)
	if forward {
		l.y += moved
	} else {
		l.y -= moved
	}
	return true
}

// match reports whether a row contains the text of the filter.
func (l *List) match(row *outline.Row) bool {
	if l.filter.Text == "" || row.Kind != outline.Message {
		return false
	}
	text := tap.Filter{Text: l.filter.Text}
	return text.Message(&row.Span.Message) || row.Handler != nil && text.Message(&row.Handler.Message)
}

// Selected returns the selected row and its tree; nil without one.
func (l *List) Selected() (*outline.Tree, *outline.Row) {
	at, ok := l.locate()
	if !ok {
		return nil, nil
	}
	t := l.tree(at.tree)
	return t, &t.Rows[at.row]
}

// from returns up to n rows that follow one in a direction.
func from(p place, n int, step func(place) (place, bool)) (rows []place) {
	for len(rows) < n {
		following, ok := step(p)
		if !ok {
			break
		}
		p = following
		rows = append(rows, p)
	}
	return rows
}

// Window returns the rows that are visible in a number of lines, with the selected one among them. It
// moves as little as possible.
func (l *List) Window(height int) []Line {
	at, ok := l.locate()
	if !ok || height <= 0 {
		return nil
	}
	if !l.stays {
		l.y = height - len(l.tree(at.tree).Rows)
	}
	l.selectAt(at)
	l.y = min(max(l.y, 0), height-1)
	above := from(at, l.y, l.previous) // upward
	below := from(at, height-1-len(above), l.next)
	if room := height - 1 - len(above) - len(below); room > 0 { // for older ones
		above = from(at, len(above)+room, l.previous)
	}
	l.y = len(above)
	slices.Reverse(above)
	var lines []Line
	for i, p := range append(append(above, at), below...) {
		t := l.tree(p.tree)
		row := &t.Rows[p.row]
		lines = append(lines, Line{Tree: t, Row: row, Selected: i == l.y, Match: l.match(row)})
	}
	return lines
}
