// Package jq applies the jq expressions of --jq and --expect to values.
package jq

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/itchyny/gojq"

	"github.com/msctl/msctl/internal/exit"
)

// statusVariable is the HTTP status of the response that a value is from.
const statusVariable = "$status"

// Expression is a compiled expression. It is safe for concurrent use.
type Expression struct {
	flag, text string
	code       *gojq.Code
}

// Compile compiles the expression of a flag; nil for "". A malformed expression is a
// usage error that points at the column.
func Compile(flag, text string) (*Expression, error) {
	if text == "" {
		return nil, nil
	}
	query, err := gojq.Parse(text)
	var problem *gojq.ParseError
	if errors.As(err, &problem) {
		offset := min(max(problem.Offset-len(problem.Token), 0), len(text))
		return nil, exit.PointAt(flag, text, offset, problem.Error())
	}
	if err != nil {
		return nil, exit.Usagef("%s: %w", flag, err)
	}
	code, err := gojq.Compile(query, gojq.WithVariables([]string{statusVariable}))
	if err != nil {
		return nil, exit.Usagef("%s %q: %w", flag, text, err)
	}
	return &Expression{flag, text, code}, nil
}

// String returns the text of the expression.
func (e *Expression) String() string { return e.text }

// UsesStatus reports whether the expression depends on the HTTP status.
func (e *Expression) UsesStatus() bool { return strings.Contains(e.text, statusVariable) }

// Apply applies the expression to a JSON value. Numbers keep all their digits.
func (e *Expression) Apply(raw json.RawMessage) ([]json.RawMessage, error) { return e.apply(raw, nil) }

func (e *Expression) apply(raw json.RawMessage, status any) ([]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("%s: read the reply: %w", e.flag, err)
	}
	var out []json.RawMessage
	for results := e.code.Run(value, status); ; {
		result, ok := results.Next()
		if !ok {
			return out, nil
		}
		if err, isError := result.(error); isError {
			return nil, fmt.Errorf("%s: %w", e.flag, err)
		}
		text, err := gojq.Marshal(result)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.flag, err)
		}
		out = append(out, text)
	}
}

// Holds reports whether the expression yields neither false nor null, and not nothing,
// for a JSON value.
func (e *Expression) Holds(raw json.RawMessage) (bool, error) { return holds(e.apply(raw, nil)) }

// HoldsFor is [Expression.Holds] for the body of an HTTP response. A body that is not JSON
// is a string, and an empty one is null.
func (e *Expression) HoldsFor(body []byte, status int) (bool, error) {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		body = []byte("null")
	case !json.Valid(body):
		text, err := json.Marshal(string(body))
		if err != nil {
			return false, fmt.Errorf("%s: read the response: %w", e.flag, err)
		}
		body = text
	}
	return holds(e.apply(body, status))
}

func holds(results []json.RawMessage, err error) (bool, error) {
	for _, r := range results {
		if string(r) == "false" || string(r) == "null" {
			return false, err
		}
	}
	return len(results) > 0, err
}
