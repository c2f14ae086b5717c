// Package openapi reads the routes of OpenAPI documents, which may be hostile.
package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// MaxSize limits a document, in bytes.
const MaxSize = 16 << 20

// Document lists the routes of an OpenAPI document.
type Document struct {
	Title, Version string
	// OpenAPI is the version of the format, such as "3.1.0".
	OpenAPI string
	// Routes are sorted by path, then in the usual order of methods.
	Routes []Route
}

// Read reads a document in JSON or YAML, of OpenAPI 3.0 to 3.2. An error names the place in the
// document.
func Read(r io.Reader) (*Document, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > MaxSize:
		return nil, fmt.Errorf("larger than %d MiB", MaxSize>>20)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, errors.New("empty")
	}
	tree, err := parse(text)
	if err != nil {
		return nil, err
	}
	root, ok := tree.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("not an OpenAPI document: %s instead of an object", kindOf(tree))
	}
	return newReader(root).document()
}

// parse returns a tree of map[string]any, []any, string, bool, and nil; numbers are text.
func parse(text []byte) (any, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if c := bytes.TrimSpace(text); c[0] != '{' && c[0] != '[' {
		return parseYAML(text)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			before := text[:min(max(syntax.Offset, 0), int64(len(text)))]
			line := bytes.Count(before, []byte("\n")) + 1
			return nil, fmt.Errorf("invalid JSON in line %d, column %d", line, len(before)-bytes.LastIndexByte(before, '\n'))
		}
		return nil, errors.New("invalid JSON: unexpected end")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("invalid JSON: unexpected data after the document")
	}
	return tree, nil
}

func parseYAML(text []byte) (any, error) {
	if line := tooDeep(text); line > 0 {
		return nil, fmt.Errorf("invalid YAML in line %d: nested too deep", line)
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		first, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "yaml: "), "\n")
		return nil, fmt.Errorf("invalid YAML: %s", first)
	}
	return plain(tree), nil
}

// maxDepth limits how deep the values of a document are nested.
const maxDepth = 1000

// tooDeep returns the line in which a YAML document is nested too deep, or 0. It counts brackets in
// strings, too, which no real document has that many of.
func tooDeep(text []byte) int {
	flow, line := 0, 0
	for one := range bytes.Lines(text) {
		line++
		block := bytes.TrimLeft(one, " -?\t")
		for _, c := range block {
			switch c {
			case '[', '{':
				flow++
			case ']', '}':
				flow = max(flow-1, 0)
			}
			if flow > maxDepth {
				return line
			}
		}
		if len(one)-len(block) > maxDepth {
			return line
		}
	}
	return 0
}

// plain gives maps keys that are text: YAML reads the status 200 as a number.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			v[key] = plain(child)
		}
	case map[any]any:
		out := make(map[string]any, len(v))
		for key, child := range v {
			out[fmt.Sprint(key)] = plain(child)
		}
		return out
	case []any:
		for i, child := range v {
			v[i] = plain(child)
		}
	case int, int64, uint64, float64:
		return json.Number(fmt.Sprint(v))
	}
	return v
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	}
	return "a number"
}
