package plain

import (
	"reflect"
	"strings"
	"sync"
	"unsafe"
)

// Filled returns v with an empty slice or map in place of each nil one that the library
// would encode as null, at any depth. It returns v itself if there is none, and otherwise a
// copy: v does not change. Byte slices, and values that have methods
// of their own, stay as they are.
//
// The library of Append is expected to encode Filled(v) instead of v. Append itself writes
// the same.
func Filled(v any) any {
	if v == nil || !mayHoldNil(reflect.TypeOf(v)) {
		return v
	}
	s := scanner{}
	value := reflect.ValueOf(v)
	if !s.holdsNil(value, false, 0) || s.cyclic {
		return v
	}
	filled := reflect.New(value.Type()).Elem()
	filled.Set(value)
	s.fill(filled, false, 0)
	if s.cyclic {
		return v
	}
	return filled.Interface()
}

// scanner searches a value for nil slices and maps. In its methods, addressable reports
// whether the library can address the value, so that it uses methods of a pointer to it.
type scanner struct {
	path   map[reference]bool // the pointers, maps, and slices below trackDepth
	cyclic bool               // the value contains itself: the library returns an error
}

// reference identifies a pointer, map, or slice.
type reference struct {
	typ reflect.Type
	to  unsafe.Pointer
}

// trackDepth is the depth from which a scanner looks for cycles. Most values are not as
// deep, so that it costs them nothing.
const trackDepth = 50

// enter reports whether the search may descend into what v refers to. A caller that has
// entered must leave.
func (s *scanner) enter(v reflect.Value, depth int) (r reference, ok bool) {
	if depth < trackDepth {
		return r, true
	}
	r = reference{v.Type(), v.UnsafePointer()}
	if s.path[r] {
		s.cyclic = true
		return r, false
	}
	if s.path == nil {
		s.path = map[reference]bool{}
	}
	s.path[r] = true
	return r, true
}

func (s *scanner) leave(r reference, depth int) {
	if depth >= trackDepth {
		delete(s.path, r)
	}
}

// holdsNil reports whether v is or contains a nil slice or map to replace.
func (s *scanner) holdsNil(v reflect.Value, addressable bool, depth int) bool {
	t := v.Type()
	if s.cyclic || !mayHoldNil(t) || addressable && speaks(reflect.PointerTo(t)) {
		return false
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Map:
		return v.IsNil() || s.elementHoldsNil(v, true, depth)
	case reflect.Array:
		return s.elementHoldsNil(v, addressable, depth)
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && s.targetHoldsNil(v, depth)
	case reflect.Struct:
		for i := range t.NumField() {
			if encodes(t.Field(i)) && !omittedAsZero(t.Field(i), v.Field(i)) && s.holdsNil(v.Field(i), addressable, depth+1) {
				return true
			}
		}
	}
	return false
}

// elementHoldsNil is holdsNil for the elements of a slice, an array, or a map.
func (s *scanner) elementHoldsNil(v reflect.Value, addressable bool, depth int) bool {
	if !mayHoldNil(v.Type().Elem()) {
		return false
	}
	if v.Kind() != reflect.Array {
		r, ok := s.enter(v, depth)
		if !ok {
			return false
		}
		defer s.leave(r, depth)
	}
	if v.Kind() == reflect.Map {
		for i := v.MapRange(); i.Next(); {
			if s.holdsNil(i.Value(), false, depth+1) {
				return true
			}
		}
		return false
	}
	for i := range v.Len() {
		if s.holdsNil(v.Index(i), addressable, depth+1) {
			return true
		}
	}
	return false
}

// targetHoldsNil is holdsNil for the value in a pointer or an interface that is not nil.
func (s *scanner) targetHoldsNil(v reflect.Value, depth int) bool {
	if v.Kind() == reflect.Interface {
		return s.holdsNil(v.Elem(), false, depth+1)
	}
	r, ok := s.enter(v, depth)
	if !ok {
		return false
	}
	defer s.leave(r, depth)
	return s.holdsNil(v.Elem(), true, depth+1)
}

// fill replaces the nil slices and maps in v, which can be set. It copies whatever may
// contain one: looking first would take time that is quadratic in the depth.
func (s *scanner) fill(v reflect.Value, addressable bool, depth int) {
	t := v.Type()
	if s.cyclic || !mayHoldNil(t) || addressable && speaks(reflect.PointerTo(t)) {
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		s.fillFields(v, addressable, depth)
	case reflect.Array:
		for i := range v.Len() {
			s.fill(v.Index(i), addressable, depth+1)
		}
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(s.copied(v.Elem(), false, depth).Elem())
		}
	case reflect.Slice, reflect.Map, reflect.Pointer:
		r, ok := s.enter(v, depth)
		if !ok {
			return
		}
		defer s.leave(r, depth)
		s.fillReference(v, depth)
	}
}

func (s *scanner) fillFields(v reflect.Value, addressable bool, depth int) {
	for i := range v.NumField() {
		f := v.Field(i)
		if encodes(v.Type().Field(i)) && !omittedAsZero(v.Type().Field(i), f) {
			// Through its address, an embedded field that is not exported can be set, too.
			s.fill(reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem(), addressable, depth+1)
		}
	}
}

// fillReference is fill for a slice, a map, or a pointer.
func (s *scanner) fillReference(v reflect.Value, depth int) {
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		if !v.IsNil() {
			v.Set(s.copied(v.Elem(), true, depth).Convert(t))
		}
	case t.Kind() == reflect.Slice && v.IsNil():
		v.Set(reflect.MakeSlice(t, 0, 0))
	case v.IsNil():
		v.Set(reflect.MakeMap(t))
	case !mayHoldNil(t.Elem()):
	case t.Kind() == reflect.Slice:
		list := reflect.MakeSlice(t, v.Len(), v.Len())
		reflect.Copy(list, v)
		for i := range list.Len() {
			s.fill(list.Index(i), true, depth+1)
		}
		v.Set(list)
	default:
		m := reflect.MakeMapWithSize(t, v.Len())
		for i := v.MapRange(); i.Next(); {
			m.SetMapIndex(i.Key(), s.copied(i.Value(), false, depth).Elem())
		}
		v.Set(m)
	}
}

// copied returns a pointer to a filled copy of v.
func (s *scanner) copied(v reflect.Value, addressable bool, depth int) reflect.Value {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	s.fill(p.Elem(), addressable, depth+1)
	return p
}

// encodes reports whether the library encodes a field, and null for nil is not the field's
// own choice.
func encodes(f reflect.StructField) bool {
	tag := f.Tag.Get("json")
	return tag != "-" && (f.IsExported() || f.Anonymous) && !strings.Contains(tag, "format:")
}

// omittedAsZero reports whether omitzero omits a field. An empty slice in place of a nil one
// would not be omitted.
func omittedAsZero(f reflect.StructField, v reflect.Value) bool {
	_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if !f.IsExported() || !strings.Contains(","+options+",", ",omitzero,") {
		return false
	}
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok && (v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface || !v.IsNil()) {
		return z.IsZero()
	}
	if v.CanAddr() {
		if z, ok := v.Addr().Interface().(interface{ IsZero() bool }); ok {
			return z.IsZero()
		}
	}
	return v.IsZero()
}

// nilTypes maps a reflect.Type to whether its values may hold a nil slice or map that is
// encoded as null. Entries never change.
var nilTypes sync.Map

func mayHoldNil(t reflect.Type) bool {
	if known, ok := nilTypes.Load(t); ok {
		return known.(bool)
	}
	may := searchNil(t, map[reflect.Type]bool{})
	nilTypes.Store(t, may)
	return may
}

// searchNil is mayHoldNil for a type that may be part of those in seen.
func searchNil(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || t.Kind() != reflect.Interface && speaks(t) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Map, reflect.Interface:
		return true
	case reflect.Slice:
		return t.Elem().Kind() != reflect.Uint8 || speaks(reflect.PointerTo(t.Elem()))
	case reflect.Array, reflect.Pointer:
		return searchNil(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if encodes(t.Field(i)) && searchNil(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

// speaks reports whether a type has its own methods for JSON or text.
func speaks(t reflect.Type) bool { return encodeMethods.implements(t) }

var encodeMethods = newEncodeCompiler()
