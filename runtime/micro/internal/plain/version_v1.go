//go:build !goexperiment.jsonv2

package plain

import "reflect"

func marshalMethods() []reflect.Type   { return nil }
func unmarshalMethods() []reflect.Type { return nil }

// replacement is what the library writes for a byte that is not UTF-8.
const replacement = `\ufffd`
