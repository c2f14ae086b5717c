package plain

import (
	"reflect"
	"sync"
	"unsafe"
)

// A Library encodes and decodes values that are not plain, by the rules of encoding/json
// except for nil slices and maps, see [Filled]. It must be safe for concurrent use.
type Library interface {
	Append(dst []byte, v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// Append appends the JSON text of v to dst. It returns false if v is not plain or contains
// an unusual value. Then dst is unchanged up to its length, and the caller lets the library
// encode v, so that all errors are the library's. Parts of v that have methods of their
// own are passed to lib; such a method may therefore be called twice.
func Append(dst []byte, v any, lib Library) ([]byte, bool) {
	e := encoder{lib: lib}
	if out, ok := e.any(dst, v, 0); ok {
		return out, true
	}
	return dst, false
}

// Unmarshal decodes data into the value that v points to. It returns false if that value is
// not plain or not zero (the library merges into existing values), or if data contains
// something unusual. Then the value is unchanged, and the caller lets the library decode
// data. Unmarshal validates all of data as JSON. Parts of the value that have methods of
// their own are passed to lib. data is not retained.
func Unmarshal(data []byte, v any, lib Library) bool {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer {
		return false
	}
	n, p := decodeNode(t), dataWord(&v)
	if n == nil || p == nil || !isZero(p, n.size) {
		return false
	}
	d := decoder{data: data, lib: lib}
	if end := d.value(n, p, d.space(0), 0); end >= 0 && d.space(end) == len(data) {
		return true
	}
	reflect.NewAt(n.typ, p).Elem().SetZero() // as it was before
	return false
}

// miss is returned instead of an index if the library must decode the text.
const miss = -1

// maxDepth is the maximum nesting depth of plain values. The library handles deeper ones,
// and detects cycles.
const maxDepth = 1000

// A root is the compiled type of a value that an any holds.
type root struct {
	node   *node // nil if the type is not plain
	inWord bool  // the any's data word is the value itself, not its address
}

// encodeRoots maps a reflect.Type to its *root. decodeNodes maps the reflect.Type of a
// pointer to the *node of its element type, or to nil if that type is not plain. Entries
// never change, and their number is limited by the number of types in the program.
var encodeRoots, decodeNodes sync.Map

func encodeRoot(t reflect.Type) *root {
	if r, ok := encodeRoots.Load(t); ok {
		return r.(*root)
	}
	r := &root{inWord: heldInWord(t)}
	if n, err := newEncodeCompiler().compile(t); err == nil {
		r.node = n
	}
	known, _ := encodeRoots.LoadOrStore(t, r)
	return known.(*root)
}

func decodeNode(pointer reflect.Type) *node {
	if n, ok := decodeNodes.Load(pointer); ok {
		return n.(*node)
	}
	n, err := newDecodeCompiler().compile(pointer.Elem())
	if err != nil || n.op == opLibrary {
		n = nil
	}
	known, _ := decodeNodes.LoadOrStore(pointer, n)
	return known.(*node)
}

// address returns the address of the value in v, whose type r describes. The value must
// not be changed.
func (r *root) address(v *any) unsafe.Pointer {
	word := dataWord(v)
	if !r.inWord {
		return word
	}
	held := new(unsafe.Pointer) // the value has no address of its own, so a copy provides one
	*held = word
	return unsafe.Pointer(held)
}
