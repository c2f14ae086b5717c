package plain

import (
	"reflect"
	"sync"
	"unsafe"
)

// A Library encodes and decodes what is not plain, with the rules of
// encoding/json: a micro.Codec. It is used from many goroutines at once.
type Library interface {
	Append(dst []byte, v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// Append appends the JSON text of v to dst. Where it reports false, v is not
// plain, or something about it is odd; dst is then returned as it was, apart
// from what lies beyond its length, and the caller lets the library encode v: all
// errors are the library's. Parts of v with methods of their own are given to
// lib; such a method may therefore be called twice, and must not mind.
func Append(dst []byte, v any, lib Library) ([]byte, bool) {
	e := encoder{lib: lib}
	if out, ok := e.any(dst, v, 0); ok {
		return out, true
	}
	return dst, false
}

// Unmarshal decodes data into the value v points to. Where it reports false, v
// is as it was, and the caller lets the library decode data: v is not plain, or
// not zero (the library merges into existing values), or something in data is odd.
// It checks data whole, and takes nothing that is not JSON. Parts of v with
// methods of their own are given to lib, as Append does. data is not kept.
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
	reflect.NewAt(n.typ, p).Elem().SetZero()
	return false
}

// miss is the index that means: something is odd, ask the library.
const miss = -1

// maxDepth is how deeply values are nested that are still plain. The library
// goes further, and knows a cycle when it is in one.
const maxDepth = 1000

// A root is a compiled type as the encoder finds it in an any.
type root struct {
	node   *node // nil: not plain
	inWord bool  // the value is the data word, not behind it
}

// encodeRoots maps a reflect.Type to its *root, decodeNodes the reflect.Type of
// a pointer to the *node of what it points to, nil for a type that is not plain.
// They grow with the types of a program, which are finite, and no entry changes.
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

// address returns where the value of v lies, which the root r describes. The
// value must not be changed.
func (r *root) address(v *any) unsafe.Pointer {
	word := dataWord(v)
	if !r.inWord {
		return word
	}
	held := new(unsafe.Pointer)
	*held = word
	return unsafe.Pointer(held)
}
