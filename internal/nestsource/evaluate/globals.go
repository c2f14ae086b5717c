package evaluate

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// global returns a value that is declared nowhere, or nil.
func global(name string) Value {
	switch name {
	case "NaN":
		return math.NaN()
	case "Infinity":
		return math.Inf(1)
	case "process":
		return &External{Module: "process", Name: "*"}
	case "Object":
		return &Native{Name: name, Call: convertObject, Props: objectFunctions()}
	case "Array":
		return &Native{Name: name, Call: newArray, Props: arrayFunctions()}
	case "String":
		return &Native{Name: name, Call: convert(name), Props: map[string]Value{"raw": stringRaw()}}
	case "Number", "parseInt", "parseFloat", "Boolean":
		return &Native{Name: name, Call: convert(name), Props: map[string]Value{
			"parseInt": &Native{Name: "parseInt", Call: convert("parseInt")}, "parseFloat": &Native{Name: "parseFloat", Call: convert("parseFloat")},
		}}
	case "isNaN":
		return &Native{Name: name, Call: isNaN}
	case "JSON":
		return &Native{Name: name, Call: notFunction, Props: map[string]Value{"stringify": stringify(), "parse": parseJSON()}}
	case "Math":
		return &Native{Name: name, Call: notFunction, Props: mathFunctions()}
	case "Map", "Set":
		return newCollection(name == "Map")
	case "RegExp":
		return pure(name, func(_ *Evaluator, args []Value) Value {
			source, ok := textArg(args, 0)
			if !ok {
				return nil
			}
			flags, _ := textArg(args, 1)
			return &Regexp{source, flags}
		})
	case "Reflect":
		return &External{Module: "reflect-metadata", Name: "*"}
	case "require":
		return &Native{Name: name, Call: require}
	}
	return nil
}

func isNaN(e *Evaluator, c Call) Value {
	return e.combine(c.Scope, c.Node, []Value{c.Arg(0)}, func(p []Value) Value {
		n, ok := toNumber(p[0])
		if !ok {
			return e.unknown(c.Scope, c.Node, "it is not a number")
		}
		return math.IsNaN(n)
	})
}

func notFunction(e *Evaluator, c Call) Value {
	return e.unknown(c.Scope, c.Node, "it is not a function")
}

// require evaluates require('x') in the module of the call.
func require(e *Evaluator, c Call) Value {
	spec, ok := c.Arg(0).(string)
	if !ok || c.Scope == nil {
		return e.unknown(c.Scope, c.Node, "it requires a module that is not named")
	}
	return e.imported(c.Scope.Module, imported{spec, "*"})
}

// convert returns String, Number, Boolean, parseInt, or parseFloat.
func convert(name string) func(e *Evaluator, c Call) Value {
	return func(e *Evaluator, c Call) Value {
		return e.combine(c.Scope, c.Node, c.Args, func(args []Value) Value {
			v := argument(args, 0)
			switch name {
			case "String":
				if len(args) == 0 {
					return ""
				}
				if text, ok := toString(v); ok {
					return text
				}
			case "Boolean":
				if known, ok := truth(v); ok {
					return known
				}
			case "Number":
				if len(args) == 0 {
					return 0.0
				}
				if n, ok := toNumber(v); ok {
					return n
				}
			default:
				if text, ok := toString(v); ok {
					return parseNumber(strings.TrimSpace(text), name == "parseInt", intArg(args, 1, 10))
				}
			}
			return e.unknown(c.Scope, c.Node, "it cannot be converted")
		})
	}
}

// parseNumber returns the number that a text starts with, as parseInt and parseFloat do.
func parseNumber(text string, integer bool, radix float64) Value {
	if integer && radix != 10 && radix != 0 {
		return math.NaN()
	}
	end, dot := 0, false
	for end < len(text) {
		c := text[end]
		sign := (c == '-' || c == '+') && end == 0
		if c == '.' && !integer && !dot {
			dot = true
		} else if !sign && (c < '0' || c > '9') {
			break
		}
		end++
	}
	return typescript.ParseNumber(text[:end])
}

func stringRaw() Value {
	return &Native{Name: "String.raw", Call: func(e *Evaluator, c Call) Value {
		return e.combine(c.Scope, c.Node, c.Args, func(args []Value) Value {
			parts, ok := argument(args, 0).(*Array)
			if !ok {
				return e.unknown(c.Scope, c.Node, "it is not a template")
			}
			var b strings.Builder
			for i, p := range parts.Items {
				text, _ := toString(p)
				b.WriteString(text)
				if i+1 < len(args) && i+1 < len(parts.Items) {
					text, _ = toString(args[i+1])
					b.WriteString(text)
				}
			}
			return b.String()
		})
	}}
}

func stringify() Value {
	return pure("JSON.stringify", func(_ *Evaluator, args []Value) Value {
		if len(args) != 1 {
			return nil
		}
		text, ok := JSON(args[0])
		if !ok {
			return nil
		}
		return text
	})
}

func parseJSON() Value {
	return pure("JSON.parse", func(e *Evaluator, args []Value) Value {
		text, ok := textArg(args, 0)
		if !ok || len(args) != 1 || !json.Valid([]byte(text)) {
			return nil
		}
		m := NewModule("", typescript.Parse("parse.ts", []byte("export default ("+text+")")))
		return e.Export(m, "default")
	})
}

func mathFunctions() map[string]Value {
	one := func(f func(float64) float64) Value {
		return pure("Math", func(_ *Evaluator, args []Value) Value {
			n, ok := toNumber(argument(args, 0))
			if !ok {
				return nil
			}
			return f(n)
		})
	}
	many := func(f func(a, b float64) float64, start float64) Value {
		return pure("Math", func(_ *Evaluator, args []Value) Value {
			total := start
			for _, arg := range args {
				n, ok := toNumber(arg)
				if !ok {
					return nil
				}
				total = f(total, n)
			}
			return total
		})
	}
	return map[string]Value{
		"floor": one(math.Floor), "ceil": one(math.Ceil), "trunc": one(math.Trunc), "abs": one(math.Abs),
		"round": one(func(f float64) float64 { return math.Floor(f + 0.5) }),
		"max":   many(math.Max, math.Inf(-1)), "min": many(math.Min, math.Inf(1)),
	}
}

func newArray(e *Evaluator, c Call) Value {
	if n, ok := c.Arg(0).(float64); ok && len(c.Args) == 1 {
		if n < 0 || n > 10_000 {
			return e.unknown(c.Scope, c.Node, "the array is too long")
		}
		out := &Array{}
		for range int(n) {
			out.Items = append(out.Items, Undefined{})
		}
		return out
	}
	return &Array{append([]Value{}, c.Args...)}
}

func arrayFunctions() map[string]Value {
	return map[string]Value{
		"isArray": &Native{Name: "Array.isArray", Call: func(e *Evaluator, c Call) Value {
			switch v := c.Arg(0).(type) {
			case *Unknown, *External:
				return e.derived(c.Scope, c.Node, e.cause(v, c.Scope, c.Node))
			case *Array:
				return true
			}
			return false
		}},
		"of": &Native{Name: "Array.of", Call: func(_ *Evaluator, c Call) Value { return &Array{append([]Value{}, c.Args...)} }},
		"from": &Native{Name: "Array.from", Call: func(e *Evaluator, c Call) Value {
			items, ok := e.iterate(c.Arg(0))
			if !ok {
				return e.derived(c.Scope, c.Node, e.cause(c.Arg(0), c.Scope, c.Node))
			}
			out := &Array{append([]Value{}, items...)}
			if len(c.Args) > 1 {
				return e.visitArray(out, "map", Call{Args: c.Args[1:], Scope: c.Scope, Node: c.Node})
			}
			return out
		}},
	}
}
