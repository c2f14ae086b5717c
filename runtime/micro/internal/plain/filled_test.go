package plain

import (
	"encoding/json"
	"math/big"
	"reflect"
	"testing"
	"time"
)

type (
	emptyList struct{ List []string }
	// spokenByPointer has its own encoding only where it can be addressed.
	spokenByPointer struct{ List []string }
	withOctets      struct{ List []spokenOctet }
	spokenOctet     byte
	hiddenPart      struct{ Parts []int }
	embedsHidden    struct {
		hiddenPart
		*hiddenTarget
		emptyList
		private []int //nolint:unused // an encoder omits it
	}
	hiddenTarget struct{ Targets map[string]int }
	lastOfAll    struct {
		Zero  []int          `json:",omitzero"`
		Empty map[string]int `json:",omitempty"`
		Inner emptyList      `json:",omitzero"`
		Full  *emptyList     `json:",omitzero"`
		Gone  []int          `json:"-"`
		Named []int          `json:"-,"` //nolint:staticcheck // both versions of the library name it "-"
	}
	stringer interface{ String() string }
)

func (*spokenByPointer) MarshalJSON() ([]byte, error) { return []byte(`"spoken"`), nil }
func (o spokenOctet) MarshalText() ([]byte, error)    { return []byte{'o'}, nil }
func (e emptyList) String() string                    { return "" }

// TestNilIsEmpty: a nil slice or map is [] or {} wherever it is, and everything else that is
// nil keeps its meaning, in the encoder and in the library.
func TestNilIsEmpty(t *testing.T) {
	var noList []string
	var noMap map[string]int
	target := &hiddenTarget{}
	for _, tt := range []struct {
		value any
		want  string
	}{
		{noList, `[]`},
		{&noList, `[]`},
		{noMap, `{}`},
		{map[string]any(nil), `{}`},
		{map[string]string(nil), `{}`},
		{map[int][]int(nil), `{}`},
		{map[int][]int{1: nil}, `{"1":[]}`},
		{[]any(nil), `[]`},
		{[]any{noList, noMap, nil, []any(nil), emptyList{}}, `[[],{},null,[],{"List":[]}]`},
		{map[string]any{"a": noList, "b": map[string]any(nil)}, `{"a":[],"b":{}}`},
		{[][]int{nil, {1}, nil}, `[[],[1],[]]`},
		{[2][]int{}, `[[],[]]`},
		{[]map[string][]int{nil, {"a": nil}}, `[{},{"a":[]}]`},
		{names(nil), `[]`},
		{attrs(nil), `{}`},
		{byColor(nil), `{}`},
		{&tree{By: map[string]*tree{"a": nil}, Kids: []tree{{}}}, `{"name":"","kids":[{"name":""}],"by":{"a":null}}`},

		// Nil, but not a list.
		{[]byte(nil), `null`},
		{[]*[]int{nil}, `[null]`},
		{(*emptyList)(nil), `null`},
		{json.RawMessage(nil), `null`},
		{struct {
			B []byte
			O []octet
			R json.RawMessage
			P *[]int
			M *map[string]int
			A any
			S stringer
		}{}, `{"B":null,"O":null,"R":null,"P":null,"M":null,"A":null,"S":null}`},

		// Left to the library, because something in them is not plain.
		{struct {
			N    quoted
			List []int
			Map  map[int]int
		}{}, `{"N":{"N":"0"},"List":[],"Map":{}}`},
		{struct {
			S stringer
			C byPointer
		}{S: emptyList{}}, `{"S":{"List":[]},"C":{}}`},
		{[]stringer{emptyList{}, &emptyList{}, nil}, `[{"List":[]},{"List":[]},null]`},
		{withOctets{}, `{"List":[]}`},
		{spokenByPointer{}, `{"List":[]}`},
		{&spokenByPointer{}, `"spoken"`},
		{[]spokenByPointer{{}}, `["spoken"]`},
		{[]any{spokenByPointer{}, &spokenByPointer{}}, `[{"List":[]},"spoken"]`},
		{map[string]spokenByPointer{"a": {}}, `{"a":{"List":[]}}`},
		{struct {
			L []int
			B *big.Int
			T time.Time `json:",omitzero"`
		}{}, `{"L":[],"B":null}`},
		{embedsHidden{}, `{"Parts":[],"List":[]}`},
		{&embedsHidden{hiddenTarget: target}, `{"Parts":[],"Targets":{},"List":[]}`},
		{lastOfAll{}, `{"-":[]}`},
		{lastOfAll{Zero: []int{}, Inner: emptyList{[]string{}}, Full: &emptyList{}}, `{"Zero":[],"Inner":{"List":[]},"Full":{"List":[]},"-":[]}`},
	} {
		got, ok := Append(nil, tt.value, library{})
		if ok && string(got) != tt.want {
			t.Errorf("Append(%T) = %s, want %s", tt.value, got, tt.want)
		}
		got, err := library{}.Append(nil, tt.value)
		if err != nil || string(got) != tt.want {
			t.Errorf("the library for Filled(%T) = %s, %v, want %s", tt.value, got, err, tt.want)
		}
	}
	if target.Targets != nil {
		t.Error("Filled changed a value")
	}
}

// TestFilledChangesNothing: Filled copies what it changes, and returns all else as it is.
func TestFilledChangesNothing(t *testing.T) {
	s, other := newSource(8), newSource(8)
	for _, typ := range zooTypes() {
		for range rounds() / 10 {
			v, same := s.value(typ), other.value(typ)
			_ = Filled(v.Interface())
			if !reflect.DeepEqual(v.Interface(), same.Interface()) {
				t.Fatalf("Filled changed a %v:\n%#v\n%#v", typ, v, same)
			}
		}
	}
	full := &emptyList{[]string{"a"}}
	if Filled(full) != any(full) {
		t.Error("a value without nil was copied")
	}
}

// TestFilledEndsOnCycles: a value that contains itself is left to the library, which returns
// an error, and one that is only deep is filled.
func TestFilledEndsOnCycles(t *testing.T) {
	type node struct {
		C           []chan int // not plain
		Left, Right *node
		Any         any
	}
	loop := &node{C: []chan int{}}
	loop.Left, loop.Right, loop.Any = loop, loop, loop
	self := []any{nil}
	self[0] = self
	own := map[string]any{}
	own["own"] = own
	afterNil := &node{}
	afterNil.Left = afterNil
	for name, v := range map[string]any{"pointer": loop, "slice": self, "map": own, "pointer after nil": afterNil} {
		if got := Filled(v); reflect.ValueOf(got).Pointer() != reflect.ValueOf(v).Pointer() {
			t.Errorf("%s: it was copied", name)
		}
	}
	deep := &node{}
	for range 3000 {
		deep = &node{C: []chan int{}, Left: deep}
	}
	last := Filled(deep).(*node)
	for last.Left != nil {
		last = last.Left
	}
	if last.C == nil {
		t.Error("nil at a great depth is left")
	}
}
