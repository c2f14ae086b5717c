package shorthand

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/exit"
)

// DataSyntax explains DATA in the help of a command.
const DataSyntax = `DATA is the payload, {} by default:
  '{"name":"Widget"}'        JSON
  @widget.json  or  -        JSON from a file, or from standard input
  name=Widget price:=9.99 dto.name=x tags:='["a"]'
                             fields: = sets a string, := sets any JSON value, and
                             dots nest objects; =@FILE and :=@FILE read the value
                             from a file`

// Data converts the DATA arguments to JSON. JSON is passed on as typed: numbers keep
// their spelling and keys their order. "-" reads stdin. Malformed data is a usage
// error that points at the column.
func Data(args []string, stdin io.Reader) (json.RawMessage, error) {
	return PreparedData(args, stdin, func(text string) (string, error) { return text, nil })
}

// PreparedData is [Data] with a function that converts each text before it is parsed.
func PreparedData(args []string, stdin io.Reader, prepare func(string) (string, error)) (json.RawMessage, error) {
	if len(args) == 0 {
		return json.RawMessage(`{}`), nil
	}
	first := args[0]
	var (
		what = "the data"
		text = first
		err  error
	)
	switch {
	case first == "-":
		what = "standard input"
		text, err = readAll(what, stdin)
	case strings.HasPrefix(first, "@"):
		what = first[1:]
		text, err = readFile(first[1:])
	case !looksLikeJSON(first):
		fields := make([]string, len(args))
		for i, arg := range args {
			if fields[i], err = prepare(arg); err != nil {
				return nil, err
			}
		}
		return parseFields(fields)
	}
	if err != nil {
		return nil, err
	}
	if len(args) > 1 {
		return nil, exit.Usagef("unexpected argument %q after the data %s", args[1], Abbreviate(first))
	}
	if !utf8.ValidString(text) {
		return nil, exit.Usagef("%s is not valid UTF-8", what)
	}
	if text, err = prepare(text); err != nil {
		return nil, err
	}
	return ParseJSON(what, text)
}

// looksLikeJSON distinguishes JSON from fields by the first character. Of the words,
// only true, false, and null are JSON.
func looksLikeJSON(arg string) bool {
	trimmed := strings.TrimSpace(arg)
	switch trimmed {
	case "true", "false", "null":
		return true
	case "":
		return false
	}
	b := trimmed[0]
	if b == '{' || b == '[' || b == '"' {
		return true
	}
	return (b == '-' || b >= '0' && b <= '9') && !strings.Contains(trimmed, "=")
}

func readFile(name string) (string, error) {
	if name == "" {
		return "", exit.Usagef("@ requires the name of a file, such as @data.json")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", exit.Usagef("read data: %w", err)
	}
	return withoutMark(text), nil
}

func readAll(what string, r io.Reader) (string, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	return withoutMark(text), nil
}

// withoutMark removes the byte order mark that editors on Windows add.
func withoutMark(text []byte) string { return strings.TrimPrefix(string(text), "\ufeff") }

// Abbreviate shortens text for an error.
func Abbreviate(text string) string {
	if runes := []rune(text); len(runes) > 30 {
		return string(runes[:29]) + "…"
	}
	return text
}
