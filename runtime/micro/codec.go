package micro

import (
	"encoding/json"
	"errors"
	"sync"

	"github.com/msctl/msctl/runtime/internal/js"
)

// Codec encodes and decodes the data of requests and the values of replies as JSON. It
// does not see the packet around them. A Codec must be safe for concurrent use.
type Codec interface {
	// Append appends the JSON text of v, without trailing white space.
	Append(dst []byte, v any) ([]byte, error)
	// Unmarshal decodes data, which is valid JSON, into the pointer v. It must not
	// retain data.
	Unmarshal(data []byte, v any) error
}

// JSON returns the standard codec. It uses encoding/json/v2 if the toolchain has it
// (GOEXPERIMENT=jsonv2) and encoding/json otherwise, with the same results: the struct
// tags and rules of encoding/json, with two exceptions. '<', '>', '&', U+2028, and U+2029
// are not escaped, as in JSON.stringify. A nil slice is [] and a nil map {}, at any depth,
// as a NestJS peer expects of a list without elements; a nil pointer, a nil interface, a
// nil []byte, and a nil json.RawMessage are null, and types with a MarshalJSON of their own
// decide themselves.
func JSON() Codec { return jsonCodec{} }

var defaultCodec = JSON()

// buffers holds scratch space for encoding. The garbage collector frees what has not been
// used for a while. Larger buffers than maxScratch are not kept, so that a few huge messages
// do not occupy memory until then.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 1 << 20

func putBuffer(b *[]byte) {
	if cap(*b) <= maxScratch {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// encode appends the JSON text of v. A json.RawMessage is validated and copied.
func encode(c Codec, dst []byte, v any) ([]byte, error) {
	switch raw := v.(type) {
	case json.RawMessage:
		return appendRaw(dst, raw)
	case *json.RawMessage:
		if raw != nil {
			return appendRaw(dst, *raw)
		}
	}
	return c.Append(dst, v)
}

// errNotJSON is the error of a json.RawMessage that is not JSON. Sending it would end
// the connection, with every other call on it.
var errNotJSON = errors.New("the raw message is not valid JSON")

func appendRaw(dst []byte, raw json.RawMessage) ([]byte, error) {
	if raw = orNull(raw); !js.Valid(raw) {
		return dst, errNotJSON
	}
	return append(dst, raw...), nil
}

// orNull returns raw, or null if raw is empty, which is not valid JSON.
func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
