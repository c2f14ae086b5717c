package cli

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
	m.weight, m.file, m.lines = 1, s.path, map[string]int{}
	m.lines[""], _ = place(n)
	for _, p := range pairs {
		m.lines[p.name], _ = place(p.key)
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
			err = exit.WithHint(err, "did you mean %s?", near)
		}
	}
	return err
}

// data reads a message's data: a list of fields, or YAML that stands for JSON.
func (s *scenario) data(m *benchMessage, p pair) error {
	if _, list := p.value.(*ast.SequenceNode); list {
		if texts, err := s.texts(p); err == nil && !slices.ContainsFunc(texts, func(v value) bool { return !strings.Contains(v.text, "=") }) {
			for _, v := range texts {
				m.data = append(m.data, v.text)
			}
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
		return "", s.syntax(err)
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
