package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/workspace"
)

// TestRoutes: a route is compared with the others as net/http compares them.
func TestRoutes(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	put(t, dir, "apps/gateway/mine.go", "package main\n\nfunc mine() {\n\tgateway.Stream(gw, `GET /{shop}/stock/{n}/{m}`, client, x)\n}\n")
	for target, want := range map[string]string{
		"GET /items/archive":         "",
		"GET /items/{id}/history":    "",
		"POST /items/{x}/archive":    "",
		"GET /":                      "",
		"GET /orders/latest":         "",
		"GET /items/{x}":             "GET /items/{x} matches the same requests as GET /items/{id}",
		"POST /items/{a}/views":      "matches the same requests as POST /items/{id}/views",
		"GET /items":                 "already has a route GET /items",
		"GET /health":                "matches the same requests as GET /health",
		"GET /health/live":           "matches the same requests as GET /health/live",
		"GET /api":                   "matches the same requests as GET /api",
		"GET /api-json":              "matches the same requests as GET /api-json",
		"GET /openapi.json":          "matches the same requests as GET /openapi.json",
		"GET /api/start.js":          "matches the same requests as GET /api/start.js",
		"GET /{name}/stock/{d}/{e}":  "matches the same requests as GET /{shop}/stock/{n}/{m}",
		"GET /items/{id}/{id}":       `duplicate wildcard name "id"`,
		"GET /api/{page}/{x}":        "",
		"GET /orders/{x}/{y}":        "",
		"GET /{kind}/archive":        "GET /{kind}/archive and GET /items/{id} both match some paths, like \"/items/archive\"",
		"GET /items/../x":            "unclean path",
		"GET /items//x":              "unclean path",
		"GET items":                  "must look like",
		"FETCH /items":               "must look like",
		"GET /items/{id...}":         "must look like",
		"GET /items/{ID}":            "must look like",
		"get /items":                 "must look like",
		"GET /items/{itemId}/{item}": "",
	} {
		files, err := open(t, dir).goFiles("apps/gateway", noTests)
		if err != nil {
			t.Fatal(err)
		}
		err = checkRoute(target, files)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", target, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "registered at") {
			t.Errorf("%s: the error has places in our code: %v", target, err)
		}
	}
	if _, _, err := open(t, dir).NewHandler(Handler{Service: "items", Name: "archive", Route: "GET /{userId}/{userID}"}); err == nil || !strings.Contains(err.Error(), "the same name in Go") {
		t.Errorf("error %v", err)
	}
	put(t, dir, "apps/gateway/more.go", "package main\n\nfunc more() {\n\tgateway.Route(gw, \"GET /audit/hello\", client, x)\n}\n")
	if _, err := open(t, dir).NewService(Service{Name: "audit", Port: 3010}); err == nil || !strings.Contains(err.Error(), "already has a route GET /audit/hello") {
		t.Errorf("error %v", err)
	}
}

// TestWindowsLineEndings: in a clone whose files end their lines with \r\n, commands work,
// and the files keep their line endings.
func TestWindowsLineEndings(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	for name, text := range tree(t, dir) {
		if !strings.HasSuffix(name, "/") && !strings.ContainsRune(text, 0) {
			put(t, dir, name, strings.ReplaceAll(text, "\n", "\r\n"))
		}
	}
	before := tree(t, dir)
	for _, s := range []Service{{Name: "payments", Port: 3004}, {Name: "mail", Transport: workspace.RabbitMQ}} {
		r, err := open(t, dir).NewService(s)
		if err != nil || r.ByHand != nil {
			t.Fatal(err, r.ByHand)
		}
		if err := write(t, dir, false, r.Files...); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range []Handler{{Name: "archiveItem", Route: "POST /items/archive"}, {Name: "restocked", Kind: Event}} {
		h.Service = "items"
		r, _, err := open(t, dir).NewHandler(h)
		if err != nil || r.ByHand != nil {
			t.Fatal(err, r.ByHand)
		}
		if err := write(t, dir, false, r.Files...); err != nil {
			t.Fatal(err)
		}
	}
	changed := 0
	for name, text := range tree(t, dir) {
		old, there := before[name]
		if !there || text == old {
			continue
		}
		if changed++; name == archiveFile {
			continue
		}
		if strings.Count(text, "\n") != strings.Count(text, "\r\n") {
			t.Errorf("%s has mixed line endings", name)
		}
		if missing := lost(old, text); missing != nil && name != "go.sum" && name != recordFile && !strings.HasSuffix(name, "go.mod") && name != "msctl.yaml" && name != "apps/gateway/services.go" {
			t.Errorf("%s lost %q", name, missing)
		}
	}
	if changed < 8 {
		t.Errorf("%d files changed", changed)
	}
}

// TestErrorsNameTheFile: an error about a file of the workspace names it.
func TestErrorsNameTheFile(t *testing.T) {
	for name, text := range map[string]string{
		"msctl.yaml":           "name: shop\r\nservices: {items: {path: ./apps/items, port: 3002}}\r\n",
		"apps/items/server.go": "package main\r\n\r\nfunc {\r\n",
		"go.mod":               "// nothing\r\n",
	} {
		dir := t.TempDir()
		makeShop(t, dir)
		put(t, dir, name, text)
		d, err := Open(filepath.Join(dir, "msctl.yaml"))
		if err == nil && name == "msctl.yaml" {
			_, err = d.NewService(Service{Name: "payments", Port: 3004})
		} else if err == nil {
			_, _, err = d.NewHandler(Handler{Service: "items", Name: "archiveItem"})
		}
		if err == nil || !strings.Contains(filepath.ToSlash(err.Error()), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestAttributes: git gives the files of a workspace the line ending \n, even where it is
// configured to convert them.
func TestAttributes(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir, clone := t.TempDir(), filepath.Join(t.TempDir(), "clone")
	makeShop(t, dir)
	if err := FirstCommit(t.Context(), dir, "Create shop"); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "git", "-c", "core.autocrlf=true", "clone", "--quiet", dir, clone).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range tree(t, dir) {
		if strings.HasPrefix(name, ".git/") || strings.HasSuffix(name, "/") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(clone, filepath.FromSlash(name)))
		if err != nil || string(data) != text {
			t.Errorf("%s is different in a clone: %v", name, err)
		}
	}
	// The record holds git's object IDs, so that git knows what msctl wrote.
	written, _, err := readRecord(dir)
	if err != nil || len(written) < 150 {
		t.Fatalf("%d files are recorded, %v", len(written), err)
	}
	text, err := exec.CommandContext(t.Context(), "git", "-C", clone, "cat-file", "blob", written["apps/items/store.go"]).Output()
	if err != nil || string(text) != tree(t, dir)["apps/items/store.go"] {
		t.Errorf("git cat-file: %q, %v", text, err)
	}
}

// TestAdopt: a folder may have the files that a new repository has.
func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "README.md", "# mine\n")
	put(t, dir, "LICENSE", "mine\n")
	put(t, dir, ".gitignore", "*.test\nmine")
	put(t, dir, ".git/config", "")
	if !Fresh(dir) || !Fresh(filepath.Join(dir, "missing")) {
		t.Error("the folder is not fresh")
	}
	files, err := shop().Files()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time, nothing changes
		adopted, err := Adopt(dir, files)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(t, dir, false, adopted...); err != nil {
			t.Fatal(err)
		}
	}
	got := tree(t, dir)
	if got["README.md"] != "# mine\n" || got["LICENSE"] != "mine\n" {
		t.Error("a file was replaced")
	}
	const want = "*.test\nmine\n\n# Added by msctl.\n/bin/\n/secrets/\n/.msctl/\n.env\n.env.*\n!.env.example\n*.out\n"
	if got[".gitignore"] != want {
		t.Errorf(".gitignore is %q", got[".gitignore"])
	}
	if Fresh(dir) {
		t.Error("a workspace is fresh")
	}
	put(t, dir, "main.go", "package main\n")
	if Fresh(dir) {
		t.Error("a folder with code is fresh")
	}
}
