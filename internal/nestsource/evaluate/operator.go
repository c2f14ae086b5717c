package evaluate

import (
	"math"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/typescript"
)

func (e *Evaluator) unary(x *typescript.Unary, s *Scope) Value {
	switch x.Op {
	case "++", "--":
		old := e.Eval(x.X, s)
		v := e.combine(s, x, []Value{old}, func(p []Value) Value {
			n, ok := toNumber(p[0])
			if !ok {
				return e.unknown(s, x, "it is not a number")
			}
			if x.Op == "--" {
				return n - 1
			}
			return n + 1
		})
		e.assign(x.X, v, s)
		if x.Pos < x.X.Range().Pos { // a prefix operator
			return v
		}
		return old
	case "void":
		return Undefined{}
	case "delete":
		e.remove(x.X, s)
		return true
	}
	v := e.Eval(x.X, s)
	switch x.Op {
	case "await":
		return v
	case "typeof":
		if name := typeOf(v); name != "" {
			return name
		}
		return e.derived(s, x, e.cause(v, s, x.X))
	case "!":
		if known, ok := truth(v); ok {
			return !known
		}
	}
	return e.combine(s, x, []Value{v}, func(p []Value) Value {
		if x.Op == "!" {
			if known, ok := truth(p[0]); ok {
				return !known
			}
		}
		n, ok := toNumber(p[0])
		if !ok {
			return e.unknown(s, x, "it is not a number")
		}
		switch x.Op {
		case "-":
			return -n
		case "~":
			return float64(^toInt32(n))
		}
		return n
	})
}

func typeOf(v Value) string {
	switch v.(type) {
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	case Undefined:
		return "undefined"
	case *Function, *Class, *Native:
		return "function"
	case Null, *Array, *Object, *Regexp, *Namespace:
		return "object"
	}
	return ""
}

func (e *Evaluator) binary(x *typescript.Binary, s *Scope) Value {
	switch {
	case isAssignment(x.Op):
		return e.assignment(x, s)
	case x.Op == ",":
		e.Eval(x.L, s)
		return e.Eval(x.R, s)
	case x.Op == "&&" || x.Op == "||" || x.Op == "??":
		return e.logical(x, x.Op, e.Eval(x.L, s), s)
	}
	l, r := e.Eval(x.L, s), e.Eval(x.R, s)
	if v := e.compareWithEnv(x, l, r, s); v != nil {
		return v
	}
	return e.operate(x, x.Op, l, r, s)
}

// logical evaluates the right side if the left one requires it. An unknown left side of
// || or ?? has the right side as its default.
func (e *Evaluator) logical(x *typescript.Binary, op string, l Value, s *Scope) Value {
	if u, unknown := l.(*Unknown); unknown {
		out := e.derived(s, x, u)
		switch {
		case op == "&&":
			if known, ok := truth(u.Default); ok && u.Default != nil {
				out.Default = u.Default
				if known {
					out.Default, _ = Defaults(e.Eval(x.R, s))
				}
			}
		case u.Default == nil:
			out.Default, _ = Defaults(e.Eval(x.R, s))
		default:
			d := e.logical(x, op, u.Default, s)
			out.Default, _ = Defaults(d)
		}
		return out
	}
	take := missing(l)
	if op != "??" {
		known, ok := truth(l)
		if !ok {
			return e.derived(s, x, e.cause(l, s, x.L))
		}
		take = known == (op == "&&")
	}
	if take {
		return e.Eval(x.R, s)
	}
	return l
}

// compareWithEnv compares an environment variable without a default: unless it is set, it is
// undefined, so the comparison has a default.
func (e *Evaluator) compareWithEnv(x *typescript.Binary, l, r Value, s *Scope) Value {
	if u, ok := l.(*Unknown); ok && u.Env != "" && u.Default == nil && FindUnknown(r) == nil {
		switch x.Op {
		case "===", "==", "!==", "!=":
			out := e.derived(s, x, u)
			out.Default = missing(r) == (x.Op[0] == '=')
			return out
		}
	}
	return nil
}

func (e *Evaluator) cond(x *typescript.Cond, s *Scope) Value {
	test := e.Eval(x.Test, s)
	if known, ok := truth(test); ok {
		return e.Eval(branch(x, known), s)
	}
	u := e.derived(s, x, e.cause(test, s, x.Test))
	known, ok := false, u.Env != ""
	if t, isUnknown := test.(*Unknown); isUnknown && t.Default != nil {
		known, ok = truth(t.Default)
	}
	if ok {
		u.Default, _ = Defaults(e.Eval(branch(x, known), s))
	}
	return u
}

func branch(x *typescript.Cond, test bool) typescript.Expr {
	if test {
		return x.Then
	}
	return x.Else
}

// operate applies an operator to two values.
func (e *Evaluator) operate(n typescript.Node, op string, l, r Value, s *Scope) Value {
	if op == "===" || op == "!==" || op == "==" || op == "!=" {
		if same, ok := equal(l, r); ok {
			return same == (op[0] == '=')
		}
	}
	return e.combine(s, n, []Value{l, r}, func(p []Value) Value {
		if v := arithmetic(op, p[0], p[1]); v != nil {
			return v
		}
		return e.unknown(s, n, "the operator "+op+" cannot be evaluated")
	})
}

func arithmetic(op string, l, r Value) Value {
	switch op {
	case "===", "!==", "==", "!=":
		if same, ok := equal(l, r); ok {
			return same == (op[0] == '=')
		}
		return nil
	case "in":
		if o, ok := r.(*Object); ok {
			key, _ := toString(l)
			_, has := o.Get(key)
			return has
		}
		return nil
	case "+":
		_, lText := l.(string)
		_, rText := r.(string)
		_, lArray := l.(*Array)
		_, rArray := r.(*Array)
		if lText || rText || lArray || rArray {
			a, ok := toString(l)
			b, ok2 := toString(r)
			if !ok || !ok2 {
				return nil
			}
			return a + b
		}
	case "<", ">", "<=", ">=":
		if a, ok := l.(string); ok {
			if b, ok := r.(string); ok {
				return compare(op, float64(strings.Compare(a, b)), 0)
			}
		}
	}
	a, ok := toNumber(l)
	b, ok2 := toNumber(r)
	if !ok || !ok2 {
		return nil
	}
	return numeric(op, a, b)
}

func numeric(op string, a, b float64) Value {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		return a / b
	case "%":
		return math.Mod(a, b)
	case "**":
		return math.Pow(a, b)
	case "&":
		return float64(toInt32(a) & toInt32(b))
	case "|":
		return float64(toInt32(a) | toInt32(b))
	case "^":
		return float64(toInt32(a) ^ toInt32(b))
	case "<<":
		return float64(toInt32(a) << (uint32(toInt32(b)) & 31))
	case ">>":
		return float64(toInt32(a) >> (uint32(toInt32(b)) & 31))
	case ">>>":
		return float64(uint32(toInt32(a)) >> (uint32(toInt32(b)) & 31))
	}
	return compare(op, a, b)
}

func compare(op string, a, b float64) Value {
	switch op {
	case "<":
		return a < b
	case ">":
		return a > b
	case "<=":
		return a <= b
	case ">=":
		return a >= b
	}
	return nil
}

func toInt32(f float64) int32 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return int32(uint32(int64(math.Mod(math.Trunc(f), 1<<32)))) //nolint:gosec // wraps as in JavaScript
}

// truth returns whether a value counts as true. ok is false if it is unknown.
func truth(v Value) (value, ok bool) {
	switch v := v.(type) {
	case Undefined, Null:
		return false, true
	case bool:
		return v, true
	case string:
		return v != "", true
	case float64:
		return v != 0 && !math.IsNaN(v), true
	case *Unknown, *External:
		return false, false
	}
	return true, true
}

// equal compares two values as === does. ok is false if one is unknown.
func equal(l, r Value) (same, ok bool) {
	for _, v := range []Value{l, r} {
		switch v.(type) {
		case *Unknown, *External:
			return l == r && l != nil && isExternal(l), isExternal(l) && l == r
		}
	}
	return l == r, true // pointers are equal if they are the same object
}

func isExternal(v Value) bool {
	_, ok := v.(*External)
	return ok
}

// toString converts a value as a template literal does. ok is false if it is not data.
func toString(v Value) (string, bool) { return textOf(v, 0) }

func textOf(v Value, depth int) (string, bool) {
	if depth > maxDepth {
		return "", false
	}
	switch v := v.(type) {
	case string:
		return v, true
	case float64:
		return typescript.FormatNumber(v), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	case Undefined:
		return "undefined", true
	case Null:
		return "null", true
	case *Array:
		return joinAt(v.Items, ",", depth+1)
	case *Object:
		if v.Class == nil && v.Host == nil {
			return "[object Object]", v.members["toString"] == nil
		}
	}
	return "", false
}

// join joins items as Array.prototype.join does.
func join(items []Value, separator string) (string, bool) { return joinAt(items, separator, 0) }

func joinAt(items []Value, separator string, depth int) (string, bool) {
	parts := make([]string, len(items))
	for i, item := range items {
		if missing(item) {
			continue
		}
		text, ok := textOf(item, depth)
		if !ok {
			return "", false
		}
		parts[i] = text
	}
	return strings.Join(parts, separator), true
}

func toNumber(v Value) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case Null:
		return 0, true
	case Undefined:
		return math.NaN(), true
	case string:
		text := strings.TrimSpace(v)
		if text == "" {
			return 0, true
		}
		return typescript.ParseNumber(text), true
	}
	return 0, false
}
