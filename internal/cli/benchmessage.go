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

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/payload"
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
}

// readyMessage is a benchMessage that was read and checked.
type readyMessage struct {
	benchMessage
	route   micro.Pattern
	target  target
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
	f.StringVar(&c.order, "data-order", "round-robin", "take its lines in `ORDER`: round-robin or random")
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
func (m benchMessage) ready(stdin io.Reader, seed uint64) (*readyMessage, error) {
	r := &readyMessage{benchMessage: m}
	var err error
	if m.pattern != "" {
		if r.route, err = readPattern(m.pattern); err != nil {
			return nil, err
		}
	}
	if r.payload, err = m.source(stdin, seed); err != nil {
		return nil, err
	}
	for _, text := range m.meta {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, usagef("--meta %q is not KEY=VALUE", text)
		}
		make, err := payload.Meta(value)
		if err != nil {
			return nil, usagef("--meta %s: %w", key, err)
		}
		r.pairs = append(r.pairs, load.Pair{Key: key, Value: make})
	}
	r.header = http.Header{}
	for _, text := range m.headers {
		name, value, ok := strings.Cut(text, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \r\n") || strings.ContainsAny(value, "\r\n") {
			return nil, usagef("--header %q is not NAME: VALUE", text)
		}
		r.header.Add(name, strings.TrimSpace(value))
	}
	return r, nil
}

// source makes the data of the message's requests.
func (m benchMessage) source(stdin io.Reader, seed uint64) (*payload.Source, error) {
	rows, err := m.readRows(stdin)
	if err != nil {
		return nil, err
	}
	random, err := m.random()
	if err != nil {
		return nil, err
	}
	var text payload.Text
	cut := make([]string, len(m.data))
	for i, arg := range m.data {
		if cut[i], err = text.Cut(arg); err != nil {
			return nil, usagef("the data: %w", err)
		}
	}
	var data json.RawMessage
	if len(cut) > 0 || len(rows) == 0 {
		if data, err = parseData(cut, stdin); err != nil {
			return nil, err
		}
	}
	s, err := payload.New(data, text, payload.Options{Rows: rows, Random: random, Seed: seed})
	if err != nil {
		return nil, usagef("the data: %w", err)
	}
	return s, nil
}

func (m benchMessage) random() (bool, error) {
	switch m.order {
	case "random":
		return true, nil
	case "", "round-robin":
		return false, nil
	}
	return false, usagef("unknown --data-order %q: use round-robin or random", m.order)
}

// mostRows is how many lines a file of data may have.
const mostRows = 1_000_000

// readRows reads the file of rows; without one there are none.
func (m benchMessage) readRows(stdin io.Reader) (rows []json.RawMessage, err error) {
	if m.rows == "" {
		return nil, nil
	}
	in := stdin
	if m.rows != "-" {
		file, err := os.Open(m.rows)
		if err != nil {
			return nil, usagef("--data-file: %w", err)
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
			return nil, usagef("%s is not valid UTF-8", what)
		}
		if problem := checkJSON(string(line)); problem != nil {
			return nil, pointer{what, string(line), problem.offset, problem.message}.usage()
		}
		if rows = append(rows, slices.Clone(line)); len(rows) > mostRows {
			return nil, usagef("--data-file: %s has more than %d lines", m.rows, mostRows)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, usagef("--data-file: %s has a line of more than %d MiB", m.rows, maxLine>>20)
	case err != nil:
		return nil, usagef("--data-file: %w", err)
	case len(rows) == 0:
		return nil, usagef("--data-file: %s has no lines", m.rows)
	}
	return rows, nil
}
