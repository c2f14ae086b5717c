package nestsource

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
)

// write writes files to a folder.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func controller(pattern string) string {
	return fmt.Sprintf("import { MessagePattern } from '@nestjs/microservices';\nexport class C { @MessagePattern(%s) x() {} }\n", pattern)
}

// setCache gives the test a folder for caches of its own.
func setCache(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("LocalAppData", t.TempDir())
}

func TestServicesFindTheSourcesOfACommand(t *testing.T) {
	setCache(t)
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"package.json":              `{"scripts": {"dev": "npm run start:two -- --watch", "start:two": "nest start two"}, "dependencies": {"@nestjs/core": "12"}}`,
		"nest-cli.json":             `{"projects": {"two": {"root": "projects/second"}}}`,
		"apps/one/src/a.ts":         controller("'one'"),
		"projects/second/src/a.ts":  controller("'two'"),
		"apps/three/src/a.ts":       controller("'three'"),
		"packages/four/src/main.ts": controller("'four'"),
		"go/main.ts":                controller("'go'"),
		"go/package.json":           `{}`,
		"apps/group/7/project.json": `{"name": "seven-service"}`,
		"apps/group/7/src/main.ts":  controller("'seven'"),
		"services/9/package.json":   `{"name": "@scope/nine-app"}`,
		"services/9/src/main.ts":    controller("'nine'"),
		"other/a.ts":                controller("'other'"),
		"msctl.yaml": `name: w
services:
  one: {command: node dist/apps/one/main.js, port: 1}
  two: {command: npm run dev, port: 2}
  three: {command: npm start, dir: apps/three, port: 3}
  four: {command: pnpm --filter=@scope/four start:dev, port: 4}
  five: {command: npx turbo run dev --filter=one, port: 5}
  six: {path: ./go, port: 6}
  seven: {command: npx nx serve seven-service, port: 70}
  eight: {command: npx nx run seven-service:serve, port: 80}
  nine: {command: "pnpm turbo run dev --filter=@scope/nine-app", port: 90}
  gateway: {kind: gateway, command: npm start, dir: other, port: 7}
`,
	})
	w, err := workspace.Load(filepath.Join(dir, "msctl.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range Services(t.Context(), w) {
		var patterns []string
		for _, h := range s.Handlers {
			patterns = append(patterns, h.Pattern)
		}
		rel, _ := filepath.Rel(dir, s.Dir)
		got = append(got, s.Name+" "+filepath.ToSlash(rel)+" "+strings.Join(patterns, ","))
	}
	want := []string{`one apps/one "one"`, `two projects/second "two"`, `three apps/three "three"`, `four packages/four "four"`, `five apps/one "one"`, `seven apps/group/7 "seven"`, `eight apps/group/7 "seven"`, `nine services/9 "nine"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if some := Services(t.Context(), w, "three"); len(some) != 1 || some[0].Name != "three" {
		t.Errorf("got %v for one name", some)
	}
}

// TestCache checks that the cache is used, and that any change of what the handlers depend
// on is seen.
func TestCache(t *testing.T) {
	setCache(t)
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"app/src/a.ts":      "import { A } from '@lib';\nimport { MessagePattern } from '@nestjs/microservices';\nclass C { @MessagePattern(A) x() {} }",
		"app/tsconfig.json": `{"compilerOptions": {"paths": {"@lib": ["../lib/one.ts"]}}}`,
		"lib/one.ts":        "export const A = 'first';",
		"lib/two.ts":        "export const A = 'second';",
	})
	app := filepath.Join(dir, "app")
	patterns := func() (out []string) {
		t.Helper()
		handlers, err := cached(t.Context(), app)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range handlers {
			out = append(out, h.Pattern)
		}
		slices.Sort(out)
		return out
	}
	check := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, patterns()); diff != "" {
			t.Errorf("patterns (-want +got):\n%s", diff)
		}
	}
	check(`"first"`)
	c, ok := readCache(cachePath(app), app)
	if !ok {
		t.Fatal("nothing is cached")
	}
	c.Handlers[0].Pattern = `"cached"`
	writeCache(cachePath(app), c)
	check(`"cached"`)
	write(t, dir, map[string]string{"lib/one.ts": "export const A = 'changed';"})
	check(`"changed"`)
	write(t, dir, map[string]string{"app/tsconfig.json": `{"compilerOptions": {"paths": {"@lib": ["../lib/two.ts"]}}}`})
	check(`"second"`)
	write(t, dir, map[string]string{"app/src/deep/b.ts": controller("'added'")})
	check(`"added"`, `"second"`)
	if err := os.RemoveAll(filepath.Join(app, "src", "deep")); err != nil {
		t.Fatal(err)
	}
	check(`"second"`)
	if err := os.WriteFile(cachePath(app), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(`"second"`)
}

// BenchmarkCached reads the handlers of 500 files from the cache, as completion does.
func BenchmarkCached(b *testing.B) {
	b.Setenv("XDG_CACHE_HOME", b.TempDir())
	dir := b.TempDir()
	for n := range 500 {
		path := filepath.Join(dir, fmt.Sprintf("m%d", n/10), fmt.Sprintf("c%d.ts", n))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(controller(fmt.Sprintf("'p%d'", n))), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if handlers, err := cached(b.Context(), dir); err != nil || len(handlers) != 500 {
			b.Fatalf("%d handlers: %v", len(handlers), err)
		}
	}
}
