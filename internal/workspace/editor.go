package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// editor changes the lines of a file at positions from its syntax tree.
type editor struct {
	before *Workspace
	root   *ast.MappingNode
	lines  []string // without line ends
	start  string   // a byte order mark, or ""
	end    string   // the line ending of the file
}

func newEditor(text []byte) (*editor, error) {
	end := "\n"
	if bytes.Contains(text, []byte("\r\n")) {
		end = "\r\n"
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) // the columns of the parser count \r
	}
	text, marked := bytes.CutPrefix(text, []byte(byteOrderMark))
	start := ""
	if marked {
		start = byteOrderMark
	}
	before, err := Parse(FileName, text)
	if err != nil {
		return nil, err
	}
	root, ok := (&checker{}).parse(text).(*ast.MappingNode)
	if !ok || root.IsFlowStyle {
		return nil, errors.New(FileName + " is in flow style: put each key on its own line first")
	}
	whole := strings.TrimRight(string(text), "\n")
	return &editor{before: before, root: root, lines: strings.Split(whole, "\n"), start: start, end: end}, nil
}

// finish returns the new text. It checks that the only difference is the change.
func (e *editor) finish(doing string, change func(*Workspace)) ([]byte, error) {
	text := []byte(e.start + strings.Join(e.lines, e.end) + e.end)
	after, err := Parse(FileName, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	change(e.before)
	if !same(e.before, after) {
		return nil, fmt.Errorf("%s: %s cannot be edited safely: make this change manually", doing, FileName)
	}
	return text, nil
}

// same compares the files of two workspaces, except for positions in them.
func same(a, b *Workspace) bool {
	plain := func(w *Workspace) Workspace {
		out := Workspace{Name: w.Name, Env: w.Env, Brokers: w.Brokers}
		for _, s := range w.Services {
			c := *s
			c.Line, c.Column = 0, 0
			c.Host = orDefault(c.Host, "localhost")
			c.Kind = orDefault(c.Kind, KindService)
			if c.Kind != KindGateway {
				c.Transport = orDefault(c.Transport, TCP)
			}
			c.Ready = orDefault(c.Ready, defaultReady(&c))
			if len(c.Env) == 0 {
				c.Env = nil
			}
			out.Services = append(out.Services, &c)
		}
		return out
	}
	return reflect.DeepEqual(plain(a), plain(b))
}

// insert inserts lines before the line with an index.
func (e *editor) insert(index int, lines ...string) {
	e.lines = slices.Insert(e.lines, index, lines...)
}

// blockEnd returns the index after the last line of the block whose key is at a line and
// column, from 1: all lines with a deeper indentation, without the blank lines and the
// comments at the level of the key that follow.
func (e *editor) blockEnd(line, column int) int {
	end := line
	for i := line; i < len(e.lines); i++ {
		trimmed := strings.TrimLeft(e.lines[i], " ")
		if strings.TrimSpace(trimmed) == "" {
			continue
		}
		indent := len(e.lines[i]) - len(trimmed)
		item := indent == column-1 && strings.HasPrefix(trimmed, "- ")
		if indent < column && !item {
			break
		}
		end = i + 1
	}
	return end
}

func find(m *ast.MappingNode, key string) *ast.MappingValueNode {
	for _, v := range m.Values {
		if name, ok := scalarText(v.Key); ok && name == key {
			return v
		}
	}
	return nil
}

// service returns the entry of a service and its mapping.
func (e *editor) service(name string) (*ast.MappingValueNode, *ast.MappingNode, error) {
	services, ok := find(e.root, "services").Value.(*ast.MappingNode)
	if !ok || services.IsFlowStyle {
		return nil, nil, errors.New("`services` is in flow style: put each service on its own line first")
	}
	entry := find(services, name)
	body, ok := entry.Value.(*ast.MappingNode)
	if !ok || body.IsFlowStyle {
		return nil, nil, fmt.Errorf("service %s is in flow style: put each of its keys on its own line first", name)
	}
	return entry, body, nil
}

func (e *editor) addService(s *Service) error {
	key := find(e.root, "services")
	at := key.Key.GetToken().Position
	column, step := at.Column+2, 2 // the column of the names of services; the indentation of their keys
	switch value := key.Value.(type) {
	case *ast.MappingNode:
		if len(value.Values) == 0 { // services: {}
			e.lines[at.Line-1] = strings.Repeat(" ", at.Column-1) + "services:"
			break
		}
		if value.IsFlowStyle {
			return errors.New("`services` is in flow style: put each service on its own line first")
		}
		column = value.Values[0].Key.GetToken().Position.Column
		step = max(column-at.Column, 1)
	}
	block := indent(serviceLines(s, step), column-1)
	if e.blankBetween(key.Value) {
		block = append([]string{""}, block...)
	}
	e.insert(e.blockEnd(at.Line, at.Column), block...)
	return nil
}

// blankBetween reports whether blank lines separate the services.
func (e *editor) blankBetween(services ast.Node) bool {
	m, ok := services.(*ast.MappingNode)
	if !ok || len(m.Values) < 2 {
		return false
	}
	i := m.Values[len(m.Values)-1].Key.GetToken().Position.Line - 2
	for i > 0 && strings.HasPrefix(strings.TrimSpace(e.lines[i]), "#") {
		i--
	}
	return strings.TrimSpace(e.lines[i]) == ""
}

// addItem adds an item to the list or mapping at a key of a service. line is the item on
// its own line. If the service does not have the key, flow follows it on the same line,
// or block on the next.
func (e *editor) addItem(service, key, line, flow, block string) error {
	entry, body, err := e.service(service)
	if err != nil {
		return err
	}
	own := body.Values[0].Key.GetToken().Position.Column
	v := find(body, key)
	if v == nil {
		added := []string{strings.TrimRight(key+": "+flow, " ")}
		if block != "" {
			added = append(added, strings.Repeat(" ", max(own-entry.Key.GetToken().Position.Column, 1))+block)
		}
		at := entry.Key.GetToken().Position
		e.insert(e.blockEnd(at.Line, at.Column), indent(added, own-1)...)
		return nil
	}
	at := v.Key.GetToken().Position
	switch value := v.Value.(type) {
	case *ast.SequenceNode:
		if value.IsFlowStyle {
			return e.intoBrackets(value.End.Position.Line, value.End.Position.Column, len(value.Values) == 0, line)
		}
		e.insert(e.blockEnd(at.Line, at.Column), strings.Repeat(" ", value.Start.Position.Column-1)+"- "+line)
		return nil
	case *ast.MappingNode:
		if value.IsFlowStyle {
			return e.intoBrackets(value.End.Position.Line, value.End.Position.Column, len(value.Values) == 0, line)
		}
		e.insert(e.blockEnd(at.Line, at.Column), strings.Repeat(" ", value.Values[0].Key.GetToken().Position.Column-1)+line)
		return nil
	}
	return fmt.Errorf("%s of %s is empty: make this change manually", key, service)
}

// intoBrackets adds an item before the closing bracket at a line and column.
func (e *editor) intoBrackets(line, column int, empty bool, item string) error {
	runes := []rune(e.lines[line-1])
	if column < 1 || column > len(runes) || runes[column-1] != ']' && runes[column-1] != '}' {
		return errors.New("the closing bracket is missing: make this change manually")
	}
	before := strings.TrimRight(string(runes[:column-1]), " ")
	if !empty && !strings.HasSuffix(before, ",") {
		item = ", " + item
	} else if !empty {
		item = " " + item
	}
	e.lines[line-1] = before + item + string(runes[column-1:])
	return nil
}

func indent(lines []string, by int) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.Repeat(" ", by) + line
	}
	return out
}
