package workspace

import (
	"errors"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/msctl/msctl/internal/nearest"
)

// relations checks what concerns several services: ports, dependencies, cycles.
func (c *checker) relations(w *Workspace) {
	ports := map[int]string{}
	for _, s := range w.Services {
		if other, taken := ports[s.Port]; taken && s.Port != 0 {
			c.failAt(c.place(s, "port"), "service %s has port %d, which service %s has already", s.Name, s.Port, other)
		} else {
			ports[s.Port] = s.Name
		}
		for _, dependency := range s.DependsOn {
			c.dependency(w, s, dependency)
		}
	}
	if cycle := w.cycle(); cycle != nil {
		c.failAt(c.place(w.Service(cycle[0]), "on "+cycle[1]), "these services wait for each other: %s", strings.Join(cycle, " -> "))
	}
}

func (c *checker) dependency(w *Workspace, s *Service, dependency string) {
	if w.Service(dependency) != nil {
		return
	}
	if near := nearest.Word(dependency, w.Names()); near != "" {
		c.failAt(c.place(s, "on "+dependency), "service %s depends on %q, which is no service: did you mean %q?", s.Name, dependency, near)
		return
	}
	c.failAt(c.place(s, "on "+dependency), "service %s depends on %q, which is no service of this workspace", s.Name, dependency)
}

// place is where a service says what, which is "port" or "on " and the name of one that
// it depends on; otherwise where its name stands.
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

// cycle returns the names of services that depend on each other in a circle,
// the first one also at the end, or nil.
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

// splitWords splits a command line at white space. '…' and "…" keep words
// together; a backslash keeps the meaning of a following quote, space or
// backslash away, and is itself otherwise (Windows paths).
func splitWords(line string) ([]string, error) {
	var (
		words []string
		word  strings.Builder
		open  rune // the quote we are in, or 0
		begun bool // the word has begun
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
		return nil, errors.New("a quote is not closed")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
