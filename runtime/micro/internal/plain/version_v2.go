//go:build goexperiment.jsonv2

package plain

import (
	"encoding/json/v2"
	"reflect"
)

// marshalMethods lists what encoding/json/v2 asks a type for beyond encoding/json.
func marshalMethods() []reflect.Type { return []reflect.Type{reflect.TypeFor[json.MarshalerTo]()} }

func unmarshalMethods() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[json.UnmarshalerFrom]()}
}

// replacement is how the library writes a byte that is no UTF-8.
const replacement = "\ufffd"
