package plain

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// checkAppend compares Append with the library for v, and reports whether v was accepted.
func checkAppend(t *testing.T, v any) bool {
	t.Helper()
	const before = "before"
	want, wantErr := library{}.Append([]byte(before), v)
	got, ok := Append([]byte(before), v, library{})
	switch {
	case !ok && string(got) != before:
		t.Errorf("refused %T, but appended %q", v, got)
	case ok && wantErr != nil:
		t.Errorf("Append(%T %+v) = %q; the library: %v", v, v, got, wantErr)
	case ok && !bytes.Equal(got, want):
		t.Errorf("Append(%T)\n got %q\nwant %q", v, got, want)
	}
	return ok
}

// checkUnmarshal compares Unmarshal with the library for text, and reports whether text was
// accepted.
func checkUnmarshal(t *testing.T, typ reflect.Type, text []byte) bool {
	t.Helper()
	want, got := reflect.New(typ), reflect.New(typ)
	given := bytes.Clone(text)
	wantErr := library{}.Unmarshal(bytes.Clone(text), want.Interface())
	ok := Unmarshal(given, got.Interface(), library{})
	if !bytes.Equal(given, text) {
		t.Errorf("Unmarshal into %v changed its text %q", typ, text)
	}
	clear(given) // the result must not refer to it
	switch {
	case !ok && !got.Elem().IsZero():
		t.Errorf("refused %q into %v, but left %+v", text, typ, got.Elem())
	case ok && wantErr != nil:
		t.Errorf("Unmarshal(%q) into %v took what the library refuses: %v", text, typ, wantErr)
	case ok && !reflect.DeepEqual(got.Interface(), want.Interface()):
		t.Errorf("Unmarshal(%q) into %v\n got %#v\nwant %#v", text, typ, got.Elem(), want.Elem())
	}
	return ok
}

// rounds returns the number of random values for each type of the zoo.
func rounds() int {
	if testing.Short() {
		return 100
	}
	return 1000
}

func TestAppendAsTheLibrary(t *testing.T) {
	for _, typ := range zooTypes() {
		t.Run(typ.String(), func(t *testing.T) {
			taken, s := 0, newSource(1)
			for range rounds() {
				v := s.value(typ)
				if checkAppend(t, v.Interface()) {
					taken++
				}
				checkAppend(t, v.Elem().Interface())
			}
			if taken < rounds()/20 {
				t.Errorf("took only %d of %d values", taken, rounds())
			}
		})
	}
}

func TestUnmarshalAsTheLibrary(t *testing.T) {
	for _, typ := range zooTypes() {
		t.Run(typ.String(), func(t *testing.T) {
			taken, tries, s := 0, 0, newSource(2)
			for range rounds() {
				text, err := library{}.Append(nil, s.value(typ).Interface())
				if err != nil {
					continue
				}
				tries++
				if checkUnmarshal(t, typ, text) {
					taken++
				}
				disturbed := string(text)
				for range 3 {
					disturbed = s.disturb(disturbed)
					checkUnmarshal(t, typ, []byte(disturbed))
				}
			}
			if taken < tries/2 {
				t.Errorf("took only %d of %d texts", taken, tries)
			}
		})
	}
}

// TestUnmarshalNamesTwice joins two objects into one with duplicate names, which the library
// merges.
func TestUnmarshalNamesTwice(t *testing.T) {
	s := newSource(5)
	for _, typ := range zooTypes() {
		for range rounds() / 10 {
			one, err := library{}.Append(nil, s.value(typ).Interface())
			other, otherErr := library{}.Append(nil, s.value(typ).Interface())
			if err != nil || otherErr != nil || len(one) <= 2 || len(other) <= 2 || one[0] != '{' || other[0] != '{' {
				continue
			}
			one[len(one)-1], other[0] = ',', ' '
			checkUnmarshal(t, typ, append(one, other...))
		}
	}
}

// TestUnmarshalForeign decodes the texts of all types into all other types.
func TestUnmarshalForeign(t *testing.T) {
	s := newSource(3)
	for _, from := range zooTypes() {
		for range 5 {
			text, err := library{}.Append(nil, s.value(from).Interface())
			if err != nil {
				continue
			}
			for _, into := range zooTypes() {
				checkUnmarshal(t, into, text)
			}
		}
	}
}

func TestInterfacesEncode(t *testing.T) {
	for _, v := range []any{voices{}, voices{Err: shout("a")}, voices{new(shout), time.Second}, []fmt.Stringer{nil, shout("b")}} {
		if !checkAppend(t, v) {
			t.Errorf("refused %T %v", v, v)
		}
		if checkUnmarshal(t, reflect.TypeOf(v), []byte("{}")) {
			t.Errorf("decoded into %T", v)
		}
	}
}

// TestNotPlain checks types that are left to the library as a whole.
func TestNotPlain(t *testing.T) {
	values := []any{
		quoted{1}, twice{}, shadowed{base{ID: "x"}, 1}, byPointer{&base{}}, tagged{}, strange{}, oneField(reflect.StructField{Name: "A", Tag: `json:"-,"`}), inlined{}, channel{}, quiet{},
		octets{[]octet{1}}, oneField(reflect.StructField{Name: "n", PkgPath: "plain", Tag: `json:"n"`}), deaf{}, twoInOne{}, wide(), complex(1, 2), func() {}, selfish(nil), whisper{},
	}
	for _, v := range values {
		t.Run(fmt.Sprintf("%T", v), func(t *testing.T) {
			if checkAppend(t, v) {
				t.Error("encoded as plain")
			}
		})
	}
	for _, v := range values {
		typ := reflect.TypeOf(v)
		if typ == reflect.TypeFor[quiet]() || typ == reflect.TypeFor[whisper]() || typ == reflect.TypeFor[selfish]() {
			continue // a decoded value is always addressable; the library crashes on a selfish
		}
		t.Run("decode "+typ.String(), func(t *testing.T) {
			for _, text := range []string{"{}", "1", `{"A":1,"id":2,"N":"1"}`} {
				if checkUnmarshal(t, typ, []byte(text)) {
					t.Errorf("decoded %s as plain", text)
				}
			}
		})
	}
}

// wide returns a struct with more fields than the decoder can mark.
func wide() any {
	fields := make([]reflect.StructField, maxFields+1)
	for i := range fields {
		fields[i] = reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: reflect.TypeFor[int]()}
	}
	return reflect.Zero(reflect.StructOf(fields)).Interface()
}

// oneField returns a struct with one int field, which can have a tag that vet rejects.
func oneField(f reflect.StructField) any {
	f.Type = reflect.TypeFor[int]()
	return reflect.Zero(reflect.StructOf([]reflect.StructField{f})).Interface()
}

func TestAppendRefusesCycles(t *testing.T) {
	loop := &tree{Name: "loop"}
	loop.Left = loop
	deep := &tree{}
	for range 2 * maxDepth {
		deep = &tree{Left: deep}
	}
	self := []any{nil}
	self[0] = self
	own := map[string]any{}
	own["own"] = own
	for name, v := range map[string]any{"pointer": loop, "deep": deep, "slice": self, "map": own} {
		t.Run(name, func(t *testing.T) {
			if _, ok := Append(nil, v, library{}); ok {
				t.Error("took it")
			}
		})
	}
}

func TestUnmarshalTargets(t *testing.T) {
	full := item{ID: "was here"}
	var null *item
	for name, v := range map[string]any{"nil": nil, "no pointer": item{}, "null": null, "not zero": &full} {
		t.Run(name, func(t *testing.T) {
			if Unmarshal([]byte(`{"name":"x"}`), v, library{}) {
				t.Error("took it")
			}
		})
	}
	if diff := cmp.Diff(item{ID: "was here"}, full); diff != "" {
		t.Errorf("a refused value changed (-want +got):\n%s", diff)
	}
}

// TestStringsAreShared checks that many short strings require few allocations, and that none
// of them overwrites another.
func TestStringsAreShared(t *testing.T) {
	want := make([]string, 1000)
	for i := range want {
		want[i] = fmt.Sprintf("%0*d", 1+i%150, i)
	}
	text, err := library{}.Append(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	allocs := testing.AllocsPerRun(10, func() {
		got = nil
		if !Unmarshal(text, &got, library{}) {
			t.Fatal("refused")
		}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if allocs > 350 {
		t.Errorf("%v allocations for %d strings", allocs, len(want))
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	values := map[string]any{"item": someItem(1), "pointer": &tree{Name: "x", Kids: []tree{{}, {}}}, "numbers": &numbers{F64: 1.25}}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			buf := make([]byte, 0, 4096)
			allocs := testing.AllocsPerRun(100, func() {
				if _, ok := Append(buf, v, library{}); !ok {
					t.Fatal("refused")
				}
			})
			if allocs > 0 {
				t.Errorf("%v allocations", allocs)
			}
		})
	}
}
