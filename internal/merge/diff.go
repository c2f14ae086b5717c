package merge

import "slices"

// change is a run of lines that differ: lines a to aEnd of one text, or none, were replaced
// by lines b to bEnd of the other one, or removed.
type change struct{ a, aEnd, b, bEnd int }

// differences returns the smallest set of changes between two texts, in order. No two of them
// touch.
func differences(a, b []string) []change {
	d := differ{a: intern(a, b), onlyA: make([]bool, len(a)), onlyB: make([]bool, len(b))}
	d.a, d.b = d.a[:len(a)], d.a[len(a):]
	d.compare(d.drop(d.a, d.b, d.onlyA), d.drop(d.b, d.a, d.onlyB))
	return d.slide(d.changes())
}

// intern returns a number for each line of both texts: equal lines have the same one.
func intern(a, b []string) []int {
	known := map[string]int{}
	out := make([]int, 0, len(a)+len(b))
	for _, line := range slices.Concat(a, b) {
		number, ok := known[line]
		if !ok {
			number = len(known)
			known[line] = number
		}
		out = append(out, number)
	}
	return out
}

// differ finds the lines that only one of two texts has.
type differ struct {
	a, b         []int
	onlyA, onlyB []bool
}

// drop marks the lines that the other text lacks, and returns the indexes of the others.
// Two texts that have little in common are compared quickly that way.
func (d *differ) drop(text, other []int, only []bool) []int {
	known := map[int]bool{}
	for _, line := range other {
		known[line] = true
	}
	var kept []int
	for i, line := range text {
		if only[i] = !known[line]; !only[i] {
			kept = append(kept, i)
		}
	}
	return kept
}

// compare marks the lines that only one of the texts has, among those at the indexes, with
// Myers' algorithm in linear space.
func (d *differ) compare(a, b []int) {
	for len(a) > 0 && len(b) > 0 && d.a[a[0]] == d.b[b[0]] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && d.a[a[len(a)-1]] == d.b[b[len(b)-1]] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a) == 0 || len(b) == 0 {
		for _, i := range a {
			d.onlyA[i] = true
		}
		for _, i := range b {
			d.onlyB[i] = true
		}
		return
	}
	x, y := d.middle(a, b)
	d.compare(a[:x], b[:y])
	d.compare(a[x:], b[y:])
}

// middle returns a point in the middle of a shortest path from the start of both texts to
// their ends: it extends paths from both until they meet.
func (d *differ) middle(a, b []int) (x, y int) {
	n, m := len(a), len(b)
	forward, backward := newReach(n, m), newReach(n, m)
	for steps := 0; ; steps++ {
		for k := -steps; k <= steps; k += 2 {
			x := forward.step(k, steps, func(x, y int) bool { return d.a[a[x]] == d.b[b[y]] })
			if x >= 0 && x+backward.at(n-m-k) >= n && backward.at(n-m-k) >= 0 {
				return x, x - k
			}
		}
		for k := -steps; k <= steps; k += 2 {
			x := backward.step(k, steps, func(x, y int) bool { return d.a[a[n-1-x]] == d.b[b[m-1-y]] })
			if x >= 0 && x+forward.at(n-m-k) >= n && forward.at(n-m-k) >= 0 {
				return n - x, m - (x - k)
			}
		}
	}
}

// reach holds how far the paths on each diagonal x-y have come, or -1.
type reach struct {
	n, m int
	x    []int
}

func newReach(n, m int) reach {
	r := reach{n, m, make([]int, n+m+3)}
	for i := range r.x {
		r.x[i] = -1
	}
	return r
}

func (r reach) at(k int) int {
	if k < -r.m-1 || k > r.n+1 {
		return -1
	}
	return r.x[k+r.m+1]
}

// step extends the path on diagonal k by one change and the equal lines after it.
func (r reach) step(k, steps int, equal func(x, y int) bool) int {
	if k < -r.m || k > r.n {
		return -1
	}
	x := -1
	if steps == 0 {
		x = 0
	}
	if left := r.at(k - 1); left >= 0 && left < r.n {
		x = left + 1
	}
	if above := r.at(k + 1); above >= 0 && above-(k+1) < r.m {
		x = max(x, above)
	}
	if x >= 0 {
		for x < r.n && x-k < r.m && equal(x, x-k) {
			x++
		}
	}
	r.x[k+r.m+1] = x
	return x
}

// changes returns the marked lines as changes.
func (d *differ) changes() []change {
	var list []change
	for i, j := 0, 0; i < len(d.a) || j < len(d.b); {
		c := change{i, i, j, j}
		for c.aEnd < len(d.a) && d.onlyA[c.aEnd] {
			c.aEnd++
		}
		for c.bEnd < len(d.b) && d.onlyB[c.bEnd] {
			c.bEnd++
		}
		if c.aEnd > i || c.bEnd > j {
			list = append(list, c)
		}
		i, j = c.aEnd+1, c.bEnd+1
	}
	return list
}

// slide moves insertions and deletions that can be in several places, such as one of two
// blank lines, to where git reports them: to a change that they then touch, or else as far
// down as possible.
func (d *differ) slide(list []change) []change {
	var out []change
	for i := 0; i < len(list); i++ {
		c := list[i]
		for len(out) > 0 && d.up(&c, out[len(out)-1].aEnd) {
			if last := out[len(out)-1]; last.aEnd == c.a {
				c = change{last.a, c.aEnd, last.b, c.bEnd}
				out = out[:len(out)-1]
			}
		}
		next := len(d.a)
		if i+1 < len(list) {
			next = list[i+1].a
		}
		for d.down(&c, next) {
		}
		if i+1 < len(list) && c.aEnd == next {
			list[i+1] = change{c.a, list[i+1].aEnd, c.b, list[i+1].bEnd}
			continue
		}
		out = append(out, c)
	}
	return out
}

// up moves an insertion or deletion up by one line, not past line limit of the first text.
func (d *differ) up(c *change, limit int) bool {
	switch {
	case c.a <= limit || c.a == 0 || c.b == 0:
		return false
	case c.a == c.aEnd && c.b < c.bEnd && d.b[c.b-1] == d.b[c.bEnd-1]:
	case c.b == c.bEnd && c.a < c.aEnd && d.a[c.a-1] == d.a[c.aEnd-1]:
	default:
		return false
	}
	*c = change{c.a - 1, c.aEnd - 1, c.b - 1, c.bEnd - 1}
	return true
}

// down moves an insertion or deletion down by one line, not past line limit of the first
// text.
func (d *differ) down(c *change, limit int) bool {
	switch {
	case c.aEnd >= limit || c.aEnd == len(d.a) || c.bEnd == len(d.b):
		return false
	case c.a == c.aEnd && c.b < c.bEnd && d.b[c.b] == d.b[c.bEnd]:
	case c.b == c.bEnd && c.a < c.aEnd && d.a[c.a] == d.a[c.aEnd]:
	default:
		return false
	}
	*c = change{c.a + 1, c.aEnd + 1, c.b + 1, c.bEnd + 1}
	return true
}
