//go:build !goexperiment.jsonv2

package plain

import "reflect"

func marshalMethods() []reflect.Type   { return nil }
func unmarshalMethods() []reflect.Type { return nil }

// replacement is how the library writes a byte that is no UTF-8.
const replacement = `\ufffd`
