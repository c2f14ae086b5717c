//go:build goexperiment.jsonv2

package plain

import (
	jsonv1 "encoding/json"
	"encoding/json/jsontext"
	"encoding/json/v2"
)

// library is encoding/json/v2 as package micro uses it.
type library struct{}

var options = json.JoinOptions(jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false))

func (library) Append(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(Filled(v), options)
	return append(dst, b...), err
}

func (library) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v, options) }
