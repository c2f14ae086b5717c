package workspace

import (
	"errors"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/msctl/msctl/internal/nearest"
)

// relations checks ports, dependencies, and cycles across services.
func (c *checker) relations(w *Workspace) {
	ports := map[int]string{}
	for _, s := range w.Services {
		if other, taken := ports[s.Port]; taken && s.Port != 0 {
			c.failAt(c.place(s, "port"), "services %[3]s and %[1]s have the same port %[2]d", s.Name, s.Port, other)
		} else {
			ports[s.Port] = s.Name
		}
		for _, dependency := range s.DependsOn {
			c.dependency(w, s, dependency)
		}
	}
	if cycle := w.cycle(); cycle != nil {
		c.failAt(c.place(w.Service(cycle[0]), "on "+cycle[1]), "cyclic dependency: %s", strings.Join(cycle, " -> "))
	}
}

func (c *checker) dependency(w *Workspace, s *Service, dependency string) {
	if w.Service(dependency) != nil {
		return
	}
	if near := nearest.Word(dependency, w.Names()); near != "" {
		c.failAt(c.place(s, "on "+dependency), "service %s depends on an unknown service %q: did you mean %q?", s.Name, dependency, near)
		return
	}
	c.failAt(c.place(s, "on "+dependency), "service %s depends on an unknown service %q", s.Name, dependency)
}

// place returns the position of "port", or of "on " and a dependency, in a service. If it
// is unknown, place returns the position of the service.
func (c *checker) place(s *Service, what string) *token.Position {
	if pos := c.places[s.Name+" "+what]; pos != nil {
		return pos
	}
	return &token.Position{Line: s.Line, Column: s.Column}
}

func (c *checker) remember(s *Service, what string, at ast.Node) {
	if c.places == nil {
		c.places = map[string]*token.Position{}
	}
	c.places[s.Name+" "+what] = position(at)
}

// cycle returns the names of services that form a dependency cycle, with the first one
// repeated at the end, or nil.
func (w *Workspace) cycle() []string {
	finished := map[string]bool{}
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		if i := slices.Index(path, name); i >= 0 {
			return append(slices.Clone(path[i:]), name)
		}
		s := w.Service(name)
		if s == nil || finished[name] {
			return nil
		}
		path = append(path, name)
		for _, dependency := range s.DependsOn {
			if found := visit(dependency); found != nil {
				return found
			}
		}
		path = path[:len(path)-1]
		finished[name] = true
		return nil
	}
	for _, s := range w.Services {
		if found := visit(s.Name); found != nil {
			return found
		}
	}
	return nil
}

// SplitWords splits a command line at white space. '…' and "…" quote. A backslash
// escapes a quote, a space, or a backslash; before anything else it is literal, for
// Windows paths.
func SplitWords(line string) ([]string, error) {
	var (
		words []string
		word  strings.Builder
		open  rune // the current quote, or 0
		begun bool // whether a word has started
	)
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && open != '\'' && i+1 < len(runes) && strings.ContainsRune(`"'\ `, runes[i+1]):
			i++
			word.WriteRune(runes[i])
			begun = true
		case open != 0 && r == open:
			open = 0
		case open == 0 && (r == '\'' || r == '"'):
			open, begun = r, true
		case open == 0 && strings.ContainsRune(" \t\r\n", r):
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if open != 0 {
		return nil, errors.New("unclosed quote")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
