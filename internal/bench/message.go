package bench

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/payload"
	"github.com/msctl/msctl/internal/replay"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// Message is one kind of request: first as entered, then parsed by Spec.Check, and
// finally with its target, which Prepare finds.
type Message struct {
	Name      string
	Weight    int
	Pattern   string   // PATTERN; "" for an HTTP target
	Data      []string // DATA
	To        string   // TARGET; "" for that of the Spec
	Meta      []string // KEY=VALUE
	DataFile  string   // NDJSON, "-" for standard input
	DataOrder string   // of the lines of DataFile: round-robin or random
	Method    string   // of HTTP
	Headers   []string // NAME: VALUE, of HTTP

	event bool          // of a recording: an event
	sent  []replay.Sent // of a recording: what is sent in turn; nil without one

	files map[string][]byte // that another process has sent; nil for those on disk

	file  string         // the scenario; "" for the command line
	lines map[string]int // of the keys in file; that of "" is the first line

	digest  string // of the data
	route   micro.Pattern
	payload *payload.Source
	pairs   []load.Pair // of metadata; over HTTP, also what is different in each request
	header  http.Header
	path    string // of an HTTP target, with the query
	target  target.Target
}

// SetMessage sets the one message of the command line, from its arguments PATTERN
// and DATA. There is none for --demo, and if only the policy is printed.
func (s *Spec) SetMessage(args []string) error {
	switch {
	case s.Recording.File != "":
		return s.setRecorded(args)
	case s.Recording.Service != "":
		return s.Usagef([]string{"service"}, "--service requires --from")
	}
	http := IsHTTP(s.Target.To)
	switch {
	case s.Trials.Demo && len(args) > 0:
		return exit.Usagef("--demo takes no PATTERN: remove %q", args[0])
	case http && len(args) > 0 && strings.HasPrefix(args[0], "cmd="):
		return exit.WithHint(exit.Usagef("%s is an HTTP target, which has no patterns: remove %q", target.Shown(s.Target.To), args[0]),
			"to send a field named cmd, write DATA as JSON")
	case s.Trials.Demo, len(args) == 0 && !http && s.PrintPolicy != "":
		return nil
	case len(args) == 0 && !http:
		return exit.WithHint(exit.Usagef("msctl bench is missing PATTERN"), "`msctl bench --demo` does not need one")
	}
	m := s.content
	if m.Data = args; !http {
		m.Pattern, m.Data = args[0], args[1:]
		if _, err := shorthand.Pattern(m.Pattern); m.Pattern == "" {
			return err
		}
	}
	s.Messages = []*Message{&m}
	return nil
}

// readMessages parses the messages and reads their data. Standard input is read
// once, also for several messages.
func (s *Spec) readMessages(stdin io.Reader) error {
	var input []byte
	if slices.ContainsFunc(s.Messages, (*Message).readsStdin) {
		var err error
		if input, err = io.ReadAll(stdin); err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		s.stdin = input
	}
	for i, m := range s.Messages {
		m.files = s.files
		in := shorthand.Reader{Stdin: bytes.NewReader(input), Secrets: s.Secrets}
		if m.sent != nil {
			if err := m.readRecorded(in, s.NoMetadata); err != nil {
				return err
			}
			continue
		}
		if err := m.read(in, s.Load.Seed+uint64(i)); err != nil {
			return err
		}
		if to := cmp.Or(m.To, s.Target.To); IsHTTP(to) {
			if err := m.readHTTP(in, to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Message) readsStdin() bool {
	return m.DataFile == "-" || len(m.Data) > 0 && m.Data[0] == "-"
}

// read parses the message. All its errors are usage errors.
func (m *Message) read(in shorthand.Reader, seed uint64) (err error) {
	if m.Pattern != "" {
		if m.route, err = shorthand.Pattern(m.Pattern); err != nil {
			return m.locate("pattern", err)
		}
	}
	if m.payload, err = m.source(in, seed); err != nil {
		return err
	}
	if m.pairs, err = m.metadata(in); err != nil {
		return m.locate("meta", err)
	}
	if m.Method != "" && !isToken(m.Method) {
		return m.locate("method", exit.Usagef("invalid --method %q: use the name of a method, such as PUT", m.Method))
	}
	return nil
}

// locate prefixes an error with the line of the scenario that a key is in.
func (m *Message) locate(key string, err error) error {
	if m.file == "" || err == nil {
		return err
	}
	line, ok := m.lines[key]
	if !ok {
		line = m.lines[""]
	}
	return value{file: m.file, line: line}.locate(err)
}

// accepts returns an error if the message cannot be sent to the target. All its
// errors are usage errors.
func (m *Message) accepts(t target.Target) error {
	isHTTP := t.Scheme == target.SchemeHTTP
	switch {
	case isHTTP && m.sent != nil:
		return exit.Usagef("--from requires a target that handles messages, and %s is an HTTP target", t)
	case isHTTP && m.Pattern != "":
		return m.locate("pattern", exit.Usagef("%s is an HTTP target, which has no patterns: remove %q", t, m.Pattern))
	case !isHTTP && m.Method != "":
		return m.locate("method", exit.Usagef("--method requires an HTTP target, and %s is not one", t))
	case !isHTTP && len(m.Headers) > 0:
		return m.locate("header", exit.WithHint(exit.Usagef("--header requires an HTTP target, and %s is not one", t), "use --meta KEY=VALUE for messages"))
	}
	return nil
}

// title names the message in a few words.
func (m *Message) title() string {
	switch {
	case m.Name != "":
		return m.Name
	case m.target.Scheme == target.SchemeHTTP:
		return m.verb() + " " + shownPath(m.target.Addresses[0])
	}
	return m.route.String()
}

// isUnnamed reports whether the message has no name before its target is known.
func (m *Message) isUnnamed() bool { return m.Name == "" && m.route.IsZero() }

// metadata parses --meta.
func (m *Message) metadata(in shorthand.Reader) (pairs []load.Pair, err error) {
	for _, text := range m.Meta {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, exit.Usagef("invalid --meta %q: use KEY=VALUE", secret.Malformed(text))
		}
		if value, err = in.Value(value, payload.Literal); err != nil {
			return nil, err
		}
		valueOf, err := payload.Meta(value)
		if err != nil {
			return nil, exit.WithHint(exit.Usagef("--meta %s: %w", key, err), "metadata templates support {{seq}}, {{uuid}}, {{attempt}}, {{deadline}}, and {{now}}")
		}
		pairs = append(pairs, load.Pair{Key: key, Value: valueOf})
	}
	return pairs, nil
}

// source returns the source of the requests' data.
func (m *Message) source(in shorthand.Reader, seed uint64) (*payload.Source, error) {
	rows, err := m.readRows(in)
	if err != nil {
		return nil, m.locate("data-file", err)
	}
	random, err := m.random()
	if err != nil {
		return nil, m.locate("data-order", err)
	}
	var text payload.Text
	var data json.RawMessage
	if len(m.Data) > 0 || len(rows) == 0 {
		in.Prepare = text.Cut
		data, err = in.Data(m.Data)
		var template *payload.SyntaxError
		switch {
		case errors.As(err, &template):
			return nil, m.locate("data", badTemplate("the data", err))
		case err != nil:
			return nil, m.locate("data", restored(err, text))
		}
	}
	m.digest = digestOf(text.Restore(string(data)), rows, m.DataOrder)
	s, err := payload.New(data, text, payload.Options{Rows: rows, Random: random, Seed: seed})
	if err != nil {
		return nil, m.locate("data", badTemplate("the data", err))
	}
	return s, nil
}

// digestOf returns a digest of a message's data: its text, and the rows with their order.
// Credentials are not part of it: they may change, and must not be guessed from it.
func digestOf(text string, rows []json.RawMessage, order string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", secret.JSON([]byte(text)), order)
	for _, row := range rows {
		fmt.Fprintf(h, "\n%s", secret.JSON(row))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (m *Message) random() (bool, error) {
	if m.DataOrder != "" && m.DataFile == "" {
		return false, exit.Usagef("--data-order requires --data-file: it is the order of its lines")
	}
	switch m.DataOrder {
	case "random":
		return true, nil
	case "", "round-robin":
		return false, nil
	}
	return false, exit.Usagef("unknown --data-order %q: use round-robin or random", m.DataOrder)
}

// badTemplate returns the usage error for a template that cannot be evaluated. what
// names its place.
func badTemplate(what string, err error) error {
	return exit.WithHint(exit.Usagef("%s: %w", what, err),
		`templates support {{seq}}, {{uuid}}, {{int 1 100}}, {{float 0 1}}, {{pick "a" "b"}}, {{now}}, and {{.name}} for a member of a line of --data-file`)
}

// restored puts the template expressions back into the text that an error points at.
func restored(err error, text payload.Text) error {
	var at exit.Pointer
	if !errors.As(err, &at) {
		return err
	}
	before := text.Restore(at.Text[:at.Offset])
	whole := before + text.Restore(at.Text[at.Offset:])
	return exit.WithHint(exit.PointAt(at.What, whole, len(before), at.Message), "%s", exit.Hint(err))
}
