package plain

import (
	"encoding/base64"
	"reflect"
	"time"
	"unsafe"
)

// A decoder reads one JSON text. Its methods take the index of the first byte that they
// read and return the index after the last one. They return miss if the text is malformed
// or the library must decode it. Their destinations are zero.
type decoder struct {
	data   []byte
	lib    Library
	piece  []byte // memory that short strings share, used up to its length
	spaced bool   // white space was found
}

// space returns the index of the first byte at or after i that is not white space.
func (d *decoder) space(i int) int {
	if i < len(d.data) && d.data[i] > ' ' {
		return i
	}
	return d.skipSpace(i)
}

// value reads a value of n's type into p.
func (d *decoder) value(n *node, p unsafe.Pointer, i, depth int) int {
	if i >= len(d.data) || depth > maxDepth {
		return miss
	}
	if d.data[i] == 'n' && n.op < opRaw {
		return d.literal(i, "null") // the destination stays zero
	}
	switch n.op {
	case opString:
		s, end := d.text(i)
		*(*string)(p) = s
		return end
	case opInt, opUint:
		return d.integer(n, p, i)
	case opFloat64:
		f, end := d.number(i)
		*(*float64)(p) = f
		return end
	case opFloat32:
		return d.float32(p, i)
	case opBool:
		b, end := d.boolean(i)
		*(*bool)(p) = b
		return end
	case opStruct:
		return d.object(n.object, p, i, depth)
	case opSlice:
		return d.slice(n, p, i, depth)
	}
	return d.rarer(n, p, i, depth)
}

// rarer is value for less common types.
func (d *decoder) rarer(n *node, p unsafe.Pointer, i, depth int) int {
	switch n.op {
	case opPointer:
		target := reflect.New(n.elem.typ).UnsafePointer()
		*(*unsafe.Pointer)(p) = target
		return d.value(n.elem, target, i, depth+1)
	case opArray:
		return d.array(n, p, i, depth)
	case opBytes:
		return d.bytes((*[]byte)(p), i)
	case opStrings:
		return d.stringMap((*map[string]string)(p), i)
	case opObject:
		m, end := d.objectMap(i, depth)
		*(*map[string]any)(p) = m
		return end
	case opMap:
		return d.reflectMap(n, p, i, depth)
	case opAny:
		v, end := d.any(i, depth)
		*(*any)(p) = v
		return end
	case opTime:
		return d.time((*time.Time)(p), i)
	case opRaw:
		return d.raw((*[]byte)(p), i, depth)
	}
	return d.library(n, p, i, depth)
}

// literal reads true, false, or null.
func (d *decoder) literal(i int, word string) int {
	if end := i + len(word); end <= len(d.data) && string(d.data[i:end]) == word {
		return end
	}
	return miss
}

func (d *decoder) boolean(i int) (value bool, end int) {
	if d.data[i] == 't' {
		return true, d.literal(i, "true")
	}
	return false, d.literal(i, "false")
}

// bytes reads base64. A string with escapes is left to the library.
func (d *decoder) bytes(p *[]byte, i int) int {
	if d.data[i] != '"' {
		return miss
	}
	end := findOdd(d.data, i+1)
	if end == len(d.data) || d.data[end] != '"' {
		return miss
	}
	text := d.data[i+1 : end]
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(b, text)
	if err != nil {
		return miss
	}
	*p = b[:n]
	return end + 1
}

func (d *decoder) time(t *time.Time, i int) int {
	if d.data[i] != '"' {
		return miss
	}
	end := findOdd(d.data, i+1)
	if end == len(d.data) || d.data[end] != '"' || t.UnmarshalJSON(d.data[i:end+1]) != nil {
		return miss
	}
	return end + 1
}

func (d *decoder) raw(p *[]byte, i, depth int) int {
	end := d.skip(i, depth)
	if end >= 0 {
		*p = append([]byte(nil), d.data[i:end]...)
	}
	return end
}

// library lets the library decode the value.
func (d *decoder) library(n *node, p unsafe.Pointer, i, depth int) int {
	end := d.skip(i, depth)
	if end < 0 || d.lib.Unmarshal(d.data[i:end], reflect.NewAt(n.typ, p).Interface()) != nil {
		return miss
	}
	return end
}
