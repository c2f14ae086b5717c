package bench

import (
	"errors"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/msctl/msctl/internal/exit"
)

// parse parses the file's one document.
func (f *scenario) parse() (root ast.Node, err error) {
	// The library panics on some inputs. Such a file is an invalid file.
	defer func() {
		if broken := recover(); broken != nil {
			root, err = nil, f.wrongAt(1, 1, "invalid YAML")
		}
	}()
	file, err := parser.ParseBytes([]byte(f.text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, f.syntax(err)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, f.wrongAt(1, 1, "the file is empty")
	}
	if len(file.Docs) > 1 && file.Docs[1].Body != nil {
		return nil, f.wrong(file.Docs[1].Body, "a scenario must be a single YAML document")
	}
	return file.Docs[0].Body, nil
}

// syntax returns the usage error for an error of the YAML library.
func (f *scenario) syntax(err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil || at.GetToken().Position == nil {
		message, _, _ := strings.Cut(err.Error(), "\n")
		return f.wrongAt(1, 1, message)
	}
	position := at.GetToken().Position
	message, _, _ := strings.Cut(at.GetMessage(), "\n")
	return f.wrongAt(position.Line, position.Column, message)
}

func (f *scenario) wrongAt(line, column int, message string) error {
	return exit.PointAt(f.path, f.text, f.offset(line, column), message)
}

// position returns where a node starts, counted from 1.
func position(n ast.Node) (line, column int) {
	// To the library, a mapping starts at the colon of its first key.
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0]
	}
	if v, ok := n.(*ast.MappingValueNode); ok {
		n = v.Key
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1, 1
	}
	return n.GetToken().Position.Line, n.GetToken().Position.Column
}

// pair is a key of a mapping and its value.
type pair struct {
	name       string
	key, value ast.Node
}

// mapping returns the pairs of a mapping; what names it in errors.
func (f *scenario) mapping(n ast.Node, what string) (pairs []pair, err error) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, f.wrong(n, "%s must be a mapping (`key: value` lines)", what)
	}
	for _, v := range values {
		name, ok := scalar(v.Key)
		switch {
		case !ok:
			return nil, f.wrong(v, "a key must be a plain word")
		case slices.ContainsFunc(pairs, func(p pair) bool { return p.name == name }):
			return nil, f.wrong(v.Key, "duplicate key %q", name)
		}
		pairs = append(pairs, pair{name, v.Key, v.Value})
	}
	return pairs, nil
}

// scalar returns the text of a plain value, as it is in the file.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}
