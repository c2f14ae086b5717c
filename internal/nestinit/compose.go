package nestinit

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/msctl/msctl/internal/workspace"
)

// composeFiles are the names of files of Docker Compose.
var composeFiles = []string{"docker-compose.yml", "docker-compose.yaml", "compose.yaml", "compose.yml", "docker-compose.dev.yml"}

// composeService is the part of a service that identifies its application, and its
// variables.
type composeService struct {
	Build       any      `yaml:"build"`
	Command     any      `yaml:"command"`
	Environment ast.Node `yaml:"environment"`
}

// composeServices are the services of a file, by name.
type composeServices map[string]composeService

// readCompose adds the variables that a file of Docker Compose has for an application.
// They are for containers, so they count as examples.
func (l *layout) readCompose(env environment, file string, a *application) {
	services := l.composeServices(file)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		if s := services[name]; s.isFor(name, path.Dir(file), a) {
			readEnvironment(env, s.Environment, file)
		}
	}
}

// composeServices returns the services of a file of Docker Compose. It reads each file once:
// that of a monorepo concerns every application below it.
func (l *layout) composeServices(file string) composeServices {
	if services, known := l.composed[file]; known {
		return services
	}
	if l.composed == nil {
		l.composed = map[string]composeServices{}
	}
	var compose struct {
		Services composeServices `yaml:"services"`
	}
	if text, ok := l.readConfig(file); ok {
		if parsed, err := parseYAML(text); err != nil || yaml.NodeToValue(parsed, &compose) != nil {
			compose.Services = nil // the file is not ours to check
		}
	}
	l.composed[file] = compose.Services
	return compose.Services
}

// parseYAML returns the first document. The library panics on some malformed input.
func parseYAML(text []byte) (node ast.Node, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("malformed YAML: %v", failure)
		}
	}()
	if line, column, deep := workspace.TooDeep(text); deep {
		return nil, fmt.Errorf("malformed YAML: nested too deep in line %d, column %d", line, column)
	}
	f, err := parser.ParseBytes(text, 0)
	if err != nil || len(f.Docs) == 0 || f.Docs[0].Body == nil {
		return nil, fmt.Errorf("malformed YAML: %w", err)
	}
	return f.Docs[0].Body, nil
}

// isFor reports whether a service runs an application: it is built from its folder, its
// command names it, or it has its name.
func (s composeService) isFor(name, dir string, a *application) bool {
	context := ""
	switch build := s.Build.(type) {
	case string:
		context = build
	case map[string]any:
		context, _ = build["context"].(string)
		dockerfile, _ := build["dockerfile"].(string)
		if a.dir != "." && strings.HasPrefix(path.Join(dir, context, dockerfile), a.dir+"/") {
			return true
		}
	}
	if a.dir != "." && path.Join(dir, context) == a.dir && context != "" {
		return true
	}
	if command := fmt.Sprint(s.Command); a.project != "" && strings.Contains(command, a.project) {
		return true
	}
	return name == a.name || name == path.Base(a.dir) || stemOf(name) == stemOf(a.name)
}

// readEnvironment adds variables in either form: a mapping, or a list of NAME=value.
func readEnvironment(env environment, node ast.Node, file string) {
	add := func(name, value string, at ast.Node) {
		if strings.Contains(value, "$") { // it comes from the environment of Compose
			return
		}
		if old, known := env[name]; !known || old.value == "" {
			env[name] = variable{value: value, file: file, line: at.GetToken().Position.Line, example: true}
		}
	}
	switch n := node.(type) {
	case *ast.SequenceNode:
		for _, item := range n.Values {
			if text, ok := item.(*ast.StringNode); ok {
				if name, value, ok := strings.Cut(text.Value, "="); ok {
					add(name, value, item)
				}
			}
		}
	case *ast.MappingNode:
		for _, member := range n.Values {
			add(member.Key.String(), scalarOf(member.Value), member.Key)
		}
	case *ast.MappingValueNode:
		add(n.Key.String(), scalarOf(n.Value), n.Key)
	}
}

func scalarOf(node ast.Node) string {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value
	case nil, *ast.NullNode:
		return ""
	}
	return node.GetToken().Value
}
