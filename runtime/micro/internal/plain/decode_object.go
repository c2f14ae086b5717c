package plain

import (
	"reflect"
	"unicode/utf8"
	"unsafe"
)

// object reads an object into the struct at p. Members are usually in the order of the
// struct, so the name of the next field is compared first. A duplicate name is left to the
// library, which merges the two values.
func (d *decoder) object(o *object, p unsafe.Pointer, i, depth int) int {
	i, more := d.open(i, "{}")
	next, seen := 0, uint64(0)
	for more {
		k, at := d.expected(o, next, i)
		if at < 0 {
			if k, at = d.search(o, i); at < 0 {
				return miss
			}
		}
		if k < 0 {
			i = d.skip(at, depth+1)
		} else {
			if seen&(1<<k) != 0 {
				return miss
			}
			seen |= 1 << k
			f := &o.fields[k]
			i = d.value(f.node, unsafe.Add(p, f.offset), at, depth+1)
			next = k + 1
		}
		i, more = d.next(i, '}')
	}
	return i
}

// expected returns k and the start of the value of field k if its name is at i, as it is
// usually written.
func (d *decoder) expected(o *object, k, i int) (field, at int) {
	if k >= len(o.fields) {
		return k, miss
	}
	name := o.fields[k].lead[1:]
	end := i + len(name)
	if end > len(d.data) || string(d.data[i:end]) != name {
		return k, miss
	}
	return k, d.space(end)
}

// search reads the name at i and returns the index of its field, or -1 if there is none,
// and the start of the value.
func (d *decoder) search(o *object, i int) (field, at int) {
	name, at := d.name(i)
	if at < 0 {
		return 0, miss
	}
	if field = o.find(name); field < 0 && o.resembles(name) {
		return 0, miss
	}
	return field, at
}

// name reads the name of a member and the colon after it. A name that has escapes or is not
// UTF-8 is a miss.
func (d *decoder) name(i int) (name []byte, at int) {
	if i >= len(d.data) || d.data[i] != '"' {
		return nil, miss
	}
	end := findEnd(d.data, i+1)
	if end == len(d.data) || d.data[end] != '"' || !utf8.Valid(d.data[i+1:end]) {
		return nil, miss
	}
	return d.data[i+1 : end], d.colon(end + 1)
}

// colon reads the colon after a name.
func (d *decoder) colon(i int) int {
	i = d.space(i)
	if i >= len(d.data) || d.data[i] != ':' {
		return miss
	}
	return d.space(i + 1)
}

func (d *decoder) stringMap(p *map[string]string, i int) int {
	m := map[string]string{}
	i, more := d.open(i, "{}")
	for more {
		key, at := d.key(i)
		if at < 0 {
			return miss
		}
		var s string
		if d.data[at] == 'n' {
			i = d.literal(at, "null")
		} else {
			s, i = d.text(at)
		}
		m[key] = s
		i, more = d.next(i, '}')
	}
	*p = m
	return i
}

func (d *decoder) objectMap(i, depth int) (m map[string]any, end int) {
	m = map[string]any{}
	i, more := d.open(i, "{}")
	for more {
		key, at := d.key(i)
		if at < 0 {
			return nil, miss
		}
		m[key], i = d.any(at, depth+1)
		i, more = d.next(i, '}')
	}
	return m, i
}

func (d *decoder) reflectMap(n *node, p unsafe.Pointer, i, depth int) int {
	m := reflect.MakeMap(n.typ)
	*(*unsafe.Pointer)(p) = m.UnsafePointer() // a map is one pointer
	to := n.pairs.Get().(*pair)
	defer n.release(to)
	i, more := d.open(i, "{}")
	for more {
		key, at := d.key(i)
		if at < 0 {
			return miss
		}
		to.key.SetString(key)
		to.elem.SetZero()
		i = d.value(n.elem, to.address, at, depth+1)
		m.SetMapIndex(to.key, to.elem)
		i, more = d.next(i, '}')
	}
	return i
}

// key reads the key of a map's member and returns the start of the value, which is within
// the text.
func (d *decoder) key(i int) (key string, at int) {
	key, end := d.text(i)
	if end < 0 {
		return "", miss
	}
	if at = d.colon(end); at >= len(d.data) {
		return "", miss
	}
	return key, at
}
