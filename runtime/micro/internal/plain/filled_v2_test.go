//go:build goexperiment.jsonv2

package plain

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"testing"
)

// TestFilledAsTheOptions compares Filled with the options that encoding/json/v2 has for the
// same purpose. Those also change nil byte slices, which remain null here.
func TestFilledAsTheOptions(t *testing.T) {
	bytesAsNull := json.MarshalToFunc(func(enc *jsontext.Encoder, b []byte) error {
		if b == nil {
			return enc.WriteToken(jsontext.Null)
		}
		return json.SkipFunc
	})
	theirs := json.JoinOptions(options, json.FormatNilSliceAsNull(false), json.FormatNilMapAsNull(false), json.WithMarshalers(bytesAsNull))
	s, differ := newSource(9), 0
	for _, typ := range zooTypes() {
		for range rounds() / 4 {
			v := s.value(typ)
			want, wantErr := json.Marshal(v.Interface(), theirs)
			got, err := json.Marshal(Filled(v.Interface()), options)
			if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
				t.Errorf("%v:\n got %s %v\nwant %s %v", typ, got, err, want, wantErr)
				if differ++; differ > 10 {
					t.FailNow()
				}
			}
		}
	}
}
