package evaluate

import "github.com/msctl/msctl/internal/nestsource/typescript"

func convertObject(e *Evaluator, c Call) Value {
	if missing(c.Arg(0)) {
		return NewObject()
	}
	return c.Arg(0)
}

// objectFunctions are the functions of Object.
func objectFunctions() map[string]Value {
	same := &Native{Name: "Object.freeze", Call: func(_ *Evaluator, c Call) Value { return c.Arg(0) }}
	list := func(item func(entry) Value) Value {
		return &Native{Name: "Object.values", Call: func(e *Evaluator, c Call) Value {
			entries, ok := e.entries(c.Arg(0))
			if !ok {
				return e.derived(c.Scope, c.Node, e.cause(c.Arg(0), c.Scope, c.Node))
			}
			out := &Array{}
			for _, one := range entries {
				out.Items = append(out.Items, item(one))
			}
			return out
		}}
	}
	return map[string]Value{
		"freeze": same, "seal": same, "preventExtensions": same,
		"keys":           list(func(e entry) Value { return e.key }),
		"values":         list(func(e entry) Value { return e.value }),
		"entries":        list(func(e entry) Value { return &Array{[]Value{e.key, e.value}} }),
		"assign":         &Native{Name: "Object.assign", Call: assignObject},
		"fromEntries":    &Native{Name: "Object.fromEntries", Call: fromEntries},
		"defineProperty": &Native{Name: "Object.defineProperty", Call: defineProperty},
		"create":         &Native{Name: "Object.create", Call: createObject},

		"getOwnPropertyNames":      &Native{Name: "Object.getOwnPropertyNames", Call: propertyNames},
		"getOwnPropertyDescriptor": &Native{Name: "Object.getOwnPropertyDescriptor", Call: descriptorOf},
	}
}

func assignObject(e *Evaluator, c Call) Value {
	switch target := c.Arg(0).(type) {
	case *Object:
		for _, source := range c.Args[1:] {
			e.spreadInto(target, source, c.Scope, c.Node)
		}
		return target
	case *Class:
		for _, source := range c.Args[1:] {
			e.spreadInto(target.statics, source, c.Scope, c.Node)
		}
		return target
	}
	return e.derived(c.Scope, c.Node, e.cause(c.Arg(0), c.Scope, c.Node))
}

func fromEntries(e *Evaluator, c Call) Value {
	items, ok := e.iterate(c.Arg(0))
	if !ok {
		return e.derived(c.Scope, c.Node, e.cause(c.Arg(0), c.Scope, c.Node))
	}
	out := NewObject()
	for _, item := range items {
		pair, ok := e.iterate(item)
		if !ok || len(pair) < 2 {
			return e.derived(c.Scope, c.Node, e.cause(item, c.Scope, c.Node))
		}
		key, ok := toString(pair[0])
		if !ok {
			return e.derived(c.Scope, c.Node, e.cause(pair[0], c.Scope, c.Node))
		}
		out.Set(key, pair[1])
	}
	return out
}

func defineProperty(e *Evaluator, c Call) Value {
	key, ok := toString(c.Arg(1))
	descriptor, isObject := c.Arg(2).(*Object)
	if !ok || !isObject {
		return e.derived(c.Scope, c.Node, e.cause(&Array{c.Args}, c.Scope, c.Node))
	}
	if v, ok := descriptor.Get("value"); ok {
		e.setMember(c.Arg(0), key, v)
	} else if get, ok := descriptor.members["get"].(*Function); ok {
		e.setMember(c.Arg(0), key, &accessor{get})
	}
	return c.Arg(0)
}

func createObject(e *Evaluator, c Call) Value {
	out := NewObject()
	if !missing(c.Arg(0)) {
		e.spreadInto(out, c.Arg(0), c.Scope, c.Node)
	}
	return out
}

// propertyNames evaluates Object.getOwnPropertyNames. Those of a prototype are its methods.
func propertyNames(e *Evaluator, c Call) Value {
	out := &Array{}
	if o, ok := c.Arg(0).(*Object); ok && o.Class != nil && len(o.keys) == 0 {
		out.Items = append(out.Items, "constructor")
		for _, m := range o.Class.Node.Members {
			if m.Static || m.Func == nil || m.Func.Body == nil || m.Kind == typescript.MemberConstructor {
				continue
			}
			key, unknown := e.name(m.Key, o.Class.Scope)
			if unknown != nil {
				return e.derived(c.Scope, c.Node, unknown)
			}
			out.Items = append(out.Items, key)
		}
		return out
	}
	entries, ok := e.entries(c.Arg(0))
	if !ok {
		return e.derived(c.Scope, c.Node, e.cause(c.Arg(0), c.Scope, c.Node))
	}
	for _, one := range entries {
		out.Items = append(out.Items, one.key)
	}
	return out
}

// descriptorOf evaluates Object.getOwnPropertyDescriptor.
func descriptorOf(e *Evaluator, c Call) Value {
	key, ok := toString(c.Arg(1))
	object, isObject := c.Arg(0).(*Object)
	if !ok || !isObject {
		return Undefined{}
	}
	return NewDescriptor(e.objectMember(object, key, c.Scope, c.Node))
}

// NewDescriptor returns the descriptor of a member with a value.
func NewDescriptor(v Value) *Object {
	out := NewObject()
	out.Set("value", v)
	return out
}

// objectMethod returns a method that every object has, or nil.
func objectMethod(o *Object, name string) Value {
	switch name {
	case "hasOwnProperty":
		return pure(name, func(_ *Evaluator, args []Value) Value {
			key, ok := textArg(args, 0)
			if !ok || o.open != nil {
				return nil
			}
			_, has := o.Get(key)
			return has
		})
	case "toString":
		return pure(name, func(_ *Evaluator, _ []Value) Value { return "[object Object]" })
	}
	return nil
}
