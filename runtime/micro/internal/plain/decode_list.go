package plain

import "unsafe"

// next reads the comma or the closing bracket after an element of a list or object. After
// a comma, it returns the index of the next element.
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

// open reads an opening brace or bracket and, if the container is empty, the closing one.
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
		*(*[]struct{})(p) = []struct{}{} // empty but not nil; the same for every element type
		return i
	}
	s := (*sliceHeader)(p)
	for more {
		if s.len == s.cap {
			grow(n.typ, p, d.room(n.elem, s.len, i-start, i))
		}
		i = d.value(n.elem, unsafe.Add(s.data, uintptr(s.len)*n.elem.size), i, depth+1)
		s.len++ // after a miss as well: Unmarshal then clears the value
		i, more = d.next(i, ']')
	}
	return i
}

// room estimates the number of further elements of a list, of which count elements took
// used bytes and the next one is at i: as many as the text has room for, but at most
// three times those seen, so that a list followed by other text does not waste memory;
// a few at first, and one if they are large.
func (d *decoder) room(elem *node, count, used, i int) int {
	if count == 0 {
		return max(1, min(4, 256/max(1, int(elem.size))))
	}
	fit := (len(d.data) - i) * count / used
	return max(1, min(fit+fit/16+1, 3*count))
}

// array reads a list into an array. Excess elements are dropped, and missing ones stay
// zero.
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

// any reads a value as encoding/json decodes it into an empty interface.
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
