package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
)

// scenario is a YAML file that is being read. Its keys are the settings of a Spec,
// and messages:
//
//	rate: 500/s
//	policy: recommended
//	fault: ["stall@10s+4s"]
//	messages:
//	  - pattern: cmd=findAllItems
//	    weight: 4
//	  - pattern: {cmd: createItem}
//	    data: {name: "w-{{seq}}", price: 9.99}
type scenario struct {
	path, text string
	spec       *Spec
}

// maxScenario is the size of the largest file that is read, in bytes.
const maxScenario = 1 << 20

// ReadScenario sets the settings of a file, except those that have been set on the
// command line, and the messages of the file. withPattern means that the command line
// has a PATTERN, which excludes messages in the file. All errors are usage errors
// that name the line.
func (s *Spec) ReadScenario(path string, withPattern bool) error {
	text, err := os.ReadFile(path)
	switch {
	case err != nil:
		return exit.Usagef("--scenario: %w", err)
	case len(text) > maxScenario:
		return exit.Usagef("--scenario: %s is larger than %d MiB", path, maxScenario>>20)
	case !utf8.Valid(text):
		return exit.Usagef("--scenario: %s is not valid UTF-8", path)
	}
	s.Secrets.LearnText(string(text))
	file := &scenario{path, string(text), s}
	root, err := file.parse()
	if err != nil {
		return err
	}
	pairs, err := file.mapping(root, "a scenario")
	if err != nil {
		return err
	}
	// The messages come last, since whether they need a pattern depends on `to`.
	for _, p := range pairs {
		if p.name == "messages" {
			continue
		}
		if err := file.setting(p); err != nil {
			return err
		}
	}
	for _, p := range pairs {
		if p.name != "messages" {
			continue
		}
		switch {
		case withPattern:
			return file.wrong(p.key, "messages cannot be combined with a PATTERN on the command line")
		case s.Recording.File != "":
			return file.wrong(p.key, "messages cannot be combined with --from")
		}
		if s.Messages, err = file.messages(p.value); err != nil {
			return err
		}
	}
	return nil
}

// notInScenario are the settings that a file cannot set.
func notInScenario(name string) bool { return name == "demo" }

// setting sets one setting, unless the command line has set it.
func (f *scenario) setting(p pair) error {
	if !slices.Contains(Settings(), p.name) || notInScenario(p.name) {
		return f.unknown(p)
	}
	values, err := f.values(p)
	if err != nil {
		return err
	}
	if len(values) != 1 && !IsList(p.name) {
		return f.wrong(p.value, "%s takes a single value", p.name)
	}
	if f.spec.Given(p.name) {
		return nil
	}
	for _, v := range values {
		if p.name == "from" && !filepath.IsAbs(v.text) {
			v.text = filepath.Join(filepath.Dir(f.path), v.text) // relative to the scenario
		}
		err := f.spec.set(p.name, v)
		var wrong *TypeError
		switch {
		case errors.As(err, &wrong):
			return f.wrong(p.value, "%s: %s", p.name, wrong)
		case err != nil:
			return v.locate(err)
		}
	}
	return nil
}

// values returns the plain value of a key, or those of its list.
func (f *scenario) values(p pair) (list []value, err error) {
	if _, none := p.value.(*ast.NullNode); none {
		return nil, f.wrong(p.key, "%s has no value", p.name)
	}
	nodes := []ast.Node{p.value}
	if sequence, ok := p.value.(*ast.SequenceNode); ok {
		nodes = sequence.Values
	}
	for _, n := range nodes {
		text, ok := scalar(n)
		if !ok {
			return nil, f.wrong(n, "%s must be a plain value or a list of them", p.name)
		}
		line, _ := position(n)
		list = append(list, value{text, f.path, line})
	}
	return list, nil
}

func (f *scenario) unknown(p pair) error {
	names := append(slices.DeleteFunc(Settings(), notInScenario), "messages")
	err := f.wrong(p.key, "unknown key %q: the keys are the flags of msctl bench, and messages", p.name)
	if near := nearest.Word(p.name, names); near != "" {
		return exit.WithHint(err, "did you mean %s?", near)
	}
	return err
}

// wrong returns a usage error that points at a node of the file.
func (f *scenario) wrong(at ast.Node, format string, args ...any) error {
	line, column := position(at)
	return f.wrongAt(line, column, fmt.Sprintf(format, args...))
}

// offset returns the position of a line and a column in the text, in bytes.
func (f *scenario) offset(line, column int) int {
	offset := 0
	for range line - 1 {
		next := strings.IndexByte(f.text[offset:], '\n')
		if next < 0 {
			break
		}
		offset += next + 1
	}
	for rest := f.text[offset:]; column > 1 && rest != "" && rest[0] != '\n'; column-- {
		_, size := utf8.DecodeRuneInString(rest)
		offset, rest = offset+size, rest[size:]
	}
	return offset
}
