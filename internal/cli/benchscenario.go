package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/target"
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
	values     map[string][]value // of each flag that was taken from the file
}

// value is one value of a flag, and its line in the file.
type value struct {
	text string
	line int
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
		return nil, exit.Usagef("--scenario: %w", err)
	case len(text) > mostScenario:
		return nil, exit.Usagef("--scenario: %s has more than %d MiB", o.scenario, mostScenario>>20)
	case !utf8.Valid(text):
		return nil, exit.Usagef("--scenario: %s is not valid UTF-8", o.scenario)
	}
	s := &scenario{path: o.scenario, text: string(text), cmd: cmd, values: map[string][]value{}}
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
		switch {
		case p.name != "messages":
			err = s.flag(p)
		case typed:
			err = s.wrong(p.key, "the file has messages, so there is no PATTERN on the command line")
		default:
			messages, err = s.messages(p.value)
		}
		if err != nil {
			return nil, err
		}
	}
	return messages, nil
}

// blame gives an error about a flag the line of the file that the flag is from:
// the first flag that the error names and the file has.
func (s *scenario) blame(err error) error {
	var placed *exit.TextError
	if s == nil || err == nil || errors.As(err, &placed) {
		return err
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	for word := range strings.FieldsSeq(first) {
		name, isFlag := strings.CutPrefix(strings.TrimRight(word, ",:"), "--")
		if values := s.values[name]; isFlag && len(values) > 0 {
			return exit.WithText(err, fmt.Sprintf("%s, line %d: %s", s.path, lineOf(values, err), err))
		}
	}
	return err
}

// lineOf is the line of the value that an error points at, or else of the first.
func lineOf(values []value, err error) int {
	var at exit.Pointer
	if errors.As(err, &at) {
		for _, v := range values {
			if v.text == at.Text {
				return v.line
			}
		}
	}
	return values[0].line
}

// wrong is the usage error that points at a place in the file.
func (s *scenario) wrong(at ast.Node, format string, args ...any) error {
	line, column := place(at)
	return s.wrongAt(line, column, fmt.Sprintf(format, args...))
}

// place is where a node begins, from 1. The library has a mapping begin at the
// colon of its first key.
func place(n ast.Node) (line, column int) {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0]
	}
	if v, ok := n.(*ast.MappingValueNode); ok {
		n = v.Key
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1, 1
	}
	return n.GetToken().Position.Line, n.GetToken().Position.Column
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
	return exit.PointAt(s.path, target.Masked(s.text), offset, message)
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
	file, err := parser.ParseBytes([]byte(s.text), 0, parser.AllowDuplicateMapKey())
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
func (s *scenario) texts(p pair) (list []value, err error) {
	if _, none := p.value.(*ast.NullNode); none {
		return nil, s.wrong(p.key, "%s has no value", p.name)
	}
	values := []ast.Node{p.value}
	if sequence, ok := p.value.(*ast.SequenceNode); ok {
		values = sequence.Values
	}
	for _, v := range values {
		text, ok := scalar(v)
		if !ok {
			return nil, s.wrong(v, "%s is a plain value, or a list of them", p.name)
		}
		line, _ := place(v)
		list = append(list, value{text, line})
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
	s.values[p.name] = texts
	for _, v := range texts {
		if err := flags.Set(p.name, v.text); err != nil {
			var invalid *pflag.InvalidValueError
			if errors.As(err, &invalid) {
				return s.wrong(p.value, "%s: %s", p.name, cause(invalid))
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
		return exit.WithHint(err, "did you mean %s?", near)
	}
	return err
}
