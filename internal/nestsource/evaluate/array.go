package evaluate

import (
	"slices"
	"strings"
)

// arrayMember returns the length, an item, or a method of an array.
func (e *Evaluator) arrayMember(a *Array, name string) Value {
	if name == "length" {
		return float64(len(a.Items))
	}
	if i, ok := index(name); ok {
		if i < len(a.Items) {
			return a.Items[i]
		}
		return Undefined{}
	}
	switch name {
	case "join", "includes", "indexOf", "toString":
		return pureArray(a, name)
	case "map", "filter", "forEach", "find", "findIndex", "some", "every", "flatMap", "reduce":
		return &Native{Name: "Array." + name, Call: func(e *Evaluator, c Call) Value { return e.visitArray(a, name, c) }}
	case "push", "unshift", "pop", "shift", "reverse", "sort", "fill":
		return &Native{Name: "Array." + name, Call: func(e *Evaluator, c Call) Value { return e.changeArray(a, name, c) }}
	case "concat", "slice", "flat", "at", "values", "keys", "entries", "toReversed", "toSorted":
		return &Native{Name: "Array." + name, Call: func(e *Evaluator, c Call) Value { return e.copyArray(a, name, c) }}
	}
	return Undefined{}
}

// pureArray returns a method that requires all items.
func pureArray(a *Array, name string) Value {
	return &Native{Name: "Array." + name, Call: func(e *Evaluator, c Call) Value {
		parts := append([]Value{&Array{a.Items}}, c.Args...)
		return e.combine(c.Scope, c.Node, parts, func(parts []Value) Value {
			items := parts[0].(*Array).Items
			switch name {
			case "join", "toString":
				separator, ok := textArg(parts, 1)
				if !ok || name == "toString" {
					separator = ","
				}
				if text, ok := join(items, separator); ok {
					return text
				}
				return e.unknown(c.Scope, c.Node, "an item is not text")
			case "includes":
				return slices.Contains(items, argument(parts, 1))
			}
			return float64(slices.Index(items, argument(parts, 1)))
		})
	}}
}

// visitArray evaluates the methods that call a function for each item.
func (e *Evaluator) visitArray(a *Array, name string, c Call) Value {
	if name == "reduce" {
		return e.reduce(a, c)
	}
	out := &Array{}
	for i, item := range slices.Clone(a.Items) {
		v := e.Call(c.Arg(0), Call{This: c.Arg(1), Args: []Value{item, float64(i), a}, Scope: c.Scope, Node: c.Node})
		switch name {
		case "map":
			out.Items = append(out.Items, v)
			continue
		case "forEach":
			continue
		case "flatMap":
			if inner, ok := v.(*Array); ok {
				out.Items = append(out.Items, inner.Items...)
			} else {
				out.Items = append(out.Items, v)
			}
			continue
		}
		known, ok := truth(v)
		if !ok {
			return e.derived(c.Scope, c.Node, e.cause(v, c.Scope, c.Node))
		}
		switch {
		case name == "filter" && known:
			out.Items = append(out.Items, item)
		case name == "find" && known:
			return item
		case name == "findIndex" && known:
			return float64(i)
		case name == "some" && known:
			return true
		case name == "every" && !known:
			return false
		}
	}
	switch name {
	case "forEach", "find":
		return Undefined{}
	case "findIndex":
		return -1.0
	case "some":
		return false
	case "every":
		return true
	}
	return out
}

func (e *Evaluator) reduce(a *Array, c Call) Value {
	items := slices.Clone(a.Items)
	first := 0
	var total Value
	switch {
	case len(c.Args) > 1:
		total = c.Args[1]
	case len(items) > 0:
		total, first = items[0], 1
	default:
		return e.unknown(c.Scope, c.Node, "it throws an error")
	}
	for i := first; i < len(items); i++ {
		total = e.Call(c.Arg(0), Call{Args: []Value{total, items[i], float64(i), a}, Scope: c.Scope, Node: c.Node})
	}
	return total
}

// changeArray evaluates the methods that change the array.
func (e *Evaluator) changeArray(a *Array, name string, c Call) Value {
	switch name {
	case "push":
		a.Items = append(a.Items, c.Args...)
		return float64(len(a.Items))
	case "unshift":
		a.Items = append(slices.Clone(c.Args), a.Items...)
		return float64(len(a.Items))
	case "pop", "shift":
		if len(a.Items) == 0 {
			return Undefined{}
		}
		i := len(a.Items) - 1
		if name == "shift" {
			i = 0
		}
		item := a.Items[i]
		a.Items = slices.Delete(slices.Clone(a.Items), i, i+1)
		return item
	case "reverse":
		slices.Reverse(a.Items)
		return a
	case "fill":
		for i := range a.Items {
			a.Items[i] = c.Arg(0)
		}
		return a
	}
	if !sortItems(a.Items, c) {
		a.Items = []Value{e.unknown(c.Scope, c.Node, "the order of sort is not known")}
	}
	return a
}

// sortItems sorts strings without a function for the comparison.
func sortItems(items []Value, c Call) bool {
	for _, item := range items {
		if _, ok := item.(string); !ok {
			return false
		}
	}
	if len(c.Args) > 0 {
		return false
	}
	slices.SortStableFunc(items, func(a, b Value) int { return strings.Compare(a.(string), b.(string)) })
	return true
}

// copyArray evaluates the methods that return another array.
func (e *Evaluator) copyArray(a *Array, name string, c Call) Value {
	out := &Array{slices.Clone(a.Items)}
	switch name {
	case "concat":
		for _, arg := range c.Args {
			if more, ok := arg.(*Array); ok {
				out.Items = append(out.Items, more.Items...)
			} else {
				out.Items = append(out.Items, arg)
			}
		}
	case "slice":
		from, to := sliceRange(len(a.Items), c.Args)
		out.Items = out.Items[from:max(from, to)]
	case "flat":
		out.Items = flat(a.Items, intArg(c.Args, 0, 1))
	case "at":
		i := intArg(c.Args, 0, 0)
		if i < 0 {
			i += float64(len(a.Items))
		}
		if i < 0 || int(i) >= len(a.Items) {
			return Undefined{}
		}
		return a.Items[int(i)]
	case "keys", "entries":
		for i, item := range out.Items {
			out.Items[i] = float64(i)
			if name == "entries" {
				out.Items[i] = &Array{[]Value{float64(i), item}}
			}
		}
	case "toReversed":
		slices.Reverse(out.Items)
	case "toSorted":
		return e.changeArray(out, "sort", c)
	}
	return out
}

func flat(items []Value, depth float64) []Value {
	var out []Value
	for _, item := range items {
		if inner, ok := item.(*Array); ok && depth >= 1 {
			out = append(out, flat(inner.Items, min(depth, maxDepth)-1)...)
		} else {
			out = append(out, item)
		}
	}
	return out
}

// collection is a Map or a Set: the host of an object.
type collection struct {
	keys   []Value
	values map[Value]Value // nil for a Set
}

func (c *collection) items() []Value {
	if c.values == nil {
		return c.keys
	}
	var out []Value
	for _, k := range c.keys {
		out = append(out, &Array{[]Value{k, c.values[k]}})
	}
	return out
}

func (c *collection) set(k, v Value) {
	if !slices.Contains(c.keys, k) {
		c.keys = append(c.keys, k)
	}
	if c.values != nil {
		c.values[k] = v
	}
}

// newCollection evaluates new Map(…) and new Set(…).
func newCollection(isMap bool) *Native {
	name := "Set"
	if isMap {
		name = "Map"
	}
	return &Native{Name: name, Call: func(e *Evaluator, c Call) Value {
		all := &collection{}
		if isMap {
			all.values = map[Value]Value{}
		}
		o := NewObject()
		o.Host = all
		if missing(c.Arg(0)) {
			return o
		}
		items, ok := e.iterate(c.Arg(0))
		if !ok {
			return e.derived(c.Scope, c.Node, e.cause(c.Arg(0), c.Scope, c.Node))
		}
		for _, item := range items {
			if !isMap {
				all.set(item, nil)
				continue
			}
			pair, ok := e.iterate(item)
			if !ok || len(pair) < 2 {
				return e.unknown(c.Scope, c.Node, "an entry is not a pair")
			}
			all.set(pair[0], pair[1])
		}
		return o
	}}
}

func (c *collection) member(name string) Value {
	if name == "size" {
		return float64(len(c.keys))
	}
	return &Native{Name: name, Call: func(e *Evaluator, call Call) Value {
		key := call.Arg(0)
		switch name {
		case "get":
			if v, ok := c.values[key]; ok {
				return v
			}
			return Undefined{}
		case "has":
			return slices.Contains(c.keys, key)
		case "set", "add":
			c.set(key, call.Arg(1))
			return call.This
		case "keys":
			return &Array{slices.Clone(c.keys)}
		case "entries":
			return &Array{c.items()}
		case "values":
			if c.values == nil {
				return &Array{slices.Clone(c.keys)}
			}
			out := &Array{}
			for _, k := range c.keys {
				out.Items = append(out.Items, c.values[k])
			}
			return out
		case "forEach":
			for _, k := range slices.Clone(c.keys) {
				v := k
				if c.values != nil {
					v = c.values[k]
				}
				e.Call(key, Call{Args: []Value{v, k, call.This}, Scope: call.Scope, Node: call.Node})
			}
			return Undefined{}
		}
		return e.unknown(call.Scope, call.Node, name+" cannot be evaluated")
	}}
}
