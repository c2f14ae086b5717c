package plain

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

// fuzzTypes are the types that the fuzz targets decode into.
func fuzzTypes() []reflect.Type {
	return []reflect.Type{
		anyType, reflect.TypeFor[item](), reflect.TypeFor[[]item](), reflect.TypeFor[numbers](), reflect.TypeFor[lists](), reflect.TypeFor[maps](),
		reflect.TypeFor[pointers](), reflect.TypeFor[omits](), reflect.TypeFor[embedded](), reflect.TypeFor[spoken](), reflect.TypeFor[tree](),
		reflect.TypeFor[many](), reflect.TypeFor[folding](), reflect.TypeFor[cased](), reflect.TypeFor[dated](), reflect.TypeFor[string](),
		reflect.TypeFor[float64](), reflect.TypeFor[float32](), reflect.TypeFor[int64](), reflect.TypeFor[uint8](), reflect.TypeFor[json.RawMessage](),
		reflect.TypeFor[map[string]string](), reflect.TypeFor[[]byte](),
	}
}

func seeds(f *testing.F, add func(text []byte)) {
	f.Helper()
	s := newSource(4)
	for _, typ := range fuzzTypes() {
		for range 3 {
			if text, err := (library{}).Append(nil, s.value(typ).Interface()); err == nil {
				add(text)
				add([]byte(s.disturb(string(text))))
			}
		}
	}
	for _, text := range []string{
		`{"id":"a","ID":"b"}`, `{"\u0069d":1}`, `[1,2`, `"\ud83d\ude00\ud800x"`, "\"\xff\xc3\"", `-`, `1e400`, `-0`, `{"a":{"a":{"a":[[[]]]}}}`, ` [ 1 , 2 ] `,
		`{"ſkin":"long s","KISS":"x"}`, `{"größe":1,"GRÖSSE":2}`, `18446744073709551616`, `-9223372036854775808`, `0.1234567890123456789`, `"AQID\r\n"`,
	} {
		add([]byte(text))
	}
}

// FuzzUnmarshal decodes any text into many types. The result must equal the library's, or
// Unmarshal must return false and leave the value unchanged. It must not accept a text that
// the library rejects.
func FuzzUnmarshal(f *testing.F) {
	seeds(f, func(text []byte) { f.Add(text) })
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, typ := range fuzzTypes() {
			checkUnmarshal(t, typ, text)
		}
	})
}

// FuzzAppend encodes the values that the library decodes from a text, and strings and
// numbers that no text contains.
func FuzzAppend(f *testing.F) {
	seeds(f, func(text []byte) { f.Add(text, math.Float64bits(float64(len(text))/10)) })
	f.Fuzz(func(t *testing.T, text []byte, bits uint64) {
		for _, typ := range fuzzTypes() {
			v := reflect.New(typ)
			if err := (library{}).Unmarshal(text, v.Interface()); err == nil {
				checkAppend(t, v.Interface())
				checkAppend(t, v.Elem().Interface())
			}
		}
		s, number := string(text), math.Float64frombits(bits)
		checkAppend(t, item{ID: s, Tags: []string{s, s}, Price: number, Quantity: int(bits)})
		checkAppend(t, omits{S: s, F: number, N: json.Number(s), A: number})
		checkAppend(t, map[string]any{s: number, "x": s, s + "y": float32(number), "raw": json.RawMessage(text)})
		checkAppend(t, &numbers{I8: int8(bits), U16: uint16(bits), U64: bits, F32: math.Float32frombits(uint32(bits)), F64: float64(int64(bits)%1e9) / 1e4})
	})
}
