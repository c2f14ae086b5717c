package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/itchyny/gojq"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/shorthand"
)

// filters are the compiled --jq and --expect; each may be nil.
type filters struct {
	jq, expect *gojq.Code
	expectText string
}

func (o *sendOptions) filters() (filters, error) {
	jq, err := compileJQ("--jq", o.jq)
	if err != nil {
		return filters{}, err
	}
	expect, err := compileJQ("--expect", o.expect)
	return filters{jq, expect, o.expect}, err
}

// compileJQ compiles a jq expression; nil for "". A malformed expression is a usage
// error that points at the column.
func compileJQ(flag, text string) (*gojq.Code, error) {
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
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, exit.Usagef("%s %q: %w", flag, text, err)
	}
	return code, nil
}

// apply returns the values to print for a value: without --jq, the value itself.
func (f filters) apply(raw json.RawMessage) ([]json.RawMessage, error) {
	if f.jq == nil {
		return []json.RawMessage{raw}, nil
	}
	return runJQ("--jq", f.jq, raw)
}

// check returns an error if the expression of --expect yields false, null, or nothing.
// A reply without a value counts as null.
func (f filters) check(raw json.RawMessage) error {
	if f.expect == nil {
		return nil
	}
	results, err := runJQ("--expect", f.expect, raw)
	if err != nil {
		return err
	}
	holds := len(results) > 0
	for _, r := range results {
		holds = holds && string(r) != "false" && string(r) != "null"
	}
	if holds {
		return nil
	}
	return fmt.Errorf("--expect %q is not true for %s", f.expectText, shorthand.Abbreviate(string(raw)))
}

// runJQ applies an expression to a value. Numbers keep all their digits.
func runJQ(flag string, code *gojq.Code, raw json.RawMessage) ([]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("%s: read the reply: %w", flag, err)
	}
	var out []json.RawMessage
	for results := code.Run(value); ; {
		result, ok := results.Next()
		if !ok {
			return out, nil
		}
		if err, isError := result.(error); isError {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		text, err := gojq.Marshal(result)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		out = append(out, text)
	}
}
