package visible

import "reflect"

// Strings replaces every string in the value that v points to: in exported fields, in
// slices, and in the values of maps, at any depth.
func Strings(v any, with func(string) string) { eachString(reflect.ValueOf(v), with) }

func eachString(v reflect.Value, with func(string) string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachString(v.Elem(), with)
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(with(v.String()))
		}
	case reflect.Slice, reflect.Array:
		if !holdsStrings(v.Type().Elem()) {
			return
		}
		for i := range v.Len() {
			eachString(v.Index(i), with)
		}
	case reflect.Map:
		if !holdsStrings(v.Type().Elem()) {
			return
		}
		for _, key := range v.MapKeys() {
			entry := reflect.New(v.Type().Elem()).Elem() // map entries are not addressable
			entry.Set(v.MapIndex(key))
			eachString(entry, with)
			v.SetMapIndex(key, entry)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				eachString(v.Field(i), with)
			}
		}
	}
}

// holdsStrings reports whether the elements of a list may be or contain strings.
func holdsStrings(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Struct, reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Array, reflect.Map:
		return true
	}
	return false
}
