package scaffold

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// contractsOf returns the package with the messages of a service: contracts/NAME, or, in a
// workspace of an msctl that had one package for all messages, contracts.
func (d *Dir) contractsOf(service string) (goPackage, error) {
	own := Service{Name: service}.Contracts()
	for _, p := range []goPackage{{dir: "contracts/" + own, name: own}, {dir: "contracts", name: "contracts"}} {
		files, err := d.goFiles(p.dir, noTests)
		if err != nil {
			return p, err
		}
		if len(declared(files)) > 0 {
			p.name, p.path = files[0].tree.Name.Name, path.Join(d.Module, p.dir)
			return p, nil
		}
	}
	return goPackage{dir: "contracts/" + own, path: path.Join(d.Module, "contracts", own), name: own}, nil
}

// checkNames verifies that the workspace does not use the names of a handler in the service
// in dir.
func (d *Dir) checkNames(dir string, h Handler, v handlerView) error {
	contracts, err := d.goFiles(v.contracts.dir, noTests)
	if err != nil {
		return err
	}
	all, err := d.goFiles(dir, withTests)
	if err != nil {
		return err
	}
	program := declared(all)
	for _, place := range []struct {
		where string
		known map[string]string
		names []string
	}{
		{"declares", declared(contracts), []string{v.Title, v.Input(), v.Reply()}},
		{"declares a field or method", members(all, strings.TrimPrefix(v.ReceiverType, "*")), []string{v.Name}},
		{"declares", program, []string{"Test" + v.Title}},
	} {
		for _, name := range place.names {
			if file := place.known[name]; file != "" {
				return fmt.Errorf("%s already %s %s: choose another name (--pattern sets the pattern)", file, place.where, name)
			}
		}
	}
	if file := program[v.Package]; file != "" {
		return fmt.Errorf("%s declares %s, which is the name of the package %s: rename one of them", file, v.Package, v.contracts.path)
	}
	return checkPattern(h, contracts)
}

// checkPattern verifies that no message of a package has the pattern of a new request. An
// event may have several handlers.
func checkPattern(h Handler, contracts []goFile) error {
	for _, f := range contracts {
		for name, known := range patterns(f.tree) {
			if known.Route() == h.Pattern.Route() && known.RouteIsString() == h.Pattern.RouteIsString() && h.Kind != Event {
				return fmt.Errorf("%s already declares %s with the pattern %s: choose another pattern", f.name, name, h.Pattern)
			}
		}
	}
	return nil
}

// patterns returns the patterns of the requests in a file whose patterns are literal, by
// the name of the variable.
func patterns(f *ast.File) map[string]micro.Pattern {
	found := map[string]micro.Pattern{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, value := range spec.Values {
			call, ok := value.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 || i >= len(spec.Names) {
				continue
			}
			generic, ok := call.Fun.(*ast.IndexListExpr) // NewTopic has one type, and is an IndexExpr
			if p := patternOf(call.Args[0]); ok && typeName(generic.X) == "NewMethod" && !p.IsZero() {
				found[spec.Names[i].Name] = p
			}
		}
		return false
	})
	return found
}

// patternOf returns the pattern of the expression micro.Cmd("name") or micro.Name("name"),
// or the zero Pattern.
func patternOf(e ast.Expr) micro.Pattern {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return micro.Pattern{}
	}
	text, ok := stringOf(call.Args[0])
	switch fn := typeName(call.Fun); {
	case ok && fn == "Cmd":
		return micro.Cmd(text)
	case ok && fn == "Name":
		return micro.Name(text)
	}
	return micro.Pattern{}
}

// stringOf returns the value of a string literal.
func stringOf(e ast.Expr) (string, bool) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil
}

// patternCode returns the Go expression for a pattern.
func patternCode(p micro.Pattern) (string, error) {
	if name := p.Route(); micro.Name(name) == p {
		return fmt.Sprintf("micro.Name(%q)", name), nil
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(p.JSON())))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return "", fmt.Errorf("read the pattern: %w", err)
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return "", errors.New("a pattern must be an object or a string")
	}
	if name, ok := fields["cmd"].(string); ok && len(fields) == 1 {
		return fmt.Sprintf("micro.Cmd(%q)", name), nil
	}
	return "micro.Fields(" + goLiteral(fields) + ")", nil
}

// goLiteral returns a JSON value as a Go expression.
func goLiteral(value any) string {
	switch value := value.(type) {
	case map[string]any:
		var members []string
		for _, name := range slices.Sorted(maps.Keys(value)) {
			members = append(members, strconv.Quote(name)+": "+goLiteral(value[name]))
		}
		return "map[string]any{" + strings.Join(members, ", ") + "}"
	case []any:
		var items []string
		for _, item := range value {
			items = append(items, goLiteral(item))
		}
		return "[]any{" + strings.Join(items, ", ") + "}"
	case string:
		return strconv.Quote(value)
	case nil:
		return "nil"
	case json.Number:
		if _, err := strconv.ParseInt(value.String(), 10, 32); err != nil {
			return "float64(" + value.String() + ")"
		}
	}
	return fmt.Sprint(value) // a boolean or an int
}
