package plain

import (
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"
)

// maxFields is the maximum number of fields of a plain struct: the decoder marks the fields
// that it has seen in one 64-bit word.
const maxFields = 64

// fewFields is the maximum number of fields for which a name is searched linearly.
const fewFields = 12

// object is a compiled struct type.
type object struct {
	fields []field        // in the order of encoding
	index  map[string]int // from name to index, if there are more than fewFields
	folded map[string]bool
	ascii  bool // all names are ASCII
}

// field is one field of a struct, or of a struct embedded in it.
type field struct {
	lead   string // `,"name":`, as the encoder writes it
	name   string
	offset uintptr
	node   *node
	omit   omission
}

// omission defines which values of a field are omitted when encoding.
type omission uint8

const (
	omitEmpty omission = 1 << iota
	omitZero
)

func (c *compiler) fillStruct(n *node) error {
	n.object = &object{folded: map[string]bool{}, ascii: true}
	if err := c.addFields(n.object, n.typ, 0); err != nil {
		return err
	}
	return n.object.indexNames()
}

// addFields appends the fields of the struct type t, which is at offset in the outermost
// struct. The fields of an embedded struct take its position, as in encoding/json.
func (c *compiler) addFields(o *object, t reflect.Type, offset uintptr) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("json")
		if tag == "-" {
			continue
		}
		var err error
		switch {
		case sf.Anonymous && tag == "" && sf.Type.Kind() == reflect.Struct:
			err = c.embed(o, sf, offset)
		case sf.Anonymous && (tag != "" || !sf.IsExported() || sf.Type.Kind() == reflect.Pointer):
			err = errNotPlain
		case !sf.IsExported() && tag != "":
			err = errNotPlain
		case sf.IsExported():
			err = c.addField(o, sf, tag, offset+sf.Offset)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// embed adds the fields of an embedded struct. A struct with its own methods is not plain,
// because the versions of the library treat it differently.
func (c *compiler) embed(o *object, sf reflect.StructField, offset uintptr) error {
	if sf.Type == timeType || c.implements(reflect.PointerTo(sf.Type)) {
		return errNotPlain
	}
	return c.addFields(o, sf.Type, offset+sf.Offset)
}

func (c *compiler) addField(o *object, sf reflect.StructField, tag string, offset uintptr) error {
	name, omit, err := parseTag(tag)
	if err != nil {
		return err
	}
	if name == "" {
		name = sf.Name
	}
	if omit&omitZero != 0 && sf.Type != timeType && hasIsZero(sf.Type) {
		return errNotPlain
	}
	n, err := c.compile(sf.Type)
	if err != nil {
		return err
	}
	lead := string(append(appendString([]byte{','}, name), ':'))
	o.fields = append(o.fields, field{lead: lead, name: name, offset: offset, node: n, omit: omit})
	return nil
}

// parseTag parses the common json tags: a simple name, and omitempty or omitzero. Others
// are left to the library.
func parseTag(tag string) (name string, omit omission, err error) {
	name, rest, more := strings.Cut(tag, ",")
	if strings.Trim(name, nameCharacters) != "" || name == "-" {
		return "", 0, errNotPlain
	}
	for more {
		var option string
		option, rest, more = strings.Cut(rest, ",")
		switch option {
		case "omitempty":
			omit |= omitEmpty
		case "omitzero":
			omit |= omitZero
		default:
			return "", 0, errNotPlain
		}
	}
	return name, omit, nil
}

const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$.:@/"

func hasIsZero(t reflect.Type) bool {
	isZeroer := reflect.TypeFor[interface{ IsZero() bool }]()
	return t.Implements(isZeroer) || reflect.PointerTo(t).Implements(isZeroer)
}

// indexNames prepares the lookup of names. Two fields with the same name are not plain:
// the library has rules for which one it uses.
func (o *object) indexNames() error {
	if len(o.fields) > maxFields {
		return errNotPlain
	}
	index := make(map[string]int, len(o.fields))
	for i, f := range o.fields {
		if _, twice := index[f.name]; twice {
			return errNotPlain
		}
		index[f.name] = i
		o.folded[string(fold(nil, []byte(f.name)))] = true
		for _, c := range []byte(f.name) {
			o.ascii = o.ascii && c < utf8.RuneSelf
		}
	}
	if len(o.fields) > fewFields {
		o.index = index
	}
	return nil
}

// find returns the index of the field called name, or -1.
func (o *object) find(name []byte) int {
	if o.index != nil {
		if i, ok := o.index[string(name)]; ok {
			return i
		}
		return -1
	}
	for i := range o.fields {
		if o.fields[i].name == string(name) {
			return i
		}
	}
	return -1
}

// resembles reports whether the library might match name, which is not the exact name of a
// field, to a field, because it ignores case. If in doubt, it returns true.
func (o *object) resembles(name []byte) bool {
	if !o.ascii || len(name) > 64 {
		return true
	}
	for _, c := range name {
		if c >= utf8.RuneSelf {
			return true // some letters beyond ASCII fold to k and s
		}
	}
	var buf [64]byte
	return o.folded[string(fold(buf[:0], name))]
}

// fold appends the ASCII name in lower case, without '_' and '-'.
func fold(dst, name []byte) []byte {
	for _, c := range name {
		switch {
		case c == '_' || c == '-':
		case 'A' <= c && c <= 'Z':
			dst = append(dst, c+'a'-'A')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// omitted reports whether the field, which has an omission, is omitted from the struct at
// p.
func (f *field) omitted(p unsafe.Pointer) bool {
	p = unsafe.Add(p, f.offset)
	return f.omit&omitEmpty != 0 && f.node.isEmpty(p) || f.omit&omitZero != 0 && f.node.isZeroValue(p)
}

// isEmpty reports whether omitempty omits the value at p.
func (n *node) isEmpty(p unsafe.Pointer) bool {
	switch n.typ.Kind() {
	case reflect.String:
		return len(*(*string)(p)) == 0
	case reflect.Slice:
		return (*sliceHeader)(p).len == 0
	case reflect.Array:
		return n.typ.Len() == 0
	case reflect.Map:
		return reflect.NewAt(n.typ, p).Elem().Len() == 0
	case reflect.Struct:
		return false
	}
	return isZero(p, n.size) // a number, bool, pointer, or interface
}

// isZeroValue reports whether omitzero omits the value at p.
func (n *node) isZeroValue(p unsafe.Pointer) bool {
	if n.op == opTime {
		return (*time.Time)(p).IsZero()
	}
	return reflect.NewAt(n.typ, p).Elem().IsZero()
}
