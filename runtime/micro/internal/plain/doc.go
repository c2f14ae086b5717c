// Package plain encodes and decodes plain Go values as JSON without the cost of
// reflection: bool, numbers, strings, slices, arrays, pointers, structs, maps with string
// keys, []byte, any, time.Time, and json.RawMessage.
//
// A type is compiled once into a tree of nodes. [Append] and [Unmarshal] walk the tree
// with a pointer to the value. Their results equal those of encoding/json, byte for byte
// and field for field, without HTML escaping, with U+2028 and U+2029 unescaped, and with []
// and {} for nil slices and maps.
//
// The package handles only the common cases. It rejects types that are not plain (the
// ",string" option, channels, a type with MarshalJSON only on its pointer, two fields with
// the same name) and unusual input (NaN, a number that does not fit, a field name in
// another case, a duplicate name, malformed text), and leaves no partial result. The
// caller then uses the library, so every error is the library's. The library also encodes
// and decodes each part of a value that has its own JSON or text methods.
//
// # Files
//
//   - plain.go: Append and Unmarshal, and the cache of compiled types
//   - compile.go, fields.go: from a reflect.Type to its node
//   - encode*.go, quote.go: from a value to text
//   - filled.go: nil slices and maps in values that the library encodes
//   - decode*.go, text.go, number.go, skip.go: from text to a value; skip.go also
//     validates text that no field receives
//   - memory.go, words.go: access to memory by address, and processing of eight bytes at
//     a time
//
// # Strings
//
// The short strings of one message share a few blocks of memory of at most 1 KiB, which
// saves an allocation per string. In return, each short string that is kept also keeps its
// neighbors in memory, up to 1 KiB. A program that keeps single strings of many messages
// for a long time can copy them with strings.Clone.
package plain
