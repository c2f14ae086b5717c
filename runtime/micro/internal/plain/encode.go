package plain

import (
	"encoding/base64"
	"math"
	"reflect"
	"strconv"
	"time"
	"unsafe"
)

// An encoder appends values to a buffer. Its methods return false if the library must
// encode the value; the buffer's content is then undefined.
type encoder struct{ lib Library }

// any appends a value of any type.
func (e *encoder) any(dst []byte, v any, depth int) ([]byte, bool) {
	if depth > maxDepth {
		return dst, false
	}
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), true
	case string:
		return appendString(dst, v), true
	case bool:
		return strconv.AppendBool(dst, v), true
	case float64:
		return appendFloat64(dst, v)
	case map[string]any:
		return e.objectMap(dst, v, depth)
	case []any:
		return e.list(dst, v, depth)
	}
	r := encodeRoot(reflect.TypeOf(v))
	switch {
	case r.node == nil:
		return dst, false
	case r.node.op == opLibrary:
		return e.foreign(dst, v, depth)
	case r.node.op == opPointer: // the data word is the pointer
		return e.pointed(dst, r.node, dataWord(&v), depth)
	}
	return e.value(dst, r.node, r.address(&v), depth)
}

func (e *encoder) list(dst []byte, values []any, depth int) ([]byte, bool) {
	dst = append(dst, '[')
	var ok bool
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, ok = e.any(dst, v, depth+1); !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

// value appends the value of n's type at p.
func (e *encoder) value(dst []byte, n *node, p unsafe.Pointer, depth int) ([]byte, bool) {
	switch n.op {
	case opString:
		return appendString(dst, *(*string)(p)), true
	case opInt:
		return strconv.AppendInt(dst, loadInt(p, n.size), 10), true
	case opFloat64:
		return appendFloat64(dst, *(*float64)(p))
	case opBool:
		return strconv.AppendBool(dst, *(*bool)(p)), true
	case opUint:
		return strconv.AppendUint(dst, loadUint(p, n.size), 10), true
	case opFloat32:
		return appendFloat32(dst, *(*float32)(p))
	case opBytes:
		return appendBytes(dst, *(*[]byte)(p)), true
	case opTime:
		return appendTime(dst, (*time.Time)(p))
	case opRaw:
		return appendRaw(dst, *(*[]byte)(p))
	}
	if depth > maxDepth {
		return dst, false
	}
	return e.composite(dst, n, p, depth)
}

// composite appends a value that contains other values.
func (e *encoder) composite(dst []byte, n *node, p unsafe.Pointer, depth int) ([]byte, bool) {
	switch n.op {
	case opStruct:
		return e.object(dst, n.object, p, depth)
	case opSlice:
		s := (*sliceHeader)(p)
		return e.array(dst, n.elem, s.data, s.len, depth)
	case opArray:
		return e.array(dst, n.elem, p, n.length, depth)
	case opPointer:
		return e.pointed(dst, n, *(*unsafe.Pointer)(p), depth)
	case opAny:
		return e.any(dst, *(*any)(p), depth+1)
	case opStrings:
		return stringMap(dst, *(*map[string]string)(p))
	case opObject:
		return e.objectMap(dst, *(*map[string]any)(p), depth)
	case opMap:
		return e.reflectMap(dst, n, p, depth)
	}
	return e.library(dst, n, p)
}

// object appends a struct. Every field begins with a comma, and the first comma is then
// replaced with the opening brace.
func (e *encoder) object(dst []byte, o *object, p unsafe.Pointer, depth int) ([]byte, bool) {
	var ok bool
	start := len(dst)
	for i := range o.fields {
		f := &o.fields[i]
		if f.omit != 0 && f.omitted(p) {
			continue
		}
		dst = append(dst, f.lead...)
		if f.node.op == opString {
			dst = appendString(dst, *(*string)(unsafe.Add(p, f.offset)))
			continue
		}
		if dst, ok = e.value(dst, f.node, unsafe.Add(p, f.offset), depth+1); !ok {
			return dst, false
		}
	}
	if len(dst) == start {
		return append(dst, "{}"...), true
	}
	dst[start] = '{'
	return append(dst, '}'), true
}

// array appends count values of elem's type, starting at p.
func (e *encoder) array(dst []byte, elem *node, p unsafe.Pointer, count, depth int) ([]byte, bool) {
	dst = append(dst, '[')
	var ok bool
	for i := range count {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, ok = e.value(dst, elem, unsafe.Add(p, uintptr(i)*elem.size), depth+1); !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

// pointed appends the value that target points to. target has n's type.
func (e *encoder) pointed(dst []byte, n *node, target unsafe.Pointer, depth int) ([]byte, bool) {
	if target == nil {
		return append(dst, "null"...), true
	}
	return e.value(dst, n.elem, target, depth+1)
}

// library lets the library encode the value at p. It passes a pointer, which has the same
// result for an interface or a value with its own methods.
func (e *encoder) library(dst []byte, n *node, p unsafe.Pointer) ([]byte, bool) {
	out, err := e.lib.Append(dst, reflect.NewAt(n.typ, p).Interface())
	return out, err == nil
}

// foreign lets the library encode v, unless v is the entire value, which the caller of
// Append leaves to the library.
func (e *encoder) foreign(dst []byte, v any, depth int) ([]byte, bool) {
	if depth == 0 {
		return dst, false
	}
	out, err := e.lib.Append(dst, v)
	return out, err == nil
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

func appendTime(dst []byte, t *time.Time) ([]byte, bool) {
	out, err := t.AppendText(append(dst, '"'))
	if err != nil {
		return dst, false
	}
	return append(out, '"'), true
}

// appendFloat32 leaves numbers that may require an exponent, infinities, and NaN to the
// library.
func appendFloat32(dst []byte, f float32) ([]byte, bool) {
	switch a := math.Abs(float64(f)); {
	case f == 0:
		return appendZero(dst, float64(f))
	case a >= 1e-5 && a < 1e20:
		return strconv.AppendFloat(dst, float64(f), 'f', -1, 32), true
	}
	return dst, false
}

// appendFloat64 leaves numbers that require an exponent, infinities, and NaN to the
// library.
func appendFloat64(dst []byte, f float64) ([]byte, bool) {
	switch a := math.Abs(f); {
	case f == 0:
		return appendZero(dst, f)
	case a < 1e10 && a >= 1e-4:
		// A number with at most four decimals is an integer over 10000, which is faster to write.
		if m := int64(f*1e4 + math.Copysign(0.5, f)); float64(m)/1e4 == f {
			return appendDecimal(dst, m), true
		}
		return strconv.AppendFloat(dst, f, 'f', -1, 64), true
	case a >= 1e-6 && a < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, 64), true
	}
	return dst, false
}

// appendZero leaves negative zero to the library, whose versions differ on whether
// omitempty omits it.
func appendZero(dst []byte, f float64) ([]byte, bool) {
	return append(dst, '0'), !math.Signbit(f)
}

// appendDecimal appends m/10000 without trailing zeros. m is not 0 and has at most 15
// digits. Subtle: no two decimals of at most 15 digits are the same float64, so no shorter
// text identifies the number.
func appendDecimal(dst []byte, m int64) []byte {
	if m < 0 {
		dst, m = append(dst, '-'), -m
	}
	dst = strconv.AppendInt(dst, m/1e4, 10)
	rest := m % 1e4
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.', '0'+byte(rest/1e3), '0'+byte(rest/1e2%10), '0'+byte(rest/10%10), '0'+byte(rest%10))
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}
