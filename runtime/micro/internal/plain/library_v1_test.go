//go:build !goexperiment.jsonv2

package plain

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// library is encoding/json as package micro uses it.
type library struct{}

var separators = regexp.MustCompile(`\\u202[89]|\\.`)

func (library) Append(dst []byte, v any) ([]byte, error) {
	var w bytes.Buffer
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(Filled(v)); err != nil {
		return dst, err
	}
	raw := separators.ReplaceAllFunc(bytes.TrimSuffix(w.Bytes(), []byte("\n")), func(escape []byte) []byte {
		switch string(escape) {
		case `\u2028`:
			return []byte("\u2028")
		case `\u2029`:
			return []byte("\u2029")
		}
		return escape
	})
	return append(dst, raw...), nil
}

func (library) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }
