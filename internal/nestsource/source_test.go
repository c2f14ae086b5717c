package nestsource

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadAController(t *testing.T) {
	handlers, unread, err := Read("testdata")
	if err != nil {
		t.Fatal(err)
	}
	const file = "items.controller.ts"
	message := func(line int, pattern, method string) Handler {
		return Handler{Pattern: pattern, Class: "ItemsController", Method: method, File: file, Line: line}
	}
	event := func(line int, pattern, method string) Handler {
		h := message(line, pattern, method)
		h.Event = true
		return h
	}
	want := []Handler{
		message(28, `{"cmd":"findAllItems"}`, "findAll"),
		message(34, `{"cmd":"createItem"}`, "create"),
		message(40, `"item.v1.named"`, "named"),
		message(41, `{"cmd":"short"}`, "short"),
		message(42, `{"cmd":"findItem","version":2}`, "find"),
		message(44, `"findAllItems"`, "all"),
		message(45, `"item.deep"`, "deep"),
		message(46, `"item.remove"`, "remove"),
		message(48, `"a.one"`, "two"),
		message(48, `"a.two"`, "two"),
		message(49, `{"quoted-key":true,"n":1.5,"it's":null}`, "odd"),
		event(51, `"item.v1.viewed"`, "viewed"),
		event(53, `"item.v1.sold"`, "sold"),
	}
	if diff := cmp.Diff(want, handlers); diff != "" {
		t.Errorf("handlers (-want +got):\n%s", diff)
	}
	wantUnread := []string{
		`items.controller.ts:47: cannot read the pattern ['a.one', { 'a': 1, b: [] }]: it is computed`,
		`items.controller.ts:54: cannot read the pattern Events.Counted: Events.Counted is not a literal in this file`,
		`items.controller.ts:55: cannot read the pattern SHARED.pattern: SHARED.pattern is not a literal in this file`,
		"items.controller.ts:56: cannot read the pattern `item.${version}`: a template with ${…} is computed",
		`items.controller.ts:57: cannot read the pattern makePattern('x', { a: (1) }): makePattern is not a literal in this file`,
		`items.controller.ts:58: cannot read the pattern Patterns.computed: Patterns.computed is not a literal in this file`,
		`items.controller.ts:59: cannot read the pattern 'a' + 'b': it is computed`,
	}
	var got []string
	for _, u := range unread {
		got = append(got, u.String())
	}
	if diff := cmp.Diff(wantUnread, got); diff != "" {
		t.Errorf("unread (-want +got):\n%s", diff)
	}
}

func TestReadSkipsWhatIsNoSource(t *testing.T) {
	dir := t.TempDir()
	source := []byte("class A { @MessagePattern('x') x() {} }")
	for _, name := range []string{
		"src/a.ts", "node_modules/b/b.ts", "dist/c.ts", ".git/d.ts", "src/e.spec.ts", "src/f.d.ts", "src/g.js", "src/h.test.ts",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, source, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	handlers, unread, err := Read(dir)
	want := []Handler{{Pattern: `"x"`, Class: "A", Method: "x", File: "src/a.ts", Line: 1}}
	if diff := cmp.Diff(want, handlers); diff != "" || len(unread) > 0 || err != nil {
		t.Errorf("%v %v (-want +got):\n%s", unread, err, diff)
	}
	if _, _, err := Read(filepath.Join(dir, "none")); err == nil {
		t.Error("no error for a folder that does not exist")
	}
}

// FuzzParse checks that any text is parsed without a panic, and that patterns are JSON.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/items.controller.ts")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	for _, seed := range []string{
		"@MessagePattern(", "@MessagePattern({", "@MessagePattern([", "@EventPattern('x'", "const a = {b:{c:", "enum A{B='x'", "@MessagePattern({a", "`Pattern${", "class A{static B={",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		handlers, _ := Parse("a.ts", []byte(text))
		for _, h := range handlers {
			if !json.Valid([]byte(h.Pattern)) {
				t.Fatalf("%q is not JSON", h.Pattern)
			}
		}
	})
}
