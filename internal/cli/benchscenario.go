package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/nearest"
)

// A scenario is a YAML file with the flags of `msctl bench` by their names, and a
// list of messages:
//
//	rate: 500/s
//	policy: recommended
//	fault: ["stall@10s+4s"]
//	messages:
//	  - pattern: cmd=findAllItems
//	    weight: 4
//	  - pattern: {cmd: createItem}
//	    data: {name: "w-{{seq}}", price: 9.99}
//
// What is given on the command line wins.

// scenario is a file that is being read.
type scenario struct {
	path, text string
	cmd        *cobra.Command
	lines      map[string]int // of each flag that was taken from the file
}

// mostScenario is the largest file that is read, in bytes.
const mostScenario = 1 << 20

// readScenario sets the flags that the file has and the command line has not, and
// returns the file's messages; nil where it has none. typed tells that there is a
// PATTERN on the command line.
func (o *benchOptions) readScenario(cmd *cobra.Command, typed bool) ([]benchMessage, error) {
	text, err := os.ReadFile(o.scenario)
	switch {
	case err != nil:
		return nil, usagef("--scenario: %w", err)
	case len(text) > mostScenario:
		return nil, usagef("--scenario: %s has more than %d MiB", o.scenario, mostScenario>>20)
	case !utf8.Valid(text):
		return nil, usagef("--scenario: %s is not valid UTF-8", o.scenario)
	}
	s := &scenario{path: o.scenario, text: string(text), cmd: cmd, lines: map[string]int{}}
	o.fromFile = s
	root, err := s.parse()
	if err != nil {
		return nil, err
	}
	pairs, err := s.mapping(root, "a scenario")
	if err != nil {
		return nil, err
	}
	var messages []benchMessage
	for _, p := range pairs {
		if p.name != "messages" {
			err = s.flag(p)
		} else if typed {
			err = s.wrong(p.key, "the file has messages, so there is no PATTERN on the command line")
		} else {
			messages, err = s.messages(p.value)
		}
		if err != nil {
			return nil, err
		}
	}
	return messages, nil
}

// blame gives an error about a flag the line of the file that the flag is from.
func (s *scenario) blame(err error) error {
	if s == nil || err == nil {
		return err
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "--"), " ")
	name = strings.TrimRight(name, ",:")
	if line, ok := s.lines[name]; ok && strings.HasPrefix(err.Error(), "--") {
		return &sentence{fmt.Sprintf("%s, line %d: %s", s.path, line, err), err}
	}
	return err
}

// wrong is the usage error that points at a place in the file.
func (s *scenario) wrong(at ast.Node, format string, args ...any) error {
	line, column := 1, 1
	if at != nil && at.GetToken() != nil && at.GetToken().Position != nil {
		line, column = at.GetToken().Position.Line, at.GetToken().Position.Column
	}
	return s.wrongAt(line, column, fmt.Sprintf(format, args...))
}

func (s *scenario) wrongAt(line, column int, message string) error {
	offset := 0
	for range line - 1 {
		next := strings.IndexByte(s.text[offset:], '\n')
		if next < 0 {
			break
		}
		offset += next + 1
	}
	for rest := s.text[offset:]; column > 1 && rest != "" && rest[0] != '\n'; column-- {
		_, size := utf8.DecodeRuneInString(rest)
		offset, rest = offset+size, rest[size:]
	}
	return pointer{s.path, s.text, offset, message}.usage()
}

// parse reads the file's one document.
func (s *scenario) parse() (root ast.Node, err error) {
	// The library is not proof against every input; a file that it gives up on
	// is a broken file to us.
	defer func() {
		if broken := recover(); broken != nil {
			root, err = nil, s.wrongAt(1, 1, "this is not valid YAML")
		}
	}()
	file, err := parser.ParseBytes([]byte(s.text), 0)
	if err != nil {
		return nil, s.syntax(err)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, s.wrongAt(1, 1, "the file says nothing")
	}
	if len(file.Docs) > 1 && file.Docs[1].Body != nil {
		return nil, s.wrong(file.Docs[1].Body, "a scenario is one YAML document, this is a second one")
	}
	return file.Docs[0].Body, nil
}

func (s *scenario) syntax(err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil || at.GetToken().Position == nil {
		message, _, _ := strings.Cut(err.Error(), "\n")
		return s.wrongAt(1, 1, message)
	}
	position := at.GetToken().Position
	message, _, _ := strings.Cut(at.GetMessage(), "\n")
	return s.wrongAt(position.Line, position.Column, message)
}

// pair is a key of a mapping and its value.
type pair struct {
	name       string
	key, value ast.Node
}

// mapping returns the pairs of a mapping; what names it in the complaint.
func (s *scenario) mapping(n ast.Node, what string) (pairs []pair, err error) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, s.wrong(n, "%s is `key: value` lines", what)
	}
	for _, v := range values {
		name, ok := scalar(v.Key)
		switch {
		case !ok:
			return nil, s.wrong(v, "a key is a plain word")
		case slices.ContainsFunc(pairs, func(p pair) bool { return p.name == name }):
			return nil, s.wrong(v.Key, "%q is there twice", name)
		}
		pairs = append(pairs, pair{name, v.Key, v.Value})
	}
	return pairs, nil
}

// scalar is the text of a plain value, as it stands in the file.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// texts are the texts of a plain value, or of each in a list.
func (s *scenario) texts(p pair) (list []string, err error) {
	values := []ast.Node{p.value}
	if sequence, ok := p.value.(*ast.SequenceNode); ok {
		values = sequence.Values
	}
	for _, v := range values {
		text, ok := scalar(v)
		if !ok {
			return nil, s.wrong(v, "%s is a plain value, or a list of them", p.name)
		}
		list = append(list, text)
	}
	return list, nil
}

// fileOnly are flags that a scenario does not set.
func fileOnly(name string) bool { return name == "scenario" || name == "help" || name == "demo" }

// flag sets a flag, unless it was given on the command line.
func (s *scenario) flag(p pair) error {
	flags := s.cmd.Flags()
	f := flags.Lookup(p.name)
	if f == nil || fileOnly(p.name) || f.Annotations[flagGroup] == nil {
		return s.unknown(p)
	}
	texts, err := s.texts(p)
	if err != nil {
		return err
	}
	if _, list := f.Value.(pflag.SliceValue); !list && len(texts) != 1 {
		return s.wrong(p.value, "%s has one value", p.name)
	}
	if f.Changed {
		return nil
	}
	s.lines[p.name] = p.key.GetToken().Position.Line
	for _, text := range texts {
		if err := flags.Set(p.name, text); err != nil {
			var invalid *pflag.InvalidValueError
			if errors.As(err, &invalid) {
				err = cause(invalid)
			}
			return s.wrong(p.value, "%s: %v", p.name, err)
		}
	}
	return nil
}

func (s *scenario) unknown(p pair) error {
	names := []string{"messages"}
	s.cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Annotations[flagGroup] != nil && !fileOnly(f.Name) {
			names = append(names, f.Name)
		}
	})
	err := s.wrong(p.key, "unknown key %q: the keys are the flags of msctl bench, and messages", p.name)
	if near := nearest.Word(p.name, names); near != "" {
		return withHint(err, "did you mean %s?", near)
	}
	return err
}

// messageKeys are what a message of a scenario has.
func messageKeys() []string {
	return []string{"name", "weight", "pattern", "data", "data-file", "data-order", "to", "meta", "method", "header"}
}

// mostMessages bounds the messages of a scenario.
const mostMessages = 100

func (s *scenario) messages(n ast.Node) (list []benchMessage, err error) {
	sequence, ok := n.(*ast.SequenceNode)
	switch {
	case !ok || len(sequence.Values) == 0:
		return nil, s.wrong(n, "messages is a list of `- pattern: …`")
	case len(sequence.Values) > mostMessages:
		return nil, s.wrong(sequence.Values[mostMessages], "there are at most %d messages", mostMessages)
	}
	for _, v := range sequence.Values {
		m, err := s.message(v)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func (s *scenario) message(n ast.Node) (m benchMessage, err error) {
	pairs, err := s.mapping(n, "a message")
	if err != nil {
		return m, err
	}
	m.weight = 1
	for _, p := range pairs {
		if err := s.member(&m, p); err != nil {
			return m, err
		}
	}
	to := m.to
	if to == "" {
		to, _ = s.cmd.Flags().GetString("to")
	}
	if m.pattern == "" && !isHTTP(to) {
		return m, s.wrong(n, "the message has no pattern")
	}
	return m, nil
}

// member reads one key of a message.
func (s *scenario) member(m *benchMessage, p pair) (err error) {
	one := map[string]*string{
		"name": &m.name, "data-file": &m.rows, "data-order": &m.order, "to": &m.to, "method": &m.method,
	}
	text, plain := scalar(p.value)
	switch into := one[p.name]; {
	case into != nil && !plain:
		return s.wrong(p.value, "%s is a plain value", p.name)
	case into != nil:
		*into = text
		if p.name == "data-file" && text != "-" && !filepath.IsAbs(text) {
			*into = filepath.Join(filepath.Dir(s.path), text) // beside the scenario
		}
	case p.name == "weight":
		if m.weight, err = strconv.Atoi(text); err != nil || m.weight < 1 || m.weight > 1_000_000 {
			return s.wrong(p.value, "a weight is a whole number from 1 to 1000000")
		}
	case p.name == "pattern" && plain:
		m.pattern = text
	case p.name == "pattern":
		m.pattern, err = s.json(p)
	case p.name == "data" && plain:
		m.data = []string{text}
	case p.name == "data":
		err = s.data(m, p)
	case p.name == "meta" || p.name == "header":
		err = s.pairsOf(m, p)
	default:
		err = s.wrong(p.key, "unknown key %q of a message", p.name)
		if near := nearest.Word(p.name, messageKeys()); near != "" {
			err = withHint(err, "did you mean %s?", near)
		}
	}
	return err
}

// data reads a message's data: a list of fields, or YAML that stands for JSON.
func (s *scenario) data(m *benchMessage, p pair) error {
	if _, list := p.value.(*ast.SequenceNode); list {
		if texts, err := s.texts(p); err == nil && !slices.ContainsFunc(texts, func(t string) bool { return !strings.Contains(t, "=") }) {
			m.data = texts
			return nil
		}
	}
	text, err := s.json(p)
	m.data = []string{text}
	return err
}

// json is a YAML value as JSON.
func (s *scenario) json(p pair) (string, error) {
	var v any
	if err := yaml.NodeToValue(p.value, &v); err != nil {
		message, _, _ := strings.Cut(err.Error(), "\n")
		return "", s.wrong(p.value, "%s: %s", p.name, message)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "", s.wrong(p.value, "%s cannot be written as JSON", p.name)
	}
	return string(text), nil
}

// pairsOf reads meta and header, which are `key: value` lines here.
func (s *scenario) pairsOf(m *benchMessage, p pair) error {
	pairs, err := s.mapping(p.value, p.name)
	if err != nil {
		return err
	}
	for _, q := range pairs {
		text, ok := scalar(q.value)
		if !ok {
			return s.wrong(q.value, "%s is a plain value", q.name)
		}
		if p.name == "meta" {
			m.meta = append(m.meta, q.name+"="+text)
		} else {
			m.headers = append(m.headers, q.name+": "+text)
		}
	}
	return nil
}
