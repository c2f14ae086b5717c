//go:build goexperiment.jsonv2

package plain

import (
	"encoding/json/v2"
	"reflect"
)

// marshalMethods lists the interfaces that encoding/json/v2 supports in addition to those of
// encoding/json.
func marshalMethods() []reflect.Type { return []reflect.Type{reflect.TypeFor[json.MarshalerTo]()} }

func unmarshalMethods() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[json.UnmarshalerFrom]()}
}

// replacement is what the library writes for a byte that is not UTF-8.
const replacement = "\ufffd"
