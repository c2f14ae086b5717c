package contracts

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// prelude precedes each snippet, which is the body of a function.
const prelude = `package snippet

import (
	"context"
	"iter"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
)

type (
	Input  struct{ Name string }
	Output struct{ ID int }
	Other  struct{ ID int }
)

var (
	create = micro.NewMethod[Input, Output](micro.Cmd("create"))
	viewed = micro.NewTopic[Input](micro.Name("viewed"))

	_ iter.Seq[int]
)

func snippet(ctx context.Context, s *micro.Server, c *micro.Client, gw *gateway.Gateway) {
`

// TestTypes type-checks programs that use a method or a topic. Each wrong one must
// fail with an error that names the wrong type.
func TestTypes(t *testing.T) {
	tests := []struct {
		name, code string
		want       string // part of the only error; "" for none
	}{
		{"handler", `create.Handle(s, func(context.Context, Input) (Output, error) { return Output{}, nil })`, ""},
		{"handler with another input", `create.Handle(s, func(context.Context, Other) (Output, error) { return Output{}, nil })`, "Other"},
		{"handler with another output", `create.Handle(s, func(context.Context, Input) (Other, error) { return Other{}, nil })`, "Other"},
		{"stream handler", `create.HandleStream(s, func(context.Context, Input) iter.Seq2[Output, error] { return nil })`, ""},
		{"stream handler with another output", `create.HandleStream(s, func(context.Context, Input) iter.Seq2[Other, error] { return nil })`, "Other"},
		{"event handler", `viewed.Handle(s, func(context.Context, Input) error { return nil })`, ""},
		{"event handler with another input", `viewed.Handle(s, func(context.Context, Other) error { return nil })`, "Other"},
		{"event handler for a method", `create.Handle(s, func(context.Context, Input) error { return nil })`, "func(context.Context, Input) error"},

		{"call", `var out Output; out, _ = create.Call(ctx, c, Input{}); _ = out`, ""},
		{"call with another input", `_, _ = create.Call(ctx, c, Other{})`, "Other"},
		{"call for another output", `var out Other; out, _ = create.Call(ctx, c, Input{}); _ = out`, "Output"},
		{"stream", `for out := range create.Stream(ctx, c, Input{}) { _ = out.ID }`, ""},
		{"stream with another input", `_ = create.Stream(ctx, c, Other{})`, "Other"},
		{"emit", `_ = viewed.Emit(ctx, c, Input{})`, ""},
		{"emit with another input", `_ = viewed.Emit(ctx, c, Other{})`, "Other"},

		{"route", `gateway.Route(gw, "POST /items", c, create)`, ""},
		{"route with other types", `gateway.Route[Other, Output](gw, "POST /items", c, create)`, "micro.Method[Input, Output]"},
		{"route to a topic", `gateway.Route(gw, "POST /items", c, viewed)`, "micro.Topic[Input]"},
		{"route to a pattern", `gateway.Route(gw, "POST /items", c, create.Pattern())`, "micro.Pattern"},
		{"event route", `gateway.Event(gw, "POST /views", c, viewed)`, ""},
		{"event route to a method", `gateway.Event(gw, "POST /views", c, create)`, "micro.Method[Input, Output]"},

		{"server option on a client", `micro.NewClient(nil, micro.WithName("x", ""))`, "ServerOption"},
		{"gateway option on a route", `gateway.Route(gw, "POST /items", c, create, gateway.WithBodyLimit(1))`, "Option"},
	}
	fset, from := token.NewFileSet(), newImporter(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, err := parser.ParseFile(fset, "snippet.go", prelude+tt.code+"\n}\n", 0)
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			config := types.Config{Importer: from, Error: func(err error) { found = append(found, err.Error()) }}
			_, _ = config.Check("snippet", fset, []*ast.File{file}, nil) // errors are in found
			switch {
			case tt.want == "" && len(found) > 0:
				t.Errorf("does not compile: %s", strings.Join(found, "\n"))
			case tt.want != "" && (len(found) == 0 || !strings.Contains(found[0], tt.want)):
				t.Errorf("errors %q, want one that contains %q", found, tt.want)
			}
		})
	}
}

// newImporter imports packages from the export data that the go command has built.
func newImporter(t *testing.T) types.Importer {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}",
		"github.com/msctl/msctl/runtime/gateway", "iter", "context").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[name] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(files[path])
	})
}
