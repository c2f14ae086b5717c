package plain

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A source generates random values.
type source struct{ *rand.Rand }

func newSource(seed uint64) source { return source{rand.New(rand.NewPCG(seed, 7))} }

func (s source) oneOf(texts ...string) string { return texts[s.IntN(len(texts))] }

// text returns a random string of a kind that the package treats differently.
func (s source) text() string {
	var b strings.Builder
	for range s.IntN(4) {
		b.WriteString(s.oneOf("", "a", "abc", "0123456789abcdef", "é", "😀", "\u2028", "\u2029", "<&>", `"`, `\`, "\n\t\r\b\f", "\x00\x1f\x7f",
			"\xff", "\xed\xa0\x80", "\xe2\x82", `\u2028`, `\\u2028`, "日本語", strings.Repeat("x", s.IntN(40)), strings.Repeat("y", 150), "\u0130", "K"))
	}
	return b.String()
}

func (s source) float() float64 {
	switch s.IntN(8) {
	case 0:
		return 0
	case 1:
		return math.Copysign(0, -1)
	case 2:
		return float64(s.IntN(2000000)-1000000) / math.Pow10(s.IntN(7))
	case 3:
		return s.NormFloat64() * math.Pow10(s.IntN(50)-25)
	case 4:
		return float64(s.Int64())
	case 5:
		return math.Float64frombits(s.Uint64() &^ (1 << 62)) // finite
	case 6:
		return float64(s.IntN(100))
	}
	return s.Float64()
}

// raw returns a JSON text, or sometimes an invalid or empty one.
func (s source) raw() json.RawMessage {
	t := s.oneOf("", "null", "1", `"x"`, `{"a":[1,2,{"b":"c"}]}`, `{ "a" : 1 }`, `"\u2028"`, `"\u0041"`, "[\n]", "tru", `"é"`, "\"\xff\"", "1e5", "-0", "01")
	if t == "" {
		return nil
	}
	return json.RawMessage(t)
}

func (s source) time() time.Time {
	zones := []*time.Location{time.UTC, time.FixedZone("", 2*3600), time.FixedZone("", -90*60), time.FixedZone("", 25*3600)}
	return time.Unix(s.Int64N(1<<33)-1<<31, s.Int64N(1e9)).In(zones[s.IntN(len(zones))])
}

func (s source) any(depth int) any {
	switch n := s.IntN(12); {
	case n == 0 || depth <= 0:
		return nil
	case n < 3:
		return s.text()
	case n == 3:
		return s.float()
	case n == 4:
		return s.IntN(2) == 0
	case n == 5:
		return s.IntN(1000)
	}
	types := []reflect.Type{
		reflect.TypeFor[map[string]any](), reflect.TypeFor[[]any](), reflect.TypeFor[item](), reflect.TypeFor[*item](), reflect.TypeFor[[]string](),
		reflect.TypeFor[shout](), reflect.TypeFor[time.Time](), reflect.TypeFor[map[string]int](), reflect.TypeFor[*whisper](), reflect.TypeFor[struct{ P *int }](),
	}
	v := reflect.New(types[s.IntN(len(types))]).Elem()
	s.fill(v, depth-1)
	return v.Interface()
}

// special fills a value whose type requires more than a random value of its kind. It
// reports false for all other types.
func (s source) special(v reflect.Value) bool {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = s.time()
	case *json.RawMessage:
		*p = s.raw()
	case *json.Number:
		*p = json.Number(strconv.FormatFloat(s.float(), 'g', -1, 64))
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{1, 2, 3, byte(s.IntN(256))})
	case *big.Int:
		p.SetInt64(s.Int64())
	case *whisper:
		p.text = s.text()
	default:
		return false
	}
	return true
}

// fill sets v, which must be addressable, to a random value.
func (s source) fill(v reflect.Value, depth int) {
	if s.IntN(12) == 0 || s.special(v) {
		return // zero, or already filled
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(s.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(s.Int64() >> s.IntN(64))
		if s.IntN(2) == 0 {
			v.SetInt(^v.Int())
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		v.SetUint(s.Uint64() >> s.IntN(64))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(s.float())
	case reflect.String:
		v.SetString(s.text())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() || v.Type().Field(i).Anonymous {
				s.fillField(f, depth)
			}
		}
	default:
		s.fillComposite(v, depth)
	}
}

// fillField fills a field, or the fields of an embedded struct that cannot be set itself.
func (s source) fillField(f reflect.Value, depth int) {
	if f.CanSet() {
		s.fill(f, depth-1)
		return
	}
	for i := range f.NumField() {
		if g := f.Field(i); g.CanSet() {
			s.fill(g, depth-1)
		}
	}
}

func (s source) fillComposite(v reflect.Value, depth int) {
	size := 0
	if depth > 0 {
		size = s.IntN(4)
	}
	switch v.Kind() {
	case reflect.Interface:
		if v.NumMethod() == 0 {
			if x := s.any(depth); x != nil {
				v.Set(reflect.ValueOf(x))
			}
		} else if s.IntN(2) == 0 {
			v.Set(reflect.ValueOf(shout(s.text())))
		}
	case reflect.Pointer:
		if depth > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			s.fill(v.Elem(), depth-1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), size, size))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			s.fill(v.Index(i), depth-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range size {
			key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			s.fill(key, 0)
			s.fill(elem, depth-1)
			v.SetMapIndex(key, elem)
		}
	}
}

// value returns a pointer to a random value of type t.
func (s source) value(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	s.fill(v.Elem(), 4)
	return v
}

// disturb returns text with a change that a peer could also make.
func (s source) disturb(text string) string {
	cut := func(old string) (before, after string, ok bool) {
		n := strings.Count(text, old)
		if n == 0 {
			return text, "", false
		}
		i := -1
		for range 1 + s.IntN(n) {
			i += 1 + strings.Index(text[i+1:], old)
		}
		return text[:i], text[i+len(old):], true
	}
	old := s.oneOf(`,`, `:`, `{`, `}`, `[`, `]`, `"`, `true`, `null`, `0`, `1`, `a`, `e`, `k`, `I`, ``, `.`)
	a, b, ok := cut(old)
	if !ok || old == "" {
		i := s.IntN(len(text) + 1)
		a, b, old = text[:i], text[i:], ""
	}
	return a + s.oneOf(old+" ", " "+old, old+old, "\n\t\r"+old, "null", "1", `"x"`, `\u0061`, `\ud83d\ude00`, `\ud800`, `\u00e9`, `\n`, `\/`, "\xff", "é", "K",
		`{"id":1,"id":2}`, `[]`, `{}`, strings.ToUpper(old), strings.ToLower(old), `"a":null,`, `1.5`, `1e3`, "-", "\x01", "", `,"id":"again"`) + b
}
