//go:build goexperiment.jsonv2

package micro

import (
	"bytes"
	jsonv1 "encoding/json"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"sync"

	"github.com/msctl/msctl/runtime/micro/internal/plain"
)

// library is encoding/json/v2, for values that are not plain.
type library struct{}

// options keep the rules of encoding/json, so that the experiment changes the
// speed of a program and not its meaning.
var options = json.JoinOptions(
	jsonv1.DefaultOptionsV1(),
	jsontext.EscapeForHTML(false),
	jsontext.EscapeForJS(false),
)

type encoder struct {
	buf bytes.Buffer
	enc *jsontext.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := &encoder{}
	e.enc = jsontext.NewEncoder(&e.buf, options)
	return e
}}

func (library) Append(dst []byte, v any) ([]byte, error) {
	e := encoders.Get().(*encoder)
	e.buf.Reset()
	e.enc.Reset(&e.buf, options)
	if err := json.MarshalEncode(e.enc, plain.Filled(v)); err != nil {
		return dst, err
	}
	b := e.buf.Bytes()
	dst = append(dst, b[:len(b)-1]...) // less the encoder's newline
	if e.buf.Cap() <= maxScratch {
		encoders.Put(e)
	}
	return dst, nil
}

func (library) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v, options) }
