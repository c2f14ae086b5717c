package bench

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
)

// messageKeys are the keys of a message.
func messageKeys() []string {
	return []string{"name", "weight", "pattern", "data", "data-file", "data-order", "to", "meta", "method", "header"}
}

// The limits of the messages of a scenario.
const (
	maxMessages = 100
	maxWeight   = 1_000_000
)

func (f *scenario) messages(n ast.Node) (list []*Message, err error) {
	sequence, ok := n.(*ast.SequenceNode)
	switch {
	case !ok || len(sequence.Values) == 0:
		return nil, f.wrong(n, "messages must be a list of `- pattern: …`")
	case len(sequence.Values) > maxMessages:
		return nil, f.wrong(sequence.Values[maxMessages], "too many messages: at most %d are allowed", maxMessages)
	}
	for _, v := range sequence.Values {
		m, err := f.message(v)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func (f *scenario) message(n ast.Node) (*Message, error) {
	pairs, err := f.mapping(n, "a message")
	if err != nil {
		return nil, err
	}
	m := &Message{Weight: 1, file: f.path, lines: map[string]int{}}
	m.lines[""], _ = position(n)
	for _, p := range pairs {
		m.lines[p.name], _ = position(p.key)
		if err := f.member(m, p); err != nil {
			return nil, err
		}
	}
	to := m.To
	if to == "" {
		to = f.spec.Target.To
	}
	if m.Pattern == "" && !IsHTTP(to) {
		return nil, f.wrong(n, "the message has no pattern")
	}
	return m, nil
}

// member reads one key of a message.
func (f *scenario) member(m *Message, p pair) (err error) {
	single := map[string]*string{
		"name": &m.Name, "data-file": &m.DataFile, "data-order": &m.DataOrder, "to": &m.To, "method": &m.Method,
	}
	text, plain := scalar(p.value)
	switch into := single[p.name]; {
	case into != nil && !plain:
		return f.wrong(p.value, "%s must be a plain value", p.name)
	case into != nil:
		*into = text
		if p.name == "data-file" && text != "-" && !filepath.IsAbs(text) {
			*into = filepath.Join(filepath.Dir(f.path), text) // relative to the scenario
		}
	case p.name == "weight":
		if m.Weight, err = strconv.Atoi(text); err != nil || m.Weight < 1 || m.Weight > maxWeight {
			return f.wrong(p.value, "weight must be a whole number between 1 and %d", maxWeight)
		}
	case p.name == "pattern" && plain:
		m.Pattern = text
	case p.name == "pattern":
		m.Pattern, err = f.json(p)
	case p.name == "data" && plain:
		m.Data = []string{text}
	case p.name == "data":
		err = f.data(m, p)
	case p.name == "meta" || p.name == "header":
		err = f.pairsOf(m, p)
	default:
		err = f.wrong(p.key, "unknown key %q of a message", p.name)
		if near := nearest.Word(p.name, messageKeys()); near != "" {
			err = exit.WithHint(err, "did you mean %s?", near)
		}
	}
	return err
}

// data reads a message's data: a list of fields, or YAML that is converted to JSON.
func (f *scenario) data(m *Message, p pair) error {
	if _, list := p.value.(*ast.SequenceNode); list {
		fields, err := f.values(p)
		if err == nil && !slices.ContainsFunc(fields, func(v value) bool { return !strings.Contains(v.text, "=") }) {
			for _, v := range fields {
				m.Data = append(m.Data, v.text)
			}
			return nil
		}
	}
	text, err := f.json(p)
	m.Data = []string{text}
	return err
}

// json converts a YAML value to JSON.
func (f *scenario) json(p pair) (string, error) {
	var v any
	if err := yaml.NodeToValue(p.value, &v); err != nil {
		return "", f.syntax(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "", f.wrong(p.value, "%s cannot be converted to JSON", p.name)
	}
	return string(text), nil
}

// pairsOf reads meta and header, which are mappings in a scenario.
func (f *scenario) pairsOf(m *Message, p pair) error {
	pairs, err := f.mapping(p.value, p.name)
	if err != nil {
		return err
	}
	for _, q := range pairs {
		text, ok := scalar(q.value)
		if !ok {
			return f.wrong(q.value, "%s must be a plain value", q.name)
		}
		if p.name == "meta" {
			m.Meta = append(m.Meta, q.name+"="+text)
		} else {
			m.Headers = append(m.Headers, q.name+": "+text)
		}
	}
	return nil
}
