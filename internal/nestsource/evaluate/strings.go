package evaluate

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// stringMember returns the length, a character, or a method of a string. Methods count in
// UTF-16 units, as JavaScript does.
func stringMember(s, name string) Value {
	if name == "length" {
		return float64(len(utf16.Encode([]rune(s))))
	}
	if i, ok := index(name); ok {
		return charAt(s, float64(i), Undefined{})
	}
	method := stringMethod(name)
	if method == nil {
		return Undefined{}
	}
	return pure("String."+name, func(e *Evaluator, args []Value) Value { return method(e, s, args) })
}

// pure returns a native whose result is unknown if an argument is.
func pure(name string, call func(e *Evaluator, args []Value) Value) *Native {
	return &Native{Name: name, Call: func(e *Evaluator, c Call) Value {
		v := e.combine(c.Scope, c.Node, c.Args, func(args []Value) Value { return call(e, args) })
		if v == nil {
			return e.unknown(c.Scope, c.Node, name+" cannot be evaluated with these arguments")
		}
		return v
	}}
}

func argument(args []Value, i int) Value {
	if i < len(args) {
		return args[i]
	}
	return Undefined{}
}

// textArg returns an argument as a string. ok is false if it is missing or not text.
func textArg(args []Value, i int) (string, bool) {
	if i >= len(args) || args[i] == (Undefined{}) {
		return "", false
	}
	return toString(args[i])
}

// intArg returns an argument as an integer, or a default if it is missing.
func intArg(args []Value, i int, missing float64) float64 {
	if i >= len(args) || args[i] == (Undefined{}) {
		return missing
	}
	f, ok := toNumber(args[i])
	if !ok || math.IsNaN(f) {
		return 0
	}
	return math.Trunc(f)
}

// method is a method of a string. It returns nil if it cannot be evaluated.
type method func(e *Evaluator, s string, args []Value) Value

// stringMethod returns a method of strings, or nil.
func stringMethod(name string) method {
	same := func(f func(string) string) method {
		return func(_ *Evaluator, s string, _ []Value) Value { return f(s) }
	}
	test := func(f func(s, part string) bool) method {
		return func(_ *Evaluator, s string, args []Value) Value {
			part, ok := textArg(args, 0)
			if !ok || len(args) > 1 {
				return nil
			}
			return f(s, part)
		}
	}
	switch name {
	case "toLowerCase", "toLocaleLowerCase":
		return same(strings.ToLower)
	case "toUpperCase", "toLocaleUpperCase":
		return same(strings.ToUpper)
	case "trim":
		return same(strings.TrimSpace)
	case "trimStart":
		return same(func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) })
	case "trimEnd":
		return same(func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) })
	case "toString", "valueOf", "normalize":
		return same(func(s string) string { return s })
	case "includes":
		return test(strings.Contains)
	case "startsWith":
		return test(strings.HasPrefix)
	case "endsWith":
		return test(strings.HasSuffix)
	}
	return stringPartMethod(name)
}

// stringPartMethod returns a method that depends on positions or on other strings.
func stringPartMethod(name string) method {
	switch name {
	case "concat":
		return func(_ *Evaluator, s string, args []Value) Value {
			rest, ok := join(args, "")
			if !ok {
				return nil
			}
			return s + rest
		}
	case "charAt":
		return func(_ *Evaluator, s string, args []Value) Value { return charAt(s, intArg(args, 0, 0), "") }
	case "at":
		return func(_ *Evaluator, s string, args []Value) Value {
			i := intArg(args, 0, 0)
			if i < 0 {
				i += float64(len(units(s)))
			}
			return charAt(s, i, Undefined{})
		}
	case "slice":
		return func(_ *Evaluator, s string, args []Value) Value {
			u := units(s)
			from, to := sliceRange(len(u), args)
			return text(u[from:max(from, to)])
		}
	case "substring":
		return substring
	case "indexOf", "lastIndexOf":
		return func(_ *Evaluator, s string, args []Value) Value { return indexOf(s, args, name == "lastIndexOf") }
	case "repeat":
		return func(_ *Evaluator, s string, args []Value) Value {
			n := intArg(args, 0, 0)
			if n < 0 || n*float64(len(s)) > maxText {
				return nil
			}
			return strings.Repeat(s, int(n))
		}
	case "padStart", "padEnd":
		return func(_ *Evaluator, s string, args []Value) Value { return pad(s, args, name == "padStart") }
	case "split":
		return split
	case "replace", "replaceAll":
		return func(e *Evaluator, s string, args []Value) Value { return replace(e, s, args, name == "replaceAll") }
	}
	return nil
}

// maxText limits the length of a computed string, in bytes.
const maxText = 1 << 20

func units(s string) []uint16 { return utf16.Encode([]rune(s)) }

func text(u []uint16) string { return string(utf16.Decode(u)) }

func charAt(s string, i float64, outside Value) Value {
	u := units(s)
	if i < 0 || i >= float64(len(u)) {
		return outside
	}
	return text(u[int(i) : int(i)+1])
}

// sliceRange returns the range of slice(from, to) for a length.
func sliceRange(length int, args []Value) (from, to int) {
	clamp := func(f float64) int {
		if f < 0 {
			f += float64(length)
		}
		return int(max(0, min(f, float64(length))))
	}
	return clamp(intArg(args, 0, 0)), clamp(intArg(args, 1, float64(length)))
}

func substring(_ *Evaluator, s string, args []Value) Value {
	u := units(s)
	clamp := func(f float64) int { return int(max(0, min(f, float64(len(u))))) }
	from, to := clamp(intArg(args, 0, 0)), clamp(intArg(args, 1, float64(len(u))))
	return text(u[min(from, to):max(from, to)])
}

func indexOf(s string, args []Value, last bool) Value {
	part, ok := textArg(args, 0)
	if !ok || len(args) > 1 {
		return nil
	}
	i := strings.Index(s, part)
	if last {
		i = strings.LastIndex(s, part)
	}
	if i < 0 {
		return -1.0
	}
	return float64(len(units(s[:i])))
}

func pad(s string, args []Value, start bool) Value {
	fill := " "
	if given, ok := textArg(args, 1); ok {
		fill = given
	}
	missing := intArg(args, 0, 0) - float64(len(units(s)))
	if missing <= 0 || fill == "" {
		return s
	}
	if missing > maxText {
		return nil
	}
	padding := text(units(strings.Repeat(fill, int(missing)/len(units(fill))+1))[:int(missing)])
	if start {
		return padding + s
	}
	return s + padding
}

func split(_ *Evaluator, s string, args []Value) Value {
	if len(args) > 1 {
		return nil
	}
	out := &Array{}
	if len(args) == 0 || args[0] == (Undefined{}) {
		out.Items = []Value{s}
		return out
	}
	var parts []string
	if r, ok := args[0].(*Regexp); ok {
		compiled := r.compile()
		if compiled == nil || compiled.NumSubexp() > 0 {
			return nil
		}
		parts = compiled.Split(s, -1)
	} else if separator, ok := textArg(args, 0); ok {
		parts = strings.Split(s, separator)
	} else {
		return nil
	}
	if s == "" && args[0] != "" {
		parts = []string{""}
	}
	for _, p := range parts {
		out.Items = append(out.Items, p)
	}
	return out
}

// replace evaluates replace and replaceAll with a string or a regular expression, and with a
// string or a function.
func replace(e *Evaluator, s string, args []Value, all bool) Value {
	var matches [][]int
	switch pattern := argument(args, 0).(type) {
	case *Regexp:
		compiled := pattern.compile()
		if compiled == nil {
			return nil
		}
		n := 1
		if strings.Contains(pattern.Flags, "g") {
			n = -1
		}
		matches = compiled.FindAllStringSubmatchIndex(s, n)
	case string:
		n := 1
		if all {
			n = -1
		}
		matches = regexp.MustCompile(regexp.QuoteMeta(pattern)).FindAllStringSubmatchIndex(s, n)
	default:
		return nil
	}
	var out strings.Builder
	end := 0
	for _, m := range matches {
		with, ok := replacement(e, s, m, argument(args, 1))
		if !ok {
			return nil
		}
		out.WriteString(s[end:m[0]] + with)
		end = m[1]
	}
	return out.String() + s[end:]
}

// replacement returns what replaces one match.
func replacement(e *Evaluator, s string, m []int, with Value) (string, bool) {
	var groups []Value
	for i := 0; i < len(m); i += 2 {
		if m[i] < 0 {
			groups = append(groups, Undefined{})
		} else {
			groups = append(groups, s[m[i]:m[i+1]])
		}
	}
	switch with := with.(type) {
	case *Function:
		v := e.Call(with, Call{Args: append(groups, float64(len(units(s[:m[0]]))), s)})
		if FindUnknown(v) != nil {
			return "", false
		}
		return toString(v)
	case string:
		return expand(with, groups)
	}
	return "", false
}

// expand expands $1, $&, and $$.
func expand(with string, groups []Value) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(with); i++ {
		if with[i] != '$' || i+1 == len(with) {
			out.WriteByte(with[i])
			continue
		}
		i++
		var group int
		switch c := with[i]; {
		case c == '$':
			out.WriteByte('$')
			continue
		case c == '&':
			group = 0
		case c >= '1' && c <= '9' && int(c-'0') < len(groups):
			group = int(c - '0')
		default:
			return "", false
		}
		if part, ok := groups[group].(string); ok {
			out.WriteString(part)
		}
	}
	return out.String(), true
}

func newRegexp(source string) *Regexp {
	end := strings.LastIndexByte(source, '/')
	return &Regexp{source[1:max(1, end)], source[end+1:]}
}

// compile returns the regular expression for Go, or nil if Go has no equivalent.
func (r *Regexp) compile() *regexp.Regexp {
	flags := ""
	for _, f := range r.Flags {
		switch f {
		case 'i', 'm', 's':
			flags += string(f)
		case 'g', 'u':
		default:
			return nil
		}
	}
	source := strings.ReplaceAll(r.Source, `\/`, "/")
	if flags != "" {
		source = "(?" + flags + ")" + source
	}
	compiled, err := regexp.Compile(source)
	if err != nil {
		return nil
	}
	return compiled
}

func numberMember(f float64, name string) Value {
	switch name {
	case "toString", "valueOf", "toFixed":
	default:
		return Undefined{}
	}
	return pure("Number."+name, func(_ *Evaluator, args []Value) Value {
		switch {
		case name == "valueOf":
			return f
		case name == "toFixed" && math.Abs(f) < 1e21:
			digits := intArg(args, 0, 0)
			if digits < 0 || digits > 100 {
				return nil
			}
			return strconv.FormatFloat(f, 'f', int(digits), 64)
		case len(args) == 0:
			return typescript.FormatNumber(f)
		}
		radix := intArg(args, 0, 10)
		if f != math.Trunc(f) || math.Abs(f) > 1<<53 || radix < 2 || radix > 36 {
			return nil
		}
		return strconv.FormatInt(int64(f), int(radix))
	})
}

// index returns a name as an array index.
func index(name string) (int, bool) {
	if !isIndex(name) {
		return 0, false
	}
	i, err := strconv.Atoi(name)
	return i, err == nil
}

// isIndex reports whether a name is an integer that JavaScript sorts first.
func isIndex(name string) bool {
	if name == "0" {
		return true
	}
	return name != "" && len(name) < 10 && name[0] != '0' && strings.Trim(name, "0123456789") == ""
}

func sortIndexes(names []string) {
	slices.SortFunc(names, func(a, b string) int {
		i, _ := strconv.Atoi(a)
		j, _ := strconv.Atoi(b)
		return i - j
	})
}
