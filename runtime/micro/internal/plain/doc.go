// Package plain encodes and decodes plain Go values as JSON without
// reflection's cost: bool, numbers, strings, slices, arrays, pointers, structs,
// maps with string keys, []byte, any, time.Time and json.RawMessage.
//
// A type is compiled once into a tree of nodes; [Append] and [Unmarshal] walk
// the tree with a pointer to the value. What they produce is, byte for byte and
// field for field, what encoding/json produces without HTML escaping and with
// U+2028 and U+2029 written as they are. They are a short cut and never a second
// opinion: whatever is not plain (the ",string" option, channels, a type whose
// pointer alone has MarshalJSON, two fields of one name) and whatever is odd
// (NaN, a number that does not fit, a field name in another case, a name twice,
// malformed text) is refused, without a trace, for the caller to hand to the
// library. So an error is always the library's own. A value inside that has its
// own MarshalJSON, UnmarshalJSON or their text kin is left to the library alone.
//
// # How it is laid out
//
//   - plain.go: Append and Unmarshal, and the cache of compiled types
//   - compile.go, fields.go: a reflect.Type to its node
//   - encode*.go, quote.go: a value to text
//   - decode*.go, text.go, number.go, skip.go: text to a value; skip.go is also
//     the check of text that no field wants
//   - memory.go, words.go: all that reads memory by its address, and the
//     examination of eight bytes at a time
//
// # Strings
//
// The short strings of one message are cut from a few shared pieces of memory
// (at most 1 KiB each), which saves an allocation per string. The price: as long
// as one short string of a message is held, so are its neighbors, up to 1 KiB.
// A program that keeps one string of many messages for long can strings.Clone it.
package plain
