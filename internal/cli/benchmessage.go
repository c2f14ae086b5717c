package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/payload"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// benchMessage is one kind of request, as it was typed.
type benchMessage struct {
	name    string
	weight  int
	pattern string   // PATTERN; "" for an http target
	data    []string // DATA
	to      string   // TARGET; "" is the run's
	meta    []string // KEY=VALUE
	rows    string   // file of rows
	order   string   // round-robin or random
	method  string   // of an http target
	headers []string // NAME: VALUE

	file  string         // the scenario it is from; "" for one that was typed
	lines map[string]int // of its keys there, and of "" for all of it
}

// blame gives an error about a key of a message the line of the file that the
// message is from.
func (m *benchMessage) blame(key string, err error) error {
	if m.file == "" || err == nil {
		return err
	}
	line, ok := m.lines[key]
	if !ok {
		line = m.lines[""]
	}
	return exit.WithText(err, fmt.Sprintf("%s, line %d: %s", m.file, line, err))
}

// suit tells whether the message can go to a target. Its errors are usage errors.
func (m *benchMessage) suit(t target.Target) error {
	switch {
	case t.Scheme == target.SchemeHTTP && m.pattern != "":
		return m.blame("pattern", exit.Usagef("%s is an HTTP target, which has no patterns: leave %q out", t, m.pattern))
	case t.Scheme != target.SchemeHTTP && m.method != "":
		return m.blame("method", exit.Usagef("--method goes with an http:// target, and %s takes messages", t))
	case t.Scheme != target.SchemeHTTP && len(m.headers) > 0:
		return m.blame("header", exit.WithHint(exit.Usagef("--header goes with an http:// target, and %s takes messages", t), "a message has --meta KEY=VALUE"))
	}
	return nil
}

// readyMessage is a benchMessage that was read and checked.
type readyMessage struct {
	benchMessage
	route   micro.Pattern
	target  target.Target
	payload *payload.Source
	pairs   []load.Pair
	header  http.Header
}

// benchContent are the flags that say what is sent.
type benchContent struct {
	meta, headers       []string
	rows, order, method string
}

func (c *benchContent) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.rows, "data-file", "", "take the data from the lines of `FILE` (NDJSON); {{.name}} in DATA is a member of the line")
	f.StringVar(&c.order, "data-order", "", "take the lines of --data-file in `ORDER`: round-robin, as without it, or random")
	f.StringArrayVarP(&c.meta, "meta", "m", nil, "put `KEY=VALUE` into the messages' metadata; {{deadline}}, {{attempt}} are the attempt's (repeatable)")
	f.StringVarP(&c.method, "method", "X", "", "http: the `METHOD`; GET, or POST where there is data")
	f.StringArrayVarP(&c.headers, "header", "H", nil, "http: send the header `NAME: VALUE` (repeatable)")
	groupFlags(cmd, "What", "data-file", "data-order", "meta", "method", "header")
}

// message is what the arguments and flags of one message say.
func (c *benchContent) message(args []string, overHTTP bool) benchMessage {
	m := benchMessage{weight: 1, meta: c.meta, rows: c.rows, order: c.order, method: c.method, headers: c.headers, data: args}
	if !overHTTP {
		m.pattern, m.data = args[0], args[1:]
	}
	return m
}

// ready reads what was typed of a message, but not its target. All its errors
// are usage errors.
func (m *benchMessage) ready(stdin io.Reader, seed uint64) (*readyMessage, error) {
	r := &readyMessage{benchMessage: *m}
	var err error
	if m.pattern != "" {
		if r.route, err = shorthand.Pattern(m.pattern); err != nil {
			return nil, m.blame("pattern", err)
		}
	}
	if r.payload, err = m.source(stdin, seed); err != nil {
		return nil, err
	}
	if r.pairs, err = m.metadata(); err != nil {
		return nil, m.blame("meta", err)
	}
	if r.header, err = m.httpHeader(); err != nil {
		return nil, m.blame("header", err)
	}
	if m.method != "" && !isToken(m.method) {
		return nil, m.blame("method", exit.Usagef("--method %q is not the name of a method, such as PUT", m.method))
	}
	return r, nil
}

// metadata reads --meta.
func (m *benchMessage) metadata() (pairs []load.Pair, err error) {
	for _, text := range m.meta {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, exit.Usagef("--meta %q is not KEY=VALUE", text)
		}
		valueOf, err := payload.Meta(value)
		if err != nil {
			return nil, exit.WithHint(exit.Usagef("--meta %s: %w", key, err), "metadata has {{seq}}, {{uuid}}, {{attempt}}, {{deadline}} and {{now}}")
		}
		pairs = append(pairs, load.Pair{Key: key, Value: valueOf})
	}
	return pairs, nil
}

// httpHeader reads --header.
func (m *benchMessage) httpHeader() (http.Header, error) {
	header := http.Header{}
	for _, text := range m.headers {
		name, value, ok := strings.Cut(text, ":")
		if !ok || !isToken(name) || strings.ContainsAny(value, "\r\n") {
			return nil, exit.Usagef("--header %q is not NAME: VALUE", text)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}

// isToken reports whether HTTP takes text for a name (RFC 9110, section 5.6.2).
func isToken(text string) bool {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
	return text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0
}

// source makes the data of the message's requests.
func (m *benchMessage) source(stdin io.Reader, seed uint64) (*payload.Source, error) {
	rows, err := m.readRows(stdin)
	if err != nil {
		return nil, m.blame("data-file", err)
	}
	random, err := m.random()
	if err != nil {
		return nil, m.blame("data-order", err)
	}
	var text payload.Text
	var data json.RawMessage
	if len(m.data) > 0 || len(rows) == 0 {
		data, err = shorthand.PreparedData(m.data, stdin, text.Cut)
		var template *payload.SyntaxError
		switch {
		case errors.As(err, &template):
			return nil, m.blame("data", badTemplate(err))
		case err != nil:
			return nil, m.blame("data", filledIn(err, text))
		}
	}
	s, err := payload.New(data, text, payload.Options{Rows: rows, Random: random, Seed: seed})
	if err != nil {
		return nil, m.blame("data", badTemplate(err))
	}
	return s, nil
}

// badTemplate is the usage error for a template that cannot be filled in.
func badTemplate(err error) error {
	return exit.WithHint(exit.Usagef("the data: %w", err),
		`a template has {{seq}}, {{uuid}}, {{int 1 100}}, {{pick "a" "b"}}, {{now}}, and {{.name}} of a line of --data-file`)
}

// filledIn puts the expressions back into the text that an error points at.
func filledIn(err error, text payload.Text) error {
	var at exit.Pointer
	if !errors.As(err, &at) {
		return err
	}
	before := text.Restore(at.Text[:at.Offset])
	at.Text = before + text.Restore(at.Text[at.Offset:])
	at.Offset = len(before)
	return exit.WithHint(exit.PointAt(at.What, at.Text, at.Offset, at.Message), "%s", exit.Hint(err))
}

func (m *benchMessage) random() (bool, error) {
	if m.order != "" && m.rows == "" {
		return false, exit.Usagef("--data-order goes with --data-file: it is the order of its lines")
	}
	switch m.order {
	case "random":
		return true, nil
	case "", "round-robin":
		return false, nil
	}
	return false, exit.Usagef("unknown --data-order %q: use round-robin or random", m.order)
}

// mostRows is how many lines a file of data may have.
const mostRows = 1_000_000

// readRows reads the file of rows; without one there are none.
func (m *benchMessage) readRows(stdin io.Reader) (rows []json.RawMessage, err error) {
	if m.rows == "" {
		return nil, nil
	}
	in := stdin
	if m.rows != "-" {
		file, err := os.Open(m.rows)
		if err != nil {
			return nil, exit.Usagef("--data-file: %w", err)
		}
		defer file.Close()
		in = file
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) == 0 {
			continue
		}
		what := fmt.Sprintf("%s, line %d", m.rows, n)
		if !utf8.Valid(line) {
			return nil, exit.Usagef("%s is not valid UTF-8", what)
		}
		if problem := shorthand.CheckJSON(string(line)); problem != nil {
			return nil, exit.PointAt(what, string(line), problem.Offset, problem.Message)
		}
		if rows = append(rows, slices.Clone(line)); len(rows) > mostRows {
			return nil, exit.Usagef("--data-file: %s has more than %d lines", m.rows, mostRows)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, exit.Usagef("--data-file: %s has a line of more than %d MiB", m.rows, maxLine>>20)
	case err != nil:
		return nil, exit.Usagef("--data-file: %w", err)
	case len(rows) == 0:
		return nil, exit.Usagef("--data-file: %s has no lines", m.rows)
	}
	return rows, nil
}
