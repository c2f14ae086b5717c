// Package payload generates the data of a load test's requests: the same for all, the
// rows of a file in turn or at random, or a template that is evaluated for each
// request.
//
// # Templates
//
// {{EXPRESSION}} can be a value of the JSON text or part of a string in it, and its
// result is encoded accordingly: {"id":{{.id}},"name":"w-{{seq}}"}. Expressions are
// those of text/template with these functions:
//
//	seq          the number of the request among those of its message, from 0
//	uuid         a random UUID
//	int 1 100    a whole number from 1 to 100
//	float 0 1    a number from 0 to 1
//	pick "a" "b" one of the arguments
//	now          the time, RFC 3339
//	.name        a member of the row, if there is a file of rows
//
// Random values depend only on the seed and the request's number, so a run can be
// repeated.
package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"
)

// Options are the input of templates. The zero Options have no rows.
type Options struct {
	// Rows are JSON values; a template sees the members of those that are objects.
	Rows []json.RawMessage
	// Random draws a row for each request; otherwise rows are used in turn.
	Random bool
	// Seed determines the random values.
	Seed uint64
}

// SyntaxError reports what is wrong with an expression of a template.
type SyntaxError struct {
	// Expression is the invalid {{…}}.
	Expression string
	Message    string
}

// Error returns the expression and the message.
func (e *SyntaxError) Error() string { return e.Expression + ": " + e.Message }

// Text holds the expressions that were cut out of a text, so that the text can be
// parsed as JSON before they have values. The zero Text has none.
type Text struct {
	expressions []string
}

// mark returns the placeholder of an expression: digits, which are valid JSON both
// inside and outside of a string.
func mark(n int) string { return fmt.Sprintf("8877665544332211%04d", n) }

const maxExpressions = 1000

// Cut replaces the expressions in text with marks and keeps them. It may be called for
// several texts that will be combined into one.
func (t *Text) Cut(text string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		inside, after, closed := strings.Cut(rest, "}}")
		expression := "{{" + inside + "}}"
		switch {
		case !closed:
			return "", &SyntaxError{"{{" + rest, "missing }}"}
		case strings.TrimSpace(inside) == "":
			return "", &SyntaxError{expression, "empty expression"}
		case len(t.expressions) == maxExpressions:
			return "", &SyntaxError{expression, fmt.Sprintf("more than %d expressions", maxExpressions)}
		}
		b.WriteString(mark(len(t.expressions)))
		t.expressions = append(t.expressions, strings.TrimSpace(inside))
		text = after
	}
}

// Restore replaces the marks with their expressions, to show the text as it was
// entered.
func (t *Text) Restore(text string) string {
	for n, e := range t.expressions {
		text = strings.ReplaceAll(text, mark(n), "{{"+e+"}}")
	}
	return text
}

// Empty reports whether there are no expressions.
func (t *Text) Empty() bool { return len(t.expressions) == 0 }

// Source generates data. It is safe for concurrent use.
type Source struct {
	fixed    []byte
	rows     []json.RawMessage
	values   []any // of rows, decoded; nil unless a template needs them
	random   bool
	seed     uint64
	template *template.Template
	fillers  sync.Pool // of *filler, made from template
}

// filler is a copy of the template whose functions serve one request at a time.
type filler struct {
	template *template.Template
	draw     draw
	out      bytes.Buffer
}

func newFiller(t *template.Template) (*filler, error) {
	own, err := t.Clone()
	if err != nil {
		return nil, fmt.Errorf("copy the template: %w", err)
	}
	f := &filler{}
	f.draw.prepare()
	f.template = own.Funcs(functions(&f.draw))
	return f, nil
}

// New returns a source of data, which is JSON with the marks of text's expressions.
// data may be nil if there are rows: then each row is the data. New evaluates the
// template for every row; the error names the first row that it does not fit.
func New(data []byte, text Text, opts Options) (*Source, error) {
	s := &Source{fixed: data, rows: opts.Rows, random: opts.Random, seed: opts.Seed}
	if text.Empty() {
		return s, nil
	}
	if err := s.decode(); err != nil {
		return nil, err
	}
	if err := s.compile(data, text); err != nil {
		return nil, err
	}
	for i := range max(len(s.rows), 1) {
		if err := s.try(i); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// decode decodes the rows, once.
func (s *Source) decode() error {
	if len(s.values) == len(s.rows) {
		return nil
	}
	for _, row := range s.rows {
		var v any
		decoder := json.NewDecoder(bytes.NewReader(row))
		decoder.UseNumber()
		if err := decoder.Decode(&v); err != nil {
			return fmt.Errorf("read a row: %w", err)
		}
		s.values = append(s.values, v)
	}
	return nil
}

// compile builds the template: literal JSON, and each expression wrapped in the
// function that encodes it as its place in the JSON requires.
func (s *Source) compile(data []byte, text Text) error {
	root := template.New("data").Funcs(functions(&draw{})).Option("missingkey=error")
	if err := text.check(functions(&draw{})); err != nil {
		return err
	}
	parsed, err := root.Parse(assemble(string(data), text.expressions))
	if err != nil {
		return fmt.Errorf("prepare the template: %w", err)
	}
	s.template = parsed
	return nil
}

// check returns the error of the first expression that is malformed.
func (t *Text) check(functions template.FuncMap) error {
	for _, e := range t.expressions {
		if _, err := template.New("").Funcs(functions).Parse("{{json (" + e + ")}}"); err != nil {
			return &SyntaxError{"{{" + e + "}}", reason(err)}
		}
	}
	return nil
}

// assemble replaces the marks with wrapped expressions.
func assemble(data string, expressions []string) string {
	var b strings.Builder
	inside := false // of a JSON string
	for i := 0; i < len(data); {
		if n, ok := marked(data[i:], len(expressions)); ok {
			wrap := "json"
			if inside {
				wrap = "text"
			}
			b.WriteString("{{" + wrap + " (" + expressions[n] + ")}}")
			i += len(mark(n))
			continue
		}
		switch {
		case data[i] == '"':
			inside = !inside
		case data[i] == '\\' && inside:
			b.WriteByte(data[i])
			i++
		case strings.HasPrefix(data[i:], "{{"): // two adjacent braces of JSON
			b.WriteString(`{{"{"}}`)
			i++
			continue
		}
		b.WriteByte(data[i])
		i++
	}
	return b.String()
}

func marked(text string, count int) (n int, ok bool) {
	const prefix = "8877665544332211"
	if !strings.HasPrefix(text, prefix) || len(text) < len(prefix)+4 {
		return 0, false
	}
	n, err := strconv.Atoi(text[len(prefix) : len(prefix)+4])
	return n, err == nil && n < count
}

// reason returns the template library's message without its prefix.
func reason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return text
}

// failed returns the template library's message for a failed evaluation, with the
// expression.
func failed(err error) string {
	_, at, found := strings.Cut(err.Error(), " at <")
	if expression, _, closed := strings.Cut(at, ">: "); found && closed {
		return "{{" + expression + "}}: " + reason(err)
	}
	return reason(err)
}

// try evaluates the template for one row and checks that the result is JSON.
func (s *Source) try(row int) error {
	out, err := s.fill(uint64(row), row)
	if err != nil {
		return s.misfit(row, err)
	}
	if !json.Valid(out) {
		return fmt.Errorf("fill in the data%s: %s is not JSON", s.where(row), out)
	}
	return nil
}

// misfit returns the error for a row that a template does not fit.
func (s *Source) misfit(row int, err error) error {
	return fmt.Errorf("fill in the data%s: %s", s.where(row), failed(err))
}

// where names a row for an error, if there are rows.
func (s *Source) where(row int) string {
	if len(s.rows) == 0 {
		return ""
	}
	return fmt.Sprintf(" (row %d)", row+1)
}

// Make returns the data of request seq. It can be used as a load.Payload.
func (s *Source) Make(seq uint64) []byte {
	row := s.row(seq)
	if s.template == nil {
		if s.fixed == nil && len(s.rows) > 0 {
			return s.rows[row]
		}
		return s.fixed
	}
	out, err := s.fill(seq, row)
	if err != nil { // cannot happen, since New has evaluated every row
		return []byte("null")
	}
	return out
}

func (s *Source) row(seq uint64) int {
	switch n := uint64(len(s.rows)); {
	case n == 0:
		return 0
	case s.random:
		return int(rand.New(rand.NewPCG(s.seed, seq)).Uint64N(n))
	default:
		return int(seq % n)
	}
}

func (s *Source) fill(seq uint64, row int) ([]byte, error) {
	f, _ := s.fillers.Get().(*filler)
	if f == nil {
		var err error
		if f, err = newFiller(s.template); err != nil {
			return nil, err
		}
	}
	defer s.fillers.Put(f)
	f.draw.begin(s.seed, seq)
	f.out.Reset()
	var value any
	if row < len(s.values) {
		value = s.values[row]
	}
	if err := f.template.Execute(&f.out, value); err != nil {
		return nil, err
	}
	return bytes.Clone(f.out.Bytes()), nil
}

// draw is the state of the functions for one request.
type draw struct {
	seq    uint64
	source rand.PCG
	random *rand.Rand
}

// prepare makes the draws ready for use.
func (d *draw) prepare() { d.random = rand.New(&d.source) }

// begin prepares the draws of one request.
func (d *draw) begin(seed, seq uint64) {
	d.seq = seq
	d.source.Seed(seed^0x7061796c6f6164, seq)
}

func functions(d *draw) template.FuncMap {
	return template.FuncMap{
		"seq":   func() uint64 { return d.seq },
		"now":   func() string { return time.Now().UTC().Format(time.RFC3339Nano) },
		"uuid":  d.uuid,
		"int":   d.integer,
		"float": func(low, high float64) float64 { return low + d.random.Float64()*(high-low) },
		"pick": func(values ...any) (any, error) {
			if len(values) == 0 {
				return nil, fmt.Errorf("pick requires at least one argument")
			}
			return values[d.random.IntN(len(values))], nil
		},
		"json": asJSON,
		"text": func(v any) (string, error) {
			text, err := asJSON(fmt.Sprint(v))
			return strings.TrimSuffix(strings.TrimPrefix(text, `"`), `"`), err
		},
	}
}

func (d *draw) uuid() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(d.random.Uint32())
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (d *draw) integer(low, high int64) (int64, error) {
	if high < low || high-low+1 <= 0 {
		return 0, fmt.Errorf("int %d %d is an empty range", low, high)
	}
	return low + d.random.Int64N(high-low+1), nil
}

// asJSON encodes a value as JSON without HTML escapes.
func asJSON(v any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("encode %v as JSON: %w", v, err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}
