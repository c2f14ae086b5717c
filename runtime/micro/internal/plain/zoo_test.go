package plain

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// The zoo: types with every feature of the package, and types that it does
// not support.

type (
	color   string
	level   int8
	octet   byte
	flags   uint16
	ratio   float32
	names   []string
	attrs   map[string]string
	props   map[string]any
	byColor map[color]level
	stamp   time.Time // has no methods: an empty object

	numbers struct {
		I   int     `json:"i"`
		I8  int8    `json:"i8"`
		I16 int16   `json:"i16"`
		I32 int32   `json:"i32"`
		I64 int64   `json:"i64"`
		U   uint    `json:"u"`
		U8  uint8   `json:"u8"`
		U16 uint16  `json:"u16"`
		U32 uint32  `json:"u32"`
		U64 uint64  `json:"u64"`
		P   uintptr `json:"p"`
		F32 float32 `json:"f32"`
		F64 float64 `json:"f64"`
		D   time.Duration
	}

	named struct {
		Color color
		Level level
		Flags flags
		Ratio ratio
		Names names
		Attrs attrs
		Props props
		By    byColor
		Octet octet
	}

	tree struct {
		Name string           `json:"name"`
		Kids []tree           `json:"kids,omitempty"`
		Left *tree            `json:"left,omitempty"`
		By   map[string]*tree `json:"by,omitempty"`
	}

	lists struct {
		Ints    []int
		Matrix  [][]float64
		Triple  [3]int
		Bytes4  [4]byte
		Raw     []byte
		Strings []string
		Bools   []bool
		Items   []item
		Nothing []struct{}
		Ptrs    []*int
		Anys    []any
		Pairs   [2][]string
	}

	maps struct {
		S map[string]string
		A map[string]any
		I map[string]int
		L map[string][]string
		T map[string]item
		P map[string]*item
		M map[string]map[string]int
		N map[int]string
		R map[string]json.RawMessage
	}

	pointers struct {
		S *string
		I *int
		P **int
		T *item
		A *any
		M *map[string]string
		L *[]int
		W *time.Time
		B *big.Int
		R *json.RawMessage
	}

	omits struct {
		S  string            `json:"s,omitempty"`
		I  int               `json:"i,omitempty"`
		B  bool              `json:",omitempty"`
		F  float64           `json:"f,omitempty"`
		L  []int             `json:"l,omitempty"`
		M  map[string]int    `json:"m,omitempty"`
		A  any               `json:"a,omitempty"`
		P  *int              `json:"p,omitempty"`
		T  item              `json:"t,omitempty"`
		A0 [0]int            `json:"a0,omitempty"`
		A1 [1]int            `json:"a1,omitempty"`
		W  time.Time         `json:"w,omitzero"`
		Z  numbers           `json:"z,omitzero"`
		LZ []int             `json:"lz,omitzero"`
		MZ map[string]string `json:"mz,omitempty,omitzero"`
		N  json.Number       `json:"n,omitempty"`
	}

	base struct {
		ID      string `json:"id"`
		Created time.Time
	}
	Inner struct {
		Depth int
		base
	}
	embedded struct {
		First string
		Inner
		Last string `json:"last"`
		_    int
		Gone string `json:"-"`
	}

	spoken struct {
		Time   time.Time
		Big    *big.Int
		Addr   netip.Addr
		Raw    json.RawMessage
		Number json.Number
		Any    any
		Own    shout
		Owns   []shout
		By     map[string]shout
		Pt     *whisper
	}

	voices struct{ Err, Other fmt.Stringer } // encoded only

	many struct { // more than fewFields
		A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P int
		Kelvin, Skin                                   string
	}

	folding struct {
		UserName string `json:"user_name"`
		Größe    int
	}
	cased struct {
		ID   int    `json:"id"`
		Name string `json:"Name"`
		Kiss string `json:"kiss"`
	}
)

// shout has its methods on the value.
type shout string

func (s shout) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(s))), nil }
func (s *shout) UnmarshalText(b []byte) error {
	if strings.HasPrefix(string(b), "!") {
		return fmt.Errorf("shout: %q", b)
	}
	*s = shout(strings.ToLower(string(b)))
	return nil
}

func (s shout) String() string { return string(s) }

// whisper has its methods on the pointer.
type whisper struct{ text string }

func (w *whisper) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"quiet": w.text, "sep": "\u2028<"})
}

func (w *whisper) UnmarshalJSON(b []byte) error {
	w.text = "heard " + string(b)
	return nil
}

// Types that are left to the library as a whole.
type (
	quoted struct {
		N int `json:",string"`
	}
	other struct{ base }
	twice struct {
		base
		other
	}
	shadowed struct {
		base
		ID int `json:"id"`
	}
	byPointer struct{ *base }
	tagged    struct {
		Inner `json:"inner"`
	}
	strange struct {
		A int `json:"a b"`
	}
	inlined struct {
		Inner `json:",inline"`
	}
	channel struct{ C chan int }
	quiet   struct{ W whisper }
	selfish *selfish
	deaf    struct {
		loud
		louder
	}
	loud     struct{ A int }
	louder   struct{ B int }
	twoInOne struct{ W struct{ time.Time } }
	octets   struct{ O []octet }
)

// zoo lists a zero value of every plain type.
var zoo = []any{
	false, int(0), int8(0), int16(0), int32(0), int64(0), uint(0), uint8(0), uint16(0), uint32(0), uint64(0), uintptr(0),
	float32(0), float64(0), "", color(""), level(0), time.Time{}, json.RawMessage{}, time.Duration(0),
	[]byte{}, []string{}, []int{}, [3]string{}, [0]int{}, [1]*int{}, []any{}, []item{}, [][]int{}, names{},
	map[string]string{}, map[string]any{}, map[string]int{}, attrs{}, props{}, byColor{}, map[string][]item{},
	item{}, dated{}, numbers{}, named{}, tree{}, lists{}, maps{}, pointers{}, omits{}, embedded{}, spoken{}, many{}, folding{}, cased{},
	stamp{}, struct{}{}, struct{ P *int }{}, struct{ M map[string]int }{}, struct{ A, B any }{},
	(*item)(nil), (**item)(nil), (*string)(nil), []*tree{},
}

// zooTypes returns the types of the zoo, and any, which is not the type of a zoo value.
func zooTypes() []reflect.Type {
	types := []reflect.Type{anyType}
	for _, v := range zoo {
		types = append(types, reflect.TypeOf(v))
	}
	return types
}

// Two embedded structs with methods: a deaf struct has neither, because they are ambiguous.
func (loud) MarshalJSON() ([]byte, error)   { return []byte(`"loud"`), nil }
func (louder) MarshalJSON() ([]byte, error) { return []byte(`"louder"`), nil }
func (*loud) UnmarshalJSON([]byte) error    { return nil }
func (*louder) UnmarshalJSON([]byte) error  { return nil }
