package plain

import "unsafe"

// next reads what stands behind an element of a list or object that bracket
// closes: a comma, and the next one begins at the index returned, or the bracket.
func (d *decoder) next(i int, bracket byte) (end int, more bool) {
	if i < 0 {
		return miss, false
	}
	i = d.space(i)
	switch {
	case i >= len(d.data):
		return miss, false
	case d.data[i] == ',':
		return d.space(i + 1), true
	case d.data[i] == bracket:
		return i + 1, false
	}
	return miss, false
}

// open reads an opening brace or bracket, and what closes it if that follows at
// once.
func (d *decoder) open(i int, brackets string) (end int, more bool) {
	if i >= len(d.data) || d.data[i] != brackets[0] {
		return miss, false
	}
	i = d.space(i + 1)
	if i < len(d.data) && d.data[i] == brackets[1] {
		return i + 1, false
	}
	return i, true
}

func (d *decoder) slice(n *node, p unsafe.Pointer, i, depth int) int {
	start := i
	i, more := d.open(i, "[]")
	if !more {
		*(*[]struct{})(p) = []struct{}{} // not nil, of whatever type
		return i
	}
	s := (*sliceHeader)(p)
	for more {
		if s.len == s.cap {
			grow(n.typ, p, d.room(n.elem, s.len, i-start, i))
		}
		i = d.value(n.elem, unsafe.Add(s.data, uintptr(s.len)*n.elem.size), i, depth+1)
		s.len++
		i, more = d.next(i, ']')
	}
	return i
}

// room estimates how many more elements a list has, of which count took up used
// bytes and the next stands at i: as many as there is text for, but no more than
// three times those seen, lest a list before much other text waste memory; at
// first a few, and one if they are large.
func (d *decoder) room(elem *node, count, used, i int) int {
	if count == 0 {
		return max(1, min(4, 256/max(1, int(elem.size))))
	}
	fit := (len(d.data) - i) * count / used
	return max(1, min(fit+fit/16+1, 3*count))
}

// array reads a list into an array: what is too many is dropped, what is missing
// stays zero.
func (d *decoder) array(n *node, p unsafe.Pointer, i, depth int) int {
	i, more := d.open(i, "[]")
	for k := 0; more; k++ {
		if k < n.length {
			i = d.value(n.elem, unsafe.Add(p, uintptr(k)*n.elem.size), i, depth+1)
		} else {
			i = d.skip(i, depth+1)
		}
		i, more = d.next(i, ']')
	}
	return i
}

// any reads a value as encoding/json puts it into an empty interface.
func (d *decoder) any(i, depth int) (v any, end int) {
	if i >= len(d.data) || depth > maxDepth {
		return nil, miss
	}
	switch d.data[i] {
	case '"':
		s, end := d.text(i)
		return s, end
	case '{':
		m, end := d.objectMap(i, depth)
		return m, end
	case '[':
		return d.list(i, depth)
	case 'n':
		return nil, d.literal(i, "null")
	case 't', 'f':
		b, end := d.boolean(i)
		return b, end
	}
	f, end := d.number(i)
	return f, end
}

func (d *decoder) list(i, depth int) (v any, end int) {
	values := []any{}
	i, more := d.open(i, "[]")
	for more {
		var v any
		v, i = d.any(i, depth+1)
		values = append(values, v)
		i, more = d.next(i, ']')
	}
	return values, i
}
