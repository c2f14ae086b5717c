//go:build !goexperiment.jsonv2

package micro

import (
	"bytes"
	"encoding/json"

	"github.com/msctl/msctl/runtime/micro/internal/plain"
)

// library is encoding/json, for values that are not plain.
type library struct{}

func (library) Append(dst []byte, v any) ([]byte, error) {
	w := bytes.NewBuffer(dst)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(plain.Filled(v)); err != nil {
		return dst, err
	}
	b := w.Bytes()
	return restoreLineSeparators(b[:len(b)-1], len(dst)), nil // less Encode's newline
}

// restoreLineSeparators undoes the escaping of U+2028 and U+2029 from start on, which
// encoding/json has no option for.
func restoreLineSeparators(b []byte, start int) []byte {
	if !bytes.Contains(b[start:], []byte(`\u202`)) {
		return b
	}
	out := b[:start]
	for i := start; i < len(b); i++ {
		switch {
		case b[i] != '\\' || i+1 >= len(b):
			out = append(out, b[i])
		case bytes.HasPrefix(b[i:], []byte(`\u2028`)):
			out = append(out, "\u2028"...)
			i += 5
		case bytes.HasPrefix(b[i:], []byte(`\u2029`)):
			out = append(out, "\u2029"...)
			i += 5
		default: // an escape of another kind: both of its bytes, so that \\u2028 stays
			out = append(out, b[i], b[i+1])
			i++
		}
	}
	return out
}

func (library) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }
