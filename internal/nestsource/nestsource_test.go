package nestsource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/typescript"
	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/internal/test/testenv"
)

// registered is a handler that a running NestJS application registers: a line of the files
// registered.json.
type registered struct {
	Pattern   string          `json:"pattern"`
	Event     bool            `json:"event"`
	Class     string          `json:"class"`
	Method    string          `json:"method"`
	Transport string          `json:"transport,omitempty"`
	Extras    json.RawMessage `json:"extras,omitempty"`
}

func (r registered) String() string {
	return fmt.Sprintf("%s.%s %s event=%v %s %s", r.Class, r.Method, r.Pattern, r.Event, r.Transport, string(r.Extras))
}

// trees returns the folders with sources.
func trees(tb testing.TB) []string {
	tb.Helper()
	found, err := filepath.Glob(filepath.Join(testenv.Root(), "testdata", "nestsource", "[0-9]*"))
	if err != nil || len(found) < 40 {
		tb.Fatalf("found %d folders: %v", len(found), err)
	}
	return found
}

// computedRows are the trees with patterns that only the running application knows.
var computedRows = map[string]int{"40-environment": 5, "45-unusual-decorators": 1, "47-nothing-known": 4}

// TestHandlersAreThoseThatNestRegisters compares the handlers that are read with those that
// the same sources register when NestJS runs them.
func TestHandlersAreThoseThatNestRegisters(t *testing.T) {
	for _, dir := range trees(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			p, err := Open(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range p.Files {
				for _, problem := range p.load(path).File.Problems {
					t.Errorf("%s:%d: %s", path, problem.Line, problem.Reason)
				}
			}
			checkHandlers(t, dir, p.Handlers())
		})
	}
}

func checkHandlers(t *testing.T, dir string, handlers []Handler) {
	t.Helper()
	want := readRegistered(t, dir)
	var got []registered
	computed := map[string][]string{} // method to defaults
	count := 0
	for _, h := range handlers {
		switch {
		case h.Computed != nil:
			count++
			computed[h.Class+"."+h.Method] = append(computed[h.Class+"."+h.Method], h.Computed.Default)
		case !h.Unused:
			got = append(got, registered{h.Pattern, h.Event, h.Class, h.Method, h.Transport, json.RawMessage(h.Extras)})
		}
	}
	if count != computedRows[filepath.Base(dir)] {
		t.Errorf("%d patterns are computed, want %d", count, computedRows[filepath.Base(dir)])
	}
	for _, r := range want {
		if !contains(got, r) && len(computed[r.Class+"."+r.Method]) == 0 {
			t.Errorf("missing: %s", r)
		}
		if filepath.Base(dir) == "40-environment" && !contains(got, r) && !slices.Contains(computed[r.Class+"."+r.Method], r.Pattern) {
			t.Errorf("%s: the default is %q", r, computed[r.Class+"."+r.Method])
		}
	}
	for _, r := range got {
		if !contains(want, r) {
			t.Errorf("not registered: %s", r)
		}
	}
}

func contains(list []registered, r registered) bool {
	return slices.ContainsFunc(list, func(other registered) bool { return other.String() == r.String() })
}

func readRegistered(t *testing.T, dir string) (out []registered) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "registered.json"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r registered
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// TestRegisteredIsWhatNestRegisters runs the sources with NestJS. With -update, it records
// what they register.
func TestRegisteredIsWhatNestRegisters(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	all := trees(t)
	cmd := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join(testenv.Root(), "testdata", "nest", "register.mjs")}, all...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(all) {
		t.Fatalf("%d results for %d folders", len(lines), len(all))
	}
	for i, dir := range all {
		var handlers []json.RawMessage
		if err := json.Unmarshal([]byte(lines[i]), &handlers); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, h := range handlers {
			fmt.Fprintf(&text, "%s\n", h)
		}
		golden.Check(t, filepath.Join(dir, "registered.json"), text.String())
	}
}

// TestTypes checks the types of the data and of the replies.
func TestTypes(t *testing.T) {
	for _, name := range []string{"37-dto-rules", "38-dto-shapes", "39-streams"} {
		p, err := Open(t.Context(), filepath.Join(testenv.Root(), "testdata", "nestsource", name))
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, h := range p.Handlers() {
			line, err := json.Marshal(struct {
				Pattern string
				Stream  bool  `json:",omitempty"`
				Payload *Type `json:",omitempty"`
				Reply   *Type `json:",omitempty"`
			}{h.Pattern, h.Stream, h.Payload, h.Reply})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&text, "%s\n", line)
		}
		golden.Check(t, filepath.Join(p.Dir, "types.json"), text.String())
	}
}

func TestSkippedFilesAreNamed(t *testing.T) {
	p, err := Open(t.Context(), filepath.Join(testenv.Root(), "testdata", "nestsource", "46-skipped-files"))
	if err != nil {
		t.Fatal(err)
	}
	want := Skipped{
		Tests:   []string{"src/a.controller.spec.ts", "src/b.test.ts", "test/app.e2e-spec.ts"},
		Folders: []string{"dist"}, Declarations: 1,
	}
	if diff := cmp.Diff(want, p.Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	if _, err := Open(t.Context(), filepath.Join(p.Dir, "none")); err == nil {
		t.Error("no error for a folder that does not exist")
	}
}

// TestAllThatIsSkippedIsNamed: whatever Open does not read is named, and it reads each of these
// when it is asked for it.
func TestAllThatIsSkippedIsNamed(t *testing.T) {
	const source = "import { MessagePattern } from '@nestjs/microservices';\nexport class C { @MessagePattern('x') x() {} }\n"
	dir, elsewhere := t.TempDir(), t.TempDir()
	write(t, dir, map[string]string{
		"src/a.ts": source, "src/a.spec.ts": source, "src/types.d.ts": source, "src/large.ts": source + strings.Repeat("// comment\n", maxFile/11+1),
		"src/old.js": "", "dist/a.ts": source, ".hidden/a.ts": source, "locked/a.ts": source, "src/locked.ts": source,
	})
	write(t, elsewhere, map[string]string{"linked.ts": source})
	for link, to := range map[string]string{"src/linked.ts": "linked.ts", "links": "."} {
		if err := os.Symlink(filepath.Join(elsewhere, to), filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	want := Skipped{
		Tests: []string{"src/a.spec.ts"}, Declarations: 1, Folders: []string{".hidden", "dist"}, Large: []string{"src/large.ts"},
		Links: []string{"links", "src/linked.ts"}, JavaScript: 1,
	}
	for _, path := range []string{"locked", "src/locked.ts"} {
		if err := os.Chmod(filepath.Join(dir, path), 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, path), 0o700) }) // so that the folder can be removed
		if f, err := os.Open(filepath.Join(dir, path)); err == nil {        // as root
			_ = f.Close()
		} else {
			want.Unreadable = append(want.Unreadable, path)
			if _, err := Open(t.Context(), filepath.Join(dir, path)); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	p, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p.Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	for _, path := range []string{"src/a.spec.ts", "src/types.d.ts", "src/large.ts", "dist", ".hidden", "links", "src/linked.ts"} {
		p, err := Open(t.Context(), filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if handlers := p.Handlers(); len(handlers) != 1 || handlers[0].Pattern != `"x"` {
			t.Errorf("%s: %+v", path, handlers)
		}
	}
	if _, err := Open(t.Context(), filepath.Join(testenv.Root(), "go.mod")); err == nil || !strings.Contains(err.Error(), "neither a folder nor a TypeScript file") {
		t.Errorf("go.mod: %v", err)
	}
}

// parse writes files to a folder and opens it.
func parse(t *testing.T, files map[string]string) *Project {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, files)
	p, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestNothingIsSilent checks that a handler that cannot be read is in the list.
func TestNothingIsSilent(t *testing.T) {
	const imports = "import { Controller } from '@nestjs/common';\nimport { MessagePattern, Payload } from '@nestjs/microservices';\n"
	tests := []struct {
		name, source string
		want         []string // the computed rows
	}{
		{"a missing file", "import { A } from './missing'; class C { @MessagePattern(A.b) x() {} }", []string{
			`C.x computed: A.b (a.ts:3): cannot find the module "./missing"`,
		}},
		{"a missing decorator", "import { On } from './missing'; class C { @On('x') x() {} }", []string{
			`C.x computed: On('x') (a.ts:3): cannot find the module "./missing"`,
		}},
		{"a decorator of a package", "import { On } from '@company/rpc'; class C { @On('x') x(@Payload() a: string) {} @On('y') other() {} }", []string{
			`C.x computed: On('x') (a.ts:3): On of @company/rpc is not in the sources`,
		}},
		{"a constant of a package", "import { A } from '@company/topics'; class C { @MessagePattern({ cmd: A }) x() {} }", []string{
			`C.x computed: { cmd: A } (a.ts:3): A of @company/topics is not in the sources`,
		}},
		{"decorators composed by a package", "import { flow } from 'some-package'; class C { @flow(MessagePattern('x')) x() {} }", []string{
			`C.x computed: flow(MessagePattern('x')) (a.ts:3): flow of some-package is not in the sources`,
		}},
		{"a function as an argument", "import { make } from 'some-package'; class C { @make(MessagePattern, 'x') x() {} }", []string{
			`C.x computed: make(MessagePattern, 'x') (a.ts:3): make of some-package is not in the sources`,
		}},
		{"a base class of a package", "import { Base } from '@company/base'; @Controller() class C extends Base {}", []string{
			`C. computed: Base (a.ts:3): Base of @company/base is not in the sources`,
		}},
		{"an abstract class without a subclass", "abstract class C { @MessagePattern('x') x() {} }", []string{
			`C.x computed: 'x' (a.ts:3): the class has no subclass in the sources`,
		}},
		{"a class in a function that is not called", "function f(n: string) { class C { @MessagePattern(n) x() {} } return C; }", []string{
			`C.x computed: n (a.ts:3): the class is in a function whose calls are not in the sources`,
		}},
		{"a property", "class C { @MessagePattern('x') x = () => 1; }", []string{
			`. computed: MessagePattern('x') (a.ts:3): it does not decorate a method of a class`,
		}},
		{"a condition", "const on = (n: string) => { if (process.env.A) return MessagePattern(n); return () => {}; };\nclass C { @on('x') x() {} }", []string{
			`C.x computed: on('x') (a.ts:4): it depends on the environment`,
		}},
		{"a variable that changes", "let topic = 'a';\nexport const set = (t: string) => { topic = t; };\nclass C { @MessagePattern(topic) x() {} }", []string{
			`C.x computed: topic (a.ts:5): its value changes`,
		}},
		{"an endless loop", "function f() { for (;;) {} }\nclass C { @MessagePattern(f()) x() {} }", []string{
			`C.x computed: f() (a.ts:4): it takes too long to compute`,
		}},
		{"an endless recursion", "const f = (): string => f();\nclass C { @MessagePattern(f()) x() {} }", []string{
			`C.x computed: f() (a.ts:4): it is nested too deeply`,
		}},
		{"a constant that refers to itself", "const a: string = b + 'x', b: string = a + 'y';\nclass C { @MessagePattern(a) x() {} }", []string{
			`C.x computed: a (a.ts:4): a refers to itself`,
		}},
		{"a syntax error", "class C {\n  @MessagePattern('x') x( {\n}\nclass D { @MessagePattern('y') y() {} }", []string{
			`. computed: @MessagePattern('x') x( { (a.ts:4): syntax error: unexpected "class"`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, h := range parse(t, map[string]string{"a.ts": imports + tt.source}).Handlers() {
				if h.Computed != nil {
					got = append(got, fmt.Sprintf("%s.%s %s: %s", h.Class, h.Method, h.Computed, h.Computed.Reason))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("computed (-want +got):\n%s", diff)
			}
		})
	}
}

// BenchmarkHandlers reads the handlers of 500 files: copies of the trees, which share
// nothing.
func BenchmarkHandlers(b *testing.B) {
	dir := b.TempDir()
	files := 0
	for n := 0; files < 500; n++ {
		for _, tree := range trees(b) {
			if err := os.CopyFS(filepath.Join(dir, fmt.Sprintf("copy%d", n), filepath.Base(tree)), os.DirFS(tree)); err != nil {
				b.Fatal(err)
			}
			sources, err := filepath.Glob(filepath.Join(tree, "*.ts"))
			if err != nil {
				b.Fatal(err)
			}
			files += len(sources)
		}
	}
	for b.Loop() {
		p, err := Open(b.Context(), dir)
		if err != nil || len(p.Files) < 500 || len(p.Handlers()) < 1000 {
			b.Fatalf("%d files: %v", len(p.Files), err)
		}
	}
}

// FuzzHandlers checks that any source is read without a panic, and that patterns are JSON.
func FuzzHandlers(f *testing.F) {
	for _, tree := range trees(f) {
		sources, err := filepath.Glob(filepath.Join(tree, "*.ts"))
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range sources {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	const path = "/nowhere/a.ts"
	f.Fuzz(func(t *testing.T, text string) {
		p := newProject("/nowhere")
		p.Files = []string{path}
		p.modules[path] = evaluate.NewModule(path, typescript.Parse(path, []byte(text)))
		for _, h := range p.Handlers() {
			if h.Computed == nil && h.Pattern != "undefined" && !json.Valid([]byte(h.Pattern)) {
				t.Fatalf("%q is not JSON", h.Pattern)
			}
		}
		for _, c := range p.Calls("get", "push", "use") {
			for _, arg := range c.Args {
				if !json.Valid([]byte(arg.JSON())) {
					t.Fatalf("%q is not JSON", arg.JSON())
				}
				arg.Parts()
			}
		}
	})
}
