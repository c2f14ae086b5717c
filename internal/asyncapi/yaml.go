package asyncapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// YAML converts JSON, keeping the order of members. Characters that are not printable are escaped.
func YAML(text []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	lines, _, err := yamlLines(dec)
	if err != nil {
		return nil, fmt.Errorf("convert to YAML: %w", err)
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// yamlLines returns the next value as lines. A block begins on a line of its own.
func yamlLines(dec *json.Decoder) (lines []string, block bool, err error) {
	token, err := dec.Token()
	if err != nil {
		return nil, false, err
	}
	switch token := token.(type) {
	case json.Delim:
		return yamlBlock(dec, token == '{')
	case string:
		return []string{yamlText(token)}, false, nil
	case nil:
		return []string{"null"}, false, nil
	}
	return []string{fmt.Sprint(token)}, false, nil
}

// yamlBlock returns the rest of an object or an array.
func yamlBlock(dec *json.Decoder, isObject bool) (lines []string, block bool, err error) {
	empty := "[]"
	if isObject {
		empty = "{}"
	}
	for dec.More() {
		first, rest := "- ", "  "
		if isObject {
			key, err := dec.Token()
			if err != nil {
				return nil, false, err
			}
			first = yamlText(fmt.Sprint(key)) + ": "
		}
		value, block, err := yamlLines(dec)
		if err != nil {
			return nil, false, err
		}
		if isObject && block {
			lines = append(lines, strings.TrimSuffix(first, " "))
			first = rest
		}
		for _, line := range value {
			lines = append(lines, first+line)
			first = rest
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, false, err
	}
	if len(lines) == 0 {
		return []string{empty}, false, nil
	}
	return lines, true, nil
}

var plainText = regexp.MustCompile(`^[A-Za-z/$][A-Za-z0-9 ._/$=-]*$`)

// yamlText returns a string as a scalar. Go's escapes are those of YAML.
func yamlText(text string) string {
	switch strings.ToLower(text) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		return strconv.Quote(text)
	}
	quoted := strconv.Quote(text)
	switch {
	case plainText.MatchString(text) && !strings.HasSuffix(text, " "):
		return text
	case quoted == `"`+strings.ReplaceAll(text, `"`, `\"`)+`"` && strings.Contains(text, `"`): // nothing else needs an escape
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return quoted
}
