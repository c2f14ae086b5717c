package plain

import (
	"reflect"
	"unsafe"
)

// eface is the memory layout of a value of type any.
type eface struct {
	typ  unsafe.Pointer
	data unsafe.Pointer
}

// dataWord returns the data word of v: the address of the value or, if its type is a single
// pointer, the value itself.
func dataWord(v *any) unsafe.Pointer { return (*eface)(unsafe.Pointer(v)).data }

// heldInWord reports whether the data word of an any is a value of type t itself instead of
// its address. With the zero value, the word is nil only if it is the value.
func heldInWord(t reflect.Type) bool {
	zero := reflect.Zero(t).Interface()
	return dataWord(&zero) == nil
}

// sliceHeader is the memory layout of a slice.
type sliceHeader struct {
	data unsafe.Pointer
	len  int
	cap  int
}

// grow makes room for more elements at the end of the slice of type t at p. The new memory
// is zero.
func grow(t reflect.Type, p unsafe.Pointer, more int) {
	reflect.NewAt(t, p).Elem().Grow(more)
}

// isZero reports whether the size bytes at p are all zero. Subtle: a zero value can have
// other bytes, such as an empty string with a pointer. Callers must be correct even if
// isZero returns false for a zero value.
func isZero(p unsafe.Pointer, size uintptr) bool {
	b := unsafe.Slice((*byte)(p), size)
	for len(b) >= 8 {
		if loadWord(b, 0) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// loadInt returns the signed integer of size bytes at p.
func loadInt(p unsafe.Pointer, size uintptr) int64 {
	switch size {
	case 1:
		return int64(*(*int8)(p))
	case 2:
		return int64(*(*int16)(p))
	case 4:
		return int64(*(*int32)(p))
	}
	return *(*int64)(p)
}

// loadUint returns the unsigned integer of size bytes at p.
func loadUint(p unsafe.Pointer, size uintptr) uint64 {
	switch size {
	case 1:
		return uint64(*(*uint8)(p))
	case 2:
		return uint64(*(*uint16)(p))
	case 4:
		return uint64(*(*uint32)(p))
	}
	return *(*uint64)(p)
}

// store writes the low size bytes of v, a signed or unsigned integer, at p.
func store(p unsafe.Pointer, size uintptr, v uint64) {
	switch size {
	case 1:
		*(*uint8)(p) = uint8(v)
	case 2:
		*(*uint16)(p) = uint16(v)
	case 4:
		*(*uint32)(p) = uint32(v)
	default:
		*(*uint64)(p) = v
	}
}

// bytesOf returns the bytes of s, which must not be changed.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// stringOf returns b as a string that shares its memory. b must not change afterward.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
