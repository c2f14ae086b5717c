package micro

import (
	"encoding/json"
	"errors"
	"sync"

	"github.com/msctl/msctl/runtime/internal/js"
)

// Codec turns Go values into JSON and back: the data of requests and the values
// of replies. The envelope around them is not its concern. A Codec is used from
// many goroutines at once.
type Codec interface {
	// Append appends the JSON text of v, with no white space after it.
	Append(dst []byte, v any) ([]byte, error)
	// Unmarshal decodes data, one valid JSON text, into the pointer v. It must
	// not keep data.
	Unmarshal(data []byte, v any) error
}

// JSON returns the standard codec: encoding/json/v2 where the toolchain has it
// (GOEXPERIMENT=jsonv2), encoding/json otherwise, with the same results: the
// struct tags and rules of encoding/json, but '<', '>', '&', U+2028 and U+2029
// are written as they are, as JSON.stringify does.
func JSON() Codec { return jsonCodec{} }

var defaultCodec = JSON()

// buffers lends scratch space for encoding; a buffer that grew past 64 KiB is
// left to the garbage collector.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func putBuffer(b *[]byte) {
	if cap(*b) <= 64<<10 {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// encode appends the JSON text of v; a json.RawMessage is appended as it is.
func encode(c Codec, dst []byte, v any) ([]byte, error) {
	switch raw := v.(type) {
	case json.RawMessage:
		return appendRaw(dst, raw)
	case *json.RawMessage:
		return appendRaw(dst, *raw)
	}
	return c.Append(dst, v)
}

// errNotJSON is the error of raw JSON that is none. Sent as it is, it would end
// the connection and every other call on it.
var errNotJSON = errors.New("the raw message is not valid JSON")

func appendRaw(dst []byte, raw json.RawMessage) ([]byte, error) {
	if raw = orNull(raw); !js.Valid(raw) {
		return dst, errNotJSON
	}
	return append(dst, raw...), nil
}

// orNull returns raw, or null where it is empty: an empty text is no JSON.
func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
