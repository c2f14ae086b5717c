package shorthand

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/exit"
)

// fieldDepth limits how deeply dots can nest objects.
const fieldDepth = 100

// fieldNode is an object under construction, whose members keep the order of their
// first mention, or a complete value.
type fieldNode struct {
	names   []string
	members map[string]*fieldNode
	value   json.RawMessage // nil: an object
}

// parseFields converts fields to a JSON object. An argument is PATH=text, PATH:=json,
// PATH=@file (its content as a string), or PATH:=@file (its JSON). Dots in a path nest
// objects. A value that is $NAME comes from the environment. A backslash escapes a dot,
// =, :, or backslash in a path, and an @ or a $ at the start of a value.
func (r Reader) parseFields(args []string) (json.RawMessage, error) {
	root := &fieldNode{}
	for _, arg := range args {
		if err := r.parseField(root, arg); err != nil {
			return nil, err
		}
	}
	var b strings.Builder
	root.write(&b)
	return json.RawMessage(b.String()), nil
}

func (r Reader) parseField(root *fieldNode, arg string) error {
	wrong := func(offset int, message string) error {
		return exit.PointAt("the data", arg, offset, message)
	}
	if !utf8.ValidString(arg) {
		return exit.Usagef("the data is not valid UTF-8: %q", arg)
	}
	path, offsets, end := splitPath(arg)
	if end == len(arg) {
		return exit.WithHint(wrong(end, "a field must be name=text or name:=json"),
			"data can be JSON, @file.json, - for standard input, or fields")
	}
	for i, name := range path {
		if name == "" {
			return wrong(offsets[i], "the name is empty")
		}
	}
	if len(path) > fieldDepth {
		return wrong(offsets[fieldDepth], "nested too deeply")
	}
	value, problem, err := r.fieldValue(arg, end)
	if err != nil {
		return err
	}
	if problem != nil {
		return wrong(problem.Offset, problem.Message)
	}
	if at, message := root.set(path, value); at >= 0 {
		return wrong(offsets[at], message)
	}
	return nil
}

// splitPath splits the path of a field, which ends at = or :=. offsets are the starts
// of the names. end is the start of the separator, or len(arg) without one.
func splitPath(arg string) (path []string, offsets []int, end int) {
	var name strings.Builder
	offsets = []int{0}
	for i := 0; i < len(arg); i++ {
		switch b := arg[i]; {
		case b == '\\' && i+1 < len(arg) && strings.IndexByte(`.=:\`, arg[i+1]) >= 0:
			i++
			name.WriteByte(arg[i])
		case b == '.':
			path = append(path, name.String())
			name.Reset()
			offsets = append(offsets, i+1)
		case b == '=', b == ':' && strings.HasPrefix(arg[i:], ":="):
			return append(path, name.String()), offsets, i
		default:
			name.WriteByte(b)
		}
	}
	return append(path, name.String()), offsets, len(arg)
}

// fieldValue parses the value of a field, whose separator starts at end.
func (r Reader) fieldValue(arg string, end int) (json.RawMessage, *Problem, error) {
	isJSON := arg[end] == ':'
	start := end + 1
	if isJSON {
		start++
	}
	text, from, err := r.fieldText(arg[start:], isJSON)
	if err != nil {
		return nil, nil, err
	}
	if !isJSON {
		return json.RawMessage(quoteJSON(text)), nil, nil
	}
	problem := checkJSON(text)
	switch {
	case problem != nil && strings.HasPrefix(from, "$"): // its value must not be shown
		return nil, nil, exit.Usagef("the value of %s is not JSON: %s", from, problem.Message)
	case problem != nil && from != "":
		return nil, nil, exit.PointAt(from, text, problem.Offset, problem.Message)
	case problem != nil:
		return nil, &Problem{start + problem.Offset, problem.Message}, nil
	}
	return json.RawMessage(strings.TrimSpace(text)), nil, nil
}

// fieldText returns the text that a value stands for, and the file or the variable that
// it is from; "" for a text that was typed.
func (r Reader) fieldText(typed string, isJSON bool) (text, from string, err error) {
	name, isFile := strings.CutPrefix(typed, "@")
	switch {
	case isFile:
		if text, err = readFile(name); err != nil {
			return "", name, exit.WithHint(err, `for a text that starts with @, write name='\%s'`, typed)
		}
		from = name
	case !isJSON && strings.HasPrefix(typed, `\@`):
		return typed[1:], "", nil
	default:
		if text, err = r.Secrets.Value(typed); err != nil {
			return "", "", Unset(err)
		}
		if text != typed {
			from = typed
		}
	}
	if from != "" && !utf8.ValidString(text) {
		return "", from, exit.Usagef("%s is not valid UTF-8", from)
	}
	return text, from, nil
}

// set puts value at path. On a conflict it returns the index of the conflicting name
// in the path and a message, otherwise -1.
func (n *fieldNode) set(path []string, value json.RawMessage) (at int, message string) {
	for i, name := range path {
		next := n.members[name]
		last := i == len(path)-1
		switch {
		case next == nil:
			next = &fieldNode{}
			if n.members == nil {
				n.members = map[string]*fieldNode{}
			}
			n.names = append(n.names, name)
			n.members[name] = next
		case last:
			return i, "duplicate field " + name
		case next.value != nil:
			return i, name + " already has a value that is not an object"
		}
		if last {
			next.value = value
		}
		n = next
	}
	return -1, ""
}

func (n *fieldNode) write(b *strings.Builder) {
	if n.value != nil {
		b.Write(n.value)
		return
	}
	b.WriteByte('{')
	for i, name := range n.names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoteJSON(name))
		b.WriteByte(':')
		n.members[name].write(b)
	}
	b.WriteByte('}')
}
