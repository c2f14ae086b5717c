package scaffold

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// TestUsedNames: usedNames are all names that generated code uses where it imports the
// messages of a service, or declares in these packages. Such a package cannot have one of
// these names.
func TestUsedNames(t *testing.T) {
	dir := t.TempDir()
	w := shop()
	for _, transport := range append(workspace.Brokers(), "") {
		w.Services = append(w.Services, Service{Name: "probe" + string(transport), Transport: transport, Port: map[workspace.Transport]int{"": 3010}[transport]})
	}
	makeWorkspace(t, dir, w)
	for i, kind := range []HandlerKind{Request, Stream, Event} {
		r, _, err := open(t, dir).NewHandler(Handler{Service: "probe", Name: fmt.Sprint("probe", i), Kind: kind, Route: fmt.Sprintf("POST /probe/%d/{probe}", i)})
		if err != nil {
			t.Fatal(err)
		}
		if err := write(t, dir, false, r.Files...); err != nil {
			t.Fatal(err)
		}
	}
	used := map[string]bool{"money": true} // the package of the samples
	for _, folder := range []string{"apps/gateway", "apps/probe", "apps/proberabbitmq", "apps/proberedis", "apps/probenats"} {
		files, err := open(t, dir).goFiles(folder, withTests)
		if err != nil {
			t.Fatal(err)
		}
		for name := range declared(files) {
			used[name] = true
		}
		for _, f := range files {
			addNames(f.tree, used)
		}
	}
	lower := regexp.MustCompile(`^[a-z][a-z0-9]*$`) // what a package can be called
	for name := range used {
		if !lower.MatchString(name) || strings.HasPrefix(name, "probe") || token.IsKeyword(name) {
			delete(used, name)
		}
	}
	want := slices.DeleteFunc(slices.Sorted(maps.Keys(used)), func(name string) bool {
		return Service{Name: name}.Contracts() != name && !slices.Contains(usedNames(), name) // predeclared
	})
	if diff := cmp.Diff(want, usedNames()); diff != "" {
		t.Errorf("names (-used +usedNames):\n%s", diff)
	}
}

// addNames adds the names in a file that imports messages, except for those after a dot.
func addNames(f *ast.File, names map[string]bool) {
	if !slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool { return strings.Contains(importPath(s), "/contracts/probe") }) {
		return
	}
	for _, spec := range f.Imports {
		names[path.Base(importPath(spec))] = true
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			ast.Inspect(n.X, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					names[id.Name] = true
				}
				return true
			})
			return false
		case *ast.Ident:
			names[n.Name] = true
		}
		return true
	})
}

// unusual are valid names of services that mean something to Go, to its tools, to the
// generated code, or to an operating system.
func unusual() []string {
	return strings.Fields(`break case chan const continue default defer else fallthrough for func go goto if import interface map package
		range return select struct switch type var
		any append bool byte cap clear close complex copy delete error false float64 imag int iota len make max min new nil panic print
		println real recover rune string true uint8
		main init test internal contracts services service server config doc docs all cmd std tools c unsafe linux windows amd64 js wasm
		micro microtcp microtest validate context errors log slog testing time http iter bytes strings fmt os json
		hello greeting run listen queue serve request client gw in t h s ctx err money api health x a1 a-1-b mail-out tcp transport
		dial clients settings golang nest`)
}

// TestUnusualNames: services and handlers with unusual names build, with their tests. A
// name that cannot be used is rejected before anything is written.
func TestUnusualNames(t *testing.T) {
	w := shop()
	for i, name := range unusual() {
		w.Services = append(w.Services, Service{Name: name, Port: 4000 + i})
	}
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	if len(w.Services) < 100 {
		t.Errorf("only %d names", len(w.Services))
	}
	if os.Getenv("MSCTL_TEST_ALL") == "" {
		t.Skip("set MSCTL_TEST_ALL to build a workspace with all names; TestUsedNames covers them, too")
	}
	dir := t.TempDir()
	makeWorkspace(t, dir, w)
	handlers, rejected := addHandlers(t, dir, "orders", append(unusual(), "archiveItem", "iterator", "seq2", "testMain", "listItems"))
	if diff := cmp.Diff([]string{"a-1-b", "items", "log", "mail-out", "main", "now", "store"}, slices.DeleteFunc(rejected, token.IsKeyword)); diff != "" {
		t.Errorf("rejected: %s", diff)
	}
	if handlers < 80 {
		t.Errorf("only %d handlers", handlers)
	}
	formatted(t, dir)
	goTool(t, dir, nil, "go", "vet", "./...")
}

// addHandlers adds a handler of each name, and returns the number of them and the names that
// were rejected.
func addHandlers(t *testing.T, dir, service string, names []string) (added int, rejected []string) {
	t.Helper()
	before := tree(t, dir)
	for i, name := range append(names, "now", "items", "store") {
		h := Handler{Service: service, Name: name, Kind: []HandlerKind{Request, Stream, Event}[i%3], Route: fmt.Sprintf("POST /unusual/%d/{%s}", i, "id")}
		r, _, err := open(t, dir).NewHandler(h)
		if err != nil {
			rejected = append(rejected, name)
			continue
		}
		if err := write(t, dir, false, r.Files...); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		added++
	}
	slices.Sort(rejected)
	if added == 0 && len(before) > 0 {
		t.Error("nothing was added")
	}
	return added, slices.Compact(rejected)
}

// TestRejectedNames: the error gives the reason, and what to use instead.
func TestRejectedNames(t *testing.T) {
	for name, want := range map[string]string{
		"gateway":  "it is the name of the gateway",
		"rabbitmq": "it is the host of the broker",
		"smtp":     "SMTP_URL",
		"vendor":   "the go command ignores",
		"con":      "Windows reserves this name",
		"lpt1":     "Windows reserves this name",
		"my_mail":  `did you mean "my-mail"?`,
		"MyMail":   `did you mean "my-mail"?`,
		"2nd":      "must be a lower-case letter",
		"a-":       "a hyphen must be between",
	} {
		if err := CheckService(Service{Name: name, Port: 3002}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
	for _, pair := range [][2]string{{"log", "log-api"}, {"mail-out", "mailout"}} {
		w := Workspace{Name: "shop", Services: []Service{{Name: pair[0], Port: 1}, {Name: pair[1], Port: 2}}}
		if err := w.Check(); err == nil || !strings.Contains(err.Error(), "have the same name in Go") {
			t.Errorf("%v: error %v", pair, err)
		}
	}
}

// TestSuggestedHandlerNames: a name in another spelling leads to the one that is valid.
func TestSuggestedHandlerNames(t *testing.T) {
	for name, want := range map[string]string{
		"create-item": "createItem", "create_item": "createItem", "CreateItem": "createItem", "createItem": "createItem", "create item": "createItem",
		"CREATE_ITEM": "createItem", "créer": "", "2fa": "", "": "", "--": "",
	} {
		if got := lowerCamel(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	dir := t.TempDir()
	makeShop(t, dir)
	_, _, err := open(t, dir).NewHandler(Handler{Service: "items", Name: "create-item"})
	if err == nil || !strings.Contains(err.Error(), `did you mean "createItem"?`) {
		t.Errorf("error %v", err)
	}
}

// TestTakenNames: a name is compared with everything that the workspace declares.
func TestTakenNames(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	put(t, dir, "apps/gateway/mine.go", "package main\n\nfunc auditRoutes() {}\n\nvar reports int\n")
	put(t, dir, "apps/gateway/mine_test.go", "package main\n\nfunc TestVotesRoutes() {}\n")
	put(t, dir, "apps/items/mine.go", "package main\n\ntype base struct{}\n\nfunc (*service) mine() {}\n")
	put(t, dir, "apps/items/mine_test.go", "package main\n\nfunc TestRestocked() {}\n")
	put(t, dir, "contracts/polls/polls.go", "package polls\n")
	put(t, dir, "apps/drafts/draft.go", "package main\n\nfunc main() {}\n")
	change(t, dir, "apps/items/service.go", "type service struct {\n", "type service struct {\n\tbase\n")
	before := tree(t, dir)
	d := open(t, dir)
	for name, want := range map[string]string{
		"audit": "apps/gateway/mine.go already declares auditRoutes", "reports": "apps/gateway/mine.go already declares reports",
		"votes": "apps/gateway/mine_test.go already declares TestVotesRoutes", "polls": "contracts/polls already has Go files", "drafts": "apps/drafts already has Go files",
	} {
		if _, err := d.NewService(Service{Name: name, Port: 3010}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("service %s: error %v, want %q", name, err, want)
		}
	}
	for _, test := range []struct {
		h    Handler
		want string
	}{
		{Handler{Name: "mine"}, "apps/items/mine.go already declares a field or method mine"},
		{Handler{Name: "base"}, "apps/items/service.go already declares a field or method base"},
		{Handler{Name: "store"}, "apps/items/service.go already declares a field or method store"},
		{Handler{Name: "restocked"}, "apps/items/mine_test.go already declares TestRestocked"},
		{Handler{Name: "item"}, "contracts/items/items.go already declares Item"},
		{Handler{Name: "createItem"}, "contracts/items/items.go already declares CreateItem"},
		{Handler{Name: "main"}, "TestMain"},
		{Handler{Name: "another", Pattern: micro.Cmd("createItem")}, `contracts/items/items.go already declares CreateItem with the pattern {"cmd":"createItem"}`},
		{Handler{Name: "another", Pattern: micro.Name("msctl.health")}, "invalid pattern msctl.health"},
	} {
		test.h.Service = "items"
		if _, _, err := d.NewHandler(test.h); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.h, err, test.want)
		}
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("something was written: %s", diff)
	}
}

// TestFileNames: a handler never replaces a file. If there is one of its name, its own files
// get a number.
func TestFileNames(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	before := tree(t, dir)
	r, _, err := open(t, dir).NewHandler(Handler{Service: "items", Name: "items"})
	if err != nil {
		t.Fatal(err)
	}
	if err := write(t, dir, true, r.Files...); err != nil {
		t.Fatal(err)
	}
	after := tree(t, dir)
	if after["contracts/items/items.go"] != before["contracts/items/items.go"] || after["contracts/items/items2.go"] == "" || after["apps/items/items_test.go"] == "" {
		t.Errorf("files %q", slices.Sorted(maps.Keys(after)))
	}
	if _, err := os.Stat(filepath.Join(dir, "apps", "items", "items.go")); err != nil {
		t.Error(err)
	}
}

// TestEarlierLayout: in a workspace of an msctl that had one package for all messages,
// handlers are added to that package. An import that is missing is added.
func TestEarlierLayout(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "go.mod", "module shop\n")
	put(t, dir, "msctl.yaml", "name: shop\nservices:\n  items: {path: ./apps/items, port: 3002}\n  gateway: {kind: gateway, path: ./apps/gateway, port: 3001}\n")
	put(t, dir, "contracts/items.go", "package contracts\n\nimport \"github.com/msctl/msctl/runtime/micro\"\n\nvar Find = micro.NewMethod[micro.None, micro.None](micro.Cmd(\"find\"))\n")
	put(t, dir, "apps/items/server.go", "package main\n\nimport \"github.com/msctl/msctl/runtime/micro\"\n\ntype service struct{}\n\nfunc (s *service) register(server *micro.Server) {}\n")
	put(t, dir, "apps/gateway/items.go", `package main

import (
	"shop/internal/config" // settings

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
)

var _ config.Env

func itemsRoutes(gw *gateway.Gateway, items *micro.Client) {
}
`)
	r, _, err := open(t, dir).NewHandler(Handler{Service: "items", Name: "archive", Route: "POST /archive"})
	if err != nil || r.ByHand != nil {
		t.Fatal(err, r.ByHand)
	}
	for name, part := range map[string]string{
		"contracts/archive.go":  "package contracts\n",
		"apps/items/archive.go": "func (s *service) archive(_ context.Context, in contracts.ArchiveInput) (contracts.ArchiveReply, error) {",
		"apps/items/server.go":  "package main\n\nimport \"shop/contracts\"\n\nimport \"github.com/msctl/msctl/runtime/micro\"\n\ntype service struct{}\n\nfunc (s *service) register(server *micro.Server) {\n\tcontracts.Archive.Handle(server, s.archive)\n}\n",
		"apps/gateway/items.go": "\t\"shop/contracts\"\n\t\"shop/internal/config\" // settings\n",
	} {
		if got := edited(t, r, name); !strings.Contains(got, part) {
			t.Errorf("%s lacks %q:\n%s", name, part, got)
		}
	}
	if got := edited(t, r, "apps/gateway/items.go"); !strings.Contains(got, `gateway.Route(gw, "POST /archive", items, contracts.Archive,`) {
		t.Errorf("no route in:\n%s", got)
	}

	shadowed := t.TempDir()
	makeShop(t, shadowed)
	change(t, shadowed, "apps/gateway/items_routes.go", "client *micro.Client", "items *micro.Client")
	_, _, err = open(t, shadowed).NewHandler(Handler{Service: "items", Name: "archive", Route: "POST /archive"})
	if err == nil || !strings.Contains(err.Error(), "apps/gateway/items_routes.go: itemsRoutes has a parameter items, which hides the package shop/contracts/items") {
		t.Errorf("error %v", err)
	}
}
