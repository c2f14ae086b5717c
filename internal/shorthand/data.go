package shorthand

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/secret"
)

// DataSyntax explains DATA in the help of a command.
const DataSyntax = `DATA is the payload, {} by default:
  '{"name":"Widget"}'        JSON
  @widget.json  or  -        JSON from a file, or from standard input
  name=Widget price:=9.99 dto.name=x tags:='["a"]'
                             fields: = sets a string, := sets any JSON value, and
                             dots nest objects; =@FILE and :=@FILE read the value
                             from a file
  password='$PASSWORD'       a value, or a string of JSON, from the environment`

// Reader reads DATA.
type Reader struct {
	// Stdin is what "-" reads.
	Stdin io.Reader
	// Secrets looks up references to the environment, and learns the credentials.
	Secrets *secret.Set
	// Prepare, if set, converts each text before it is parsed.
	Prepare func(string) (string, error)
}

// Data converts the DATA arguments to JSON. JSON is passed on as typed: numbers keep
// their spelling and keys their order. Malformed data is a usage error that points at
// the column.
func (r Reader) Data(args []string) (json.RawMessage, error) {
	data, err := r.read(args)
	if err == nil {
		r.Secrets.LearnJSON(data)
	}
	return data, err
}

func (r Reader) prepare(text string) (string, error) {
	if r.Prepare == nil {
		return text, nil
	}
	return r.Prepare(text)
}

func (r Reader) read(args []string) (json.RawMessage, error) {
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
		text, err = readAll(what, r.Stdin)
	case strings.HasPrefix(first, "@"):
		what = first[1:]
		text, err = readFile(first[1:])
	case !looksLikeJSON(first):
		fields := make([]string, len(args))
		for i, arg := range args {
			if fields[i], err = r.prepare(arg); err != nil {
				return nil, err
			}
		}
		return r.parseFields(fields)
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
	if text, err = r.prepare(text); err != nil {
		return nil, err
	}
	if what == "the data" {
		if text, err = r.Secrets.ExpandJSON(text); err != nil {
			return nil, Unset(err)
		}
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

// Unset explains how to write a text that is not a reference to the environment.
func Unset(err error) error {
	var unset *secret.UnsetError
	if !errors.As(err, &unset) {
		return err
	}
	return exit.WithHint(exit.Usagef("%w", err), `for the text $%s itself, write \$%s`, unset.Name, unset.Name)
}

// Value returns the value of NAME=VALUE or NAME: VALUE in a flag: the content of a file
// for @FILE, without its last line end, or the text with the references in it replaced.
// \@ at the start is an @. encode, if set, converts what was looked up.
func (r Reader) Value(text string, encode func(string) string) (string, error) {
	name, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		value, err := r.Secrets.Expand(strings.TrimPrefix(text, `\@`), encode)
		if strings.HasPrefix(text, `\@`) {
			value = "@" + value
		}
		return value, Unset(err)
	}
	value, err := readFile(name)
	if err != nil {
		return "", exit.WithHint(err, `for a text that starts with @, write \%s`, text)
	}
	value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	r.Secrets.Add(value)
	if encode != nil {
		value = encode(value)
	}
	return value, nil
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
