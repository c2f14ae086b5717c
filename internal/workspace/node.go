package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/msctl/msctl/internal/nearest"
)

// maxSize limits the size of a file, in bytes. It is enough for a thousand services.
const maxSize = 1 << 20

// byteOrderMark precedes the text of files that some editors on Windows write.
const byteOrderMark = "\ufeff"

// checker walks the syntax tree of a file and collects problems.
type checker struct {
	file     string
	problems []*Error
	// places holds the positions of ports and dependencies, which are checked when
	// all services are known.
	places map[string]*token.Position
	// lookup returns the variables that references stand for. If it is nil, they are not
	// known: in `env`, references stay as they are, and in other places, their defaults
	// count.
	lookup func(name string) (string, bool)
	shared map[string]string // the `env` of the workspace, as far as it has been read
	local  Local
}

func (c *checker) failAt(pos *token.Position, format string, args ...any) {
	c.problems = append(c.problems, c.errorAt(pos, format, args...))
}

func (c *checker) errorAt(pos *token.Position, format string, args ...any) *Error {
	e := &Error{File: c.file, Line: 1, Column: 1, Message: fmt.Sprintf(format, args...)}
	if pos != nil {
		e.Line, e.Column = max(pos.Line, 1), max(pos.Column, 1)
	}
	return e
}

func (c *checker) fail(at ast.Node, format string, args ...any) {
	c.failAt(position(at), format, args...)
}

func position(n ast.Node) *token.Position {
	if n == nil {
		return nil
	}
	if tk := n.GetToken(); tk != nil {
		return tk.Position
	}
	return nil
}

// parse returns the one document of a file, or nil after reporting a problem.
func (c *checker) parse(text []byte) (root ast.Node) {
	if len(text) > maxSize {
		c.failAt(nil, "the file is larger than 1 MiB")
		return nil
	}
	if line, column, deep := TooDeep(text); deep {
		c.failAt(&token.Position{Line: line, Column: column}, "the file is nested more than %d levels deep", maxNesting)
		return nil
	}
	// The library panics on some malformed input.
	defer func() {
		if failure := recover(); failure != nil {
			c.failAt(nil, "the file is not valid YAML")
			root = nil
		}
	}()
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) // the parser counts \r as a column
	file, err := parser.ParseBytes(text, parser.ParseComments)
	if err != nil {
		c.syntax(err)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		c.failAt(nil, "the file is empty: `name:` and `services:` are required")
		return nil
	case 1:
		return bodies[0]
	}
	c.fail(bodies[1], "unexpected second YAML document")
	return nil
}

func (c *checker) syntax(err error) {
	var at yaml.Error
	if !errors.As(err, &at) {
		c.failAt(nil, "%s", firstLine(err.Error()))
		return
	}
	var pos *token.Position
	if tk := at.GetToken(); tk != nil {
		pos = tk.Position
	}
	c.failAt(pos, "%s", firstLine(at.GetMessage()))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// member is a key of a mapping with its value.
type member struct {
	name  string
	key   ast.Node
	value ast.Node
}

// members returns the members of a mapping in order. what names it in the error if the
// node is not a mapping. A missing value counts as an empty mapping.
func (c *checker) members(n ast.Node, what string) []member {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.MappingNode:
		out := make([]member, 0, len(n.Values))
		for _, v := range n.Values {
			out = c.member(out, v)
		}
		return out
	case *ast.MappingValueNode:
		return c.member(nil, n)
	}
	if !c.indirect(n) {
		c.fail(n, "%s must be a mapping (`key: value` lines), not %s", what, kindName(n))
	}
	return nil
}

func (c *checker) member(to []member, v *ast.MappingValueNode) []member {
	if v.Key == nil || v.Key.IsMergeKey() {
		c.fail(v, "merge keys (<<) are not supported: write out the keys")
		return to
	}
	name, ok := scalarText(v.Key)
	if !ok {
		c.fail(v.Key, "a key must be a plain word")
		return to
	}
	if slices.ContainsFunc(to, func(m member) bool { return m.name == name }) {
		c.fail(v.Key, "duplicate key %q", name)
		return to
	}
	return append(to, member{name, v.Key, v.Value})
}

// known reports whether a key is allowed. Otherwise it adds a problem that suggests the
// key that was probably meant.
func (c *checker) known(m member, allowed []string) bool {
	if slices.Contains(allowed, m.name) {
		return true
	}
	if near := nearest.Word(m.name, allowed); near != "" {
		c.fail(m.key, "unknown key %q: did you mean %q?", m.name, near)
	} else {
		c.fail(m.key, "unknown key %q: use one of %s", m.name, strings.Join(allowed, ", "))
	}
	return false
}

// text returns the text of a scalar: strings, numbers, and booleans as written.
func (c *checker) text(m member) (string, bool) {
	switch m.value.(type) {
	case nil, *ast.NullNode:
		c.fail(m.key, "%s has no value", m.name)
		return "", false
	}
	if text, ok := scalarText(m.value); ok {
		return text, true
	}
	if !c.indirect(m.value) {
		c.fail(m.value, "%s must be a single value, not %s", m.name, kindName(m.value))
	}
	return "", false
}

// list returns the items of a sequence.
func (c *checker) list(m member, what string) []member {
	var items []ast.Node
	switch n := m.value.(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.SequenceNode:
		items = n.Values
	default:
		if !c.indirect(n) {
			c.fail(n, "%s must be a list of %s, such as [a, b]", m.name, what)
		}
		return nil
	}
	out := make([]member, 0, len(items))
	for _, item := range items {
		one := member{name: "an item of " + m.name, key: m.key, value: item}
		if item != nil {
			one.key = item
		}
		if text, ok := c.text(one); ok {
			out = append(out, member{name: text, key: one.key, value: item})
		}
	}
	return out
}

// indirect adds a problem for anchors, aliases, and tags, which are not supported.
func (c *checker) indirect(n ast.Node) bool {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		c.fail(n, "anchors, aliases, and tags (&, *, !) are not supported: write out the value")
		return true
	}
	return false
}

func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value != nil {
			return n.Value.Value, true
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func kindName(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	return "a single value"
}
