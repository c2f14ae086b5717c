package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// AddService returns the text of a workspace file with one more service at the
// end of `services`. Comments, order and spacing of the rest stay as they are,
// byte for byte. Line, Column and what equals a default are not written.
// Errors: those of [Load] when the text is not a valid workspace or would not be
// one with the service; a service of that name; a file in a form that cannot be
// edited safely (`services: {a: …}` on one line).
func AddService(text []byte, s Service) ([]byte, error) {
	e, err := newEditor(text)
	if err != nil {
		return nil, fmt.Errorf("add service %s: %w", s.Name, err)
	}
	if e.before.Service(s.Name) != nil {
		return nil, fmt.Errorf("add service %s: %s has a service of that name", s.Name, FileName)
	}
	if err := e.addService(&s); err != nil {
		return nil, fmt.Errorf("add service %s: %w", s.Name, err)
	}
	return e.finish("add service "+s.Name, func(w *Workspace) { w.Services = append(w.Services, &s) })
}

// AddDependency returns the text with dependency among `depends_on` of a
// service; the text itself when it is there already. The rest is as in
// [AddService].
func AddDependency(text []byte, service, dependency string) ([]byte, error) {
	doing := fmt.Sprintf("make %s depend on %s", service, dependency)
	e, err := newEditor(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	s := e.before.Service(service)
	if s == nil {
		return nil, fmt.Errorf("%s: %s has no service %s", doing, FileName, service)
	}
	if slices.Contains(s.DependsOn, dependency) {
		return text, nil
	}
	if err := e.addItem(service, "depends_on", dependency, "["+dependency+"]", ""); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return e.finish(doing, func(w *Workspace) {
		s := w.Service(service)
		s.DependsOn = append(s.DependsOn, dependency)
	})
}

// AddEnv returns the text with key: value in the `env` of a service; the text
// itself when the service has that variable already, whatever its value. The
// rest is as in [AddService].
func AddEnv(text []byte, service, key, value string) ([]byte, error) {
	doing := fmt.Sprintf("give %s the variable %s", service, key)
	e, err := newEditor(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	s := e.before.Service(service)
	if s == nil {
		return nil, fmt.Errorf("%s: %s has no service %s", doing, FileName, service)
	}
	if _, there := s.Env[key]; there {
		return text, nil
	}
	if err := e.addItem(service, "env", key+": "+scalar(value), "", key+": "+scalar(value)); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return e.finish(doing, func(w *Workspace) {
		s := w.Service(service)
		s.Env = maps.Clone(s.Env)
		if s.Env == nil {
			s.Env = map[string]string{}
		}
		s.Env[key] = value
	})
}

// editor changes the lines of a file whose syntax tree says where to.
type editor struct {
	before *Workspace
	root   *ast.MappingNode
	lines  []string // without line ends
	end    string   // the file's line end
}

func newEditor(text []byte) (*editor, error) {
	before, err := Parse(FileName, text)
	if err != nil {
		return nil, err
	}
	root, ok := (&checker{}).parse(text).(*ast.MappingNode)
	if !ok || root.IsFlowStyle {
		return nil, errors.New("the file is written in one line: give each key a line of its own first")
	}
	end := "\n"
	if bytes.Contains(text, []byte("\r\n")) {
		end = "\r\n"
	}
	whole := strings.TrimRight(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	return &editor{before: before, root: root, lines: strings.Split(whole, "\n"), end: end}, nil
}

// finish gives the new text, after having made sure that it says what the old
// one did with the change, and nothing else.
func (e *editor) finish(doing string, change func(*Workspace)) ([]byte, error) {
	text := []byte(strings.Join(e.lines, e.end) + e.end)
	after, err := Parse(FileName, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	change(e.before)
	if !same(e.before, after) {
		return nil, fmt.Errorf("%s: %s is written in a way that cannot be edited safely: please add it by hand", doing, FileName)
	}
	return text, nil
}

// same compares what two workspaces say, wherever in the file they say it.
func same(a, b *Workspace) bool {
	plain := func(w *Workspace) Workspace {
		out := Workspace{Name: w.Name, Env: w.Env}
		for _, s := range w.Services {
			c := *s
			c.Line, c.Column = 0, 0
			c.Host = orDefault(c.Host, "localhost")
			c.Kind = orDefault(c.Kind, KindService)
			if c.Kind == KindGateway {
				c.Ready = ReadyHTTP
			} else {
				c.Transport, c.Ready = orDefault(c.Transport, TCP), orDefault(c.Ready, ReadyMessage)
			}
			if len(c.Env) == 0 {
				c.Env = nil
			}
			out.Services = append(out.Services, &c)
		}
		return out
	}
	return reflect.DeepEqual(plain(a), plain(b))
}

// insert puts lines before the line with that index.
func (e *editor) insert(index int, lines ...string) {
	e.lines = slices.Insert(e.lines, index, lines...)
}

// blockEnd gives the index behind the last line of the block whose key stands
// at a line and column (both from 1): all that is indented deeper, without the
// blank lines and the comments at the key's level that follow.
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

// service gives the entry of a service, whose value is a mapping.
func (e *editor) service(name string) (*ast.MappingValueNode, *ast.MappingNode, error) {
	services, ok := find(e.root, "services").Value.(*ast.MappingNode)
	if !ok || services.IsFlowStyle {
		return nil, nil, errors.New("`services` is written in one line: give each service a line of its own first")
	}
	entry := find(services, name)
	body, ok := entry.Value.(*ast.MappingNode)
	if !ok || body.IsFlowStyle {
		return nil, nil, fmt.Errorf("service %s is written in one line: give each of its keys a line of its own first", name)
	}
	return entry, body, nil
}

func (e *editor) addService(s *Service) error {
	key := find(e.root, "services")
	at := key.Key.GetToken().Position
	column, step := at.Column+2, 2 // of the services' names; of their keys
	switch value := key.Value.(type) {
	case *ast.MappingNode:
		if len(value.Values) == 0 { // services: {}
			e.lines[at.Line-1] = strings.Repeat(" ", at.Column-1) + "services:"
			break
		}
		if value.IsFlowStyle {
			return errors.New("`services` is written in one line: give each service a line of its own first")
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

// blankBetween reports whether the services are set apart by blank lines.
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

// addItem adds an item to the list or mapping under a key of a service. line is
// the item on a line of its own; flow or block is what follows the key, in its
// line or below it, where the service has no such key yet.
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
	return fmt.Errorf("%s of %s is empty: please add it by hand", key, service)
}

// intoBrackets adds an item before the closing bracket at a line and column.
func (e *editor) intoBrackets(line, column int, empty bool, item string) error {
	runes := []rune(e.lines[line-1])
	if column < 1 || column > len(runes) || runes[column-1] != ']' && runes[column-1] != '}' {
		return errors.New("the closing bracket is not where it should be: please add it by hand")
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

// serviceLines writes a service as it would stand in the first column.
func serviceLines(s *Service, step int) []string {
	var keys []string
	add := func(present bool, format string, args ...any) {
		if present {
			keys = append(keys, fmt.Sprintf(format, args...))
		}
	}
	add(s.Kind == KindGateway, "kind: gateway")
	add(s.Path != "", "path: %s", scalar(s.Path))
	add(len(s.Command) > 0, "command: [%s]", joinScalars(s.Command))
	add(s.Dir != "", "dir: %s", scalar(s.Dir))
	add(s.Transport != "" && s.Kind != KindGateway, "transport: %s", s.Transport)
	add(s.Host != "" && s.Host != "localhost", "host: %s", scalar(s.Host))
	add(s.Port != 0, "port: %d", s.Port)
	add(s.Ready == ReadyHTTP && s.Kind != KindGateway, "ready: http")
	add(len(s.DependsOn) > 0, "depends_on: [%s]", joinScalars(s.DependsOn))
	add(len(s.Watch) > 0, "watch: [%s]", joinScalars(s.Watch))
	add(len(s.Env) > 0, "env:")
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		keys = append(keys, strings.Repeat(" ", step)+name+": "+scalar(s.Env[name]))
	}
	return append([]string{s.Name + ":"}, indent(keys, step)...)
}

func joinScalars(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = scalar(w)
	}
	return strings.Join(out, ", ")
}

var plainScalar = regexp.MustCompile(`^[A-Za-z./][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*$`)

// scalar writes a text so that YAML reads the same text back: plain where that
// is safe in a list too, in double quotes otherwise.
func scalar(text string) string {
	switch strings.ToLower(text) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		return strconv.Quote(text)
	}
	if plainScalar.MatchString(text) && !strings.HasPrefix(text, ".inf") && !strings.HasPrefix(text, ".n") {
		return text
	}
	return strconv.Quote(text)
}
