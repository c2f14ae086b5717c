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

// dataHelp is the DATA syntax for the help of the commands that take it.
const DataSyntax = `DATA is what the handler gets, {} when missing:
  '{"name":"Widget"}'        JSON
  @widget.json  or  -        a file with JSON, or standard input
  name=Widget price:=9.99 dto.name=x tags:='["a"]'
                             fields: = for a string, := for any JSON, dots for
                             objects in objects, =@FILE and :=@FILE for files`

// parseData reads the DATA arguments and returns them as JSON. JSON is passed
// on as typed: numbers are not re-formatted and keys stay in their order. stdin
// is what "-" reads. What is malformed is a usage error that points at the
// column.
func Data(args []string, stdin io.Reader) (json.RawMessage, error) {
	return PreparedData(args, stdin, func(text string) (string, error) { return text, nil })
}

// parseDataText is parseData for texts that are prepared, once they are read and
// before they are looked at as JSON.
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
		return nil, exit.Usagef("the data is complete with %s: %q is too many", Abbreviate(first), args[1])
	}
	if !utf8.ValidString(text) {
		return nil, exit.Usagef("%s is not valid UTF-8", what)
	}
	if text, err = prepare(text); err != nil {
		return nil, err
	}
	if problem := CheckJSON(text); problem != nil {
		return nil, exit.PointAt(what, text, problem.Offset, problem.Message)
	}
	return json.RawMessage(strings.TrimSpace(text)), nil
}

// looksLikeJSON tells JSON from fields by the first character; true, false and
// null are JSON, other words are not.
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
		return "", exit.Usagef("@ needs the name of a file, such as @data.json")
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

// withoutMark takes off the byte order mark that editors on Windows add.
func withoutMark(text []byte) string { return strings.TrimPrefix(string(text), "\ufeff") }

func Abbreviate(text string) string {
	if runes := []rune(text); len(runes) > 30 {
		return string(runes[:29]) + "…"
	}
	return text
}
