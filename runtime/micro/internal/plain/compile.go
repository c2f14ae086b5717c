package plain

import (
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"sync"
	"time"
)

// An op defines how the value of a node is encoded and decoded.
type op uint8

const (
	opBool op = iota
	opInt
	opUint
	opFloat32
	opFloat64
	opString
	opBytes
	opSlice
	opArray
	opPointer
	opStruct
	opStrings // map[string]string
	opObject  // map[string]any
	opMap     // any other map with a key of kind string
	opAny
	opTime
	// The following ops decode null themselves.
	opRaw     // json.RawMessage
	opLibrary // left to the library
)

// A node is a compiled type. It does not change after compilation and is safe for
// concurrent use.
type node struct {
	op     op
	typ    reflect.Type
	size   uintptr
	elem   *node // of a slice, array, pointer, or map
	length int   // of an array
	object *object
	pairs  *sync.Pool // of *pair, for a map
}

// errNotPlain reports that a type cannot be compiled. The package does not return it.
var errNotPlain = errors.New("not a plain type")

var (
	timeType   = reflect.TypeFor[time.Time]()
	rawType    = reflect.TypeFor[json.RawMessage]()
	numberType = reflect.TypeFor[json.Number]()
	stringType = reflect.TypeFor[string]()
	anyType    = reflect.TypeFor[any]()
	byteType   = reflect.TypeFor[byte]()
)

// A compiler compiles types either for encoding or for decoding.
type compiler struct {
	methods []reflect.Type         // interfaces of types with their own methods
	decode  bool                   // compile for decoding
	nodes   map[reflect.Type]*node // including unfinished ones: a type may contain itself
}

func newEncodeCompiler() *compiler {
	return &compiler{
		methods: append(marshalMethods(),
			reflect.TypeFor[json.Marshaler](),
			reflect.TypeFor[encoding.TextMarshaler](),
			reflect.TypeFor[encoding.TextAppender]()),
		nodes: map[reflect.Type]*node{},
	}
}

func newDecodeCompiler() *compiler {
	return &compiler{
		methods: append(unmarshalMethods(),
			reflect.TypeFor[json.Unmarshaler](),
			reflect.TypeFor[encoding.TextUnmarshaler]()),
		decode: true,
		nodes:  map[reflect.Type]*node{},
	}
}

// compile returns the node of t, or errNotPlain.
func (c *compiler) compile(t reflect.Type) (*node, error) {
	if n := c.nodes[t]; n != nil {
		return n, nil
	}
	n := &node{typ: t, size: t.Size()}
	c.nodes[t] = n
	return n, c.fill(n)
}

func (c *compiler) fill(n *node) error {
	switch n.typ {
	case timeType:
		n.op = opTime
		return nil
	case rawType:
		n.op = opRaw
		return nil
	case numberType:
		n.op = opLibrary
		return nil
	}
	if own, err := c.hasOwnMethods(n.typ); err != nil {
		return err
	} else if own {
		n.op = opLibrary
		return nil
	}
	return c.fillKind(n)
}

func (c *compiler) fillKind(n *node) error {
	switch kind := n.typ.Kind(); kind {
	case reflect.Bool:
		n.op = opBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.op = opInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		n.op = opUint
	case reflect.Float32:
		n.op = opFloat32
	case reflect.Float64:
		n.op = opFloat64
	case reflect.String:
		n.op = opString
	case reflect.Interface:
		return c.fillInterface(n)
	case reflect.Pointer:
		return c.fillPointer(n)
	case reflect.Slice:
		return c.fillSlice(n)
	case reflect.Array:
		n.op, n.length = opArray, n.typ.Len()
		return c.fillElem(n)
	case reflect.Map:
		return c.fillMap(n)
	case reflect.Struct:
		n.op = opStruct
		return c.fillStruct(n)
	default:
		return errNotPlain
	}
	return nil
}

func (c *compiler) fillElem(n *node) (err error) {
	n.elem, err = c.compile(n.typ.Elem())
	return err
}

// fillInterface leaves an interface with methods to the library, which can encode it but
// not decode it.
func (c *compiler) fillInterface(n *node) error {
	switch {
	case n.typ.NumMethod() == 0:
		n.op = opAny
	case c.decode:
		return errNotPlain
	default:
		n.op = opLibrary
	}
	return nil
}

// fillPointer also accepts a type with methods only on its pointer, because a value behind
// a pointer is addressable.
func (c *compiler) fillPointer(n *node) error {
	if n.typ.Name() != "" {
		return errNotPlain
	}
	n.op = opPointer
	elem := n.typ.Elem()
	if elem == timeType || elem == rawType || c.decode || !c.implements(n.typ) {
		return c.fillElem(n)
	}
	n.elem = &node{op: opLibrary, typ: elem, size: elem.Size()}
	return nil
}

// fillSlice compiles []byte as base64. Slices of named byte types are not plain, because
// the library has special rules for them.
func (c *compiler) fillSlice(n *node) error {
	switch elem := n.typ.Elem(); {
	case elem == byteType:
		n.op = opBytes
		return nil
	case elem.Kind() == reflect.Uint8:
		return errNotPlain
	}
	n.op = opSlice
	return c.fillElem(n)
}

// fillMap leaves maps with keys other than plain strings to the library.
func (c *compiler) fillMap(n *node) error {
	key, elem := n.typ.Key(), n.typ.Elem()
	if key.Kind() != reflect.String || key.NumMethod() > 0 || reflect.PointerTo(key).NumMethod() > 0 {
		n.op = opLibrary
		return nil
	}
	switch {
	case key == stringType && elem == stringType:
		n.op = opStrings
		return nil
	case key == stringType && elem == anyType:
		n.op = opObject
		return nil
	}
	n.op = opMap
	n.pairs = &sync.Pool{New: func() any { return newPair(key, elem) }}
	return c.fillElem(n)
}

// hasOwnMethods reports whether values of type t have their own methods for JSON or text.
// The type is not plain if the answer depends on the context: the library calls a method
// of the pointer only for an addressable value, and ignores the methods of an unnamed type
// when decoding.
func (c *compiler) hasOwnMethods(t reflect.Type) (bool, error) {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false, nil
	}
	onValue, onPointer := c.implements(t), c.implements(reflect.PointerTo(t))
	switch {
	case !onPointer:
		return false, nil
	case t.Name() == "", !c.decode && !onValue:
		return false, errNotPlain
	}
	return true, nil
}

func (c *compiler) implements(t reflect.Type) bool {
	for _, m := range c.methods {
		if t.Implements(m) {
			return true
		}
	}
	return false
}
