package nestinit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
)

// everything is installed.
func everything(string) bool { return true }

// TestLayouts compares what is written for each layout with the msctl.yaml in it.
func TestLayouts(t *testing.T) {
	layouts, err := filepath.Glob(filepath.Join(testenv.Root(), "testdata", "nestinit", "[0-9]*"))
	if err != nil || len(layouts) < 8 {
		t.Fatalf("%d layouts: %v", len(layouts), err)
	}
	for _, dir := range layouts {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			plan, err := Discover(t.Context(), dir, everything)
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, filepath.Join(dir, workspace.FileName), string(plan.YAML()))
			check(t, plan)
		})
	}
}

// check verifies what is true of every plan: the file is valid and means what the plan contains,
// and each guess is marked on its line.
func check(t *testing.T, plan *Plan) *workspace.Workspace {
	t.Helper()
	text := string(plan.YAML())
	w, err := workspace.Parse(workspace.FileName, []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, s := range plan.Services {
		got := w.Service(s.Name)
		if s.Disabled != "" {
			if got != nil {
				t.Errorf("%s is not commented out", s.Name)
			}
			continue
		}
		if got == nil || !slices.Equal(got.Command, s.Command) || got.Port != s.Port || got.Dir != s.Dir {
			t.Errorf("%s is %+v, want %+v", s.Name, got, s.Service)
		}
	}
	marked := strings.Count(text, "# guess: ")
	total := 0
	for _, g := range plan.Guesses() {
		total += len(g.Services) * len(g.Keys)
		if !strings.Contains(text, "# guess: "+g.Reason+"\n") {
			t.Errorf("no line has the guess %q", g.Reason)
		}
		if g.Reason == "" || g.Value == "" {
			t.Errorf("a guess without a reason or a value: %+v", g)
		}
	}
	if marked != total {
		t.Errorf("%d lines are marked, and %d values are guesses:\n%s", marked, total, text)
	}
	if !Unchanged([]byte(text)) || !Unchanged([]byte(strings.ReplaceAll(text, "\n", "\r\n"))) || Unchanged([]byte(text+"\n")) || Unchanged(nil) {
		t.Error("the digest does not match the file")
	}
	return w
}

// write writes files to a folder.
func write(tb testing.TB, dir string, files map[string]string) {
	tb.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// discover returns the plan for files.
func discover(t *testing.T, files map[string]string) *Plan {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	write(t, dir, files)
	plan, err := Discover(t.Context(), dir, everything)
	if err != nil {
		t.Fatal(err)
	}
	check(t, plan)
	return plan
}

func TestNoApplication(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"src/index.ts": "export const a = 1;\n"})
	if _, err := Discover(t.Context(), dir, everything); !errors.Is(err, ErrNone) {
		t.Errorf("error %v", err)
	}
}

// manyApplications writes a monorepo in which each application calls the one before.
func manyApplications(tb testing.TB, n int) string {
	tb.Helper()
	dir := tb.TempDir()
	var projects []string
	files := map[string]string{
		"package.json":  `{"name": "many", "dependencies": {"@nestjs/core": "12"}}`,
		"tsconfig.json": `{"compilerOptions": {"baseUrl": ".", "paths": {"@app/common": ["libs/common/src"]}}}`,
		"libs/common/src/index.ts": `import { Transport } from '@nestjs/microservices';
export const tcp = (name: string, port: number) => ({ transport: Transport.TCP, options: { host: process.env[name + '_HOST'] || 'localhost', port: Number(process.env[name + '_PORT'] || port) } });
`,
	}
	for i := range n {
		app := fmt.Sprintf("apps/app%d", i)
		projects = append(projects, fmt.Sprintf(`"app%d": {"type": "application", "root": %q, "sourceRoot": %q}`, i, app, app+"/src"))
		files[app+"/src/main.ts"] = fmt.Sprintf(`import { tcp } from '@app/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';
async function bootstrap() {
  const app = await NestFactory.createMicroservice(AppModule, tcp('APP', %d));
  await app.listen();
}
bootstrap();
`, 4000+i)
		files[app+"/src/app.module.ts"] = fmt.Sprintf(`import { tcp } from '@app/common';
import { Module } from '@nestjs/common';
import { ClientsModule } from '@nestjs/microservices';
@Module({ imports: [ClientsModule.register([{ name: 'NEXT', ...tcp('NEXT', %d) }])] })
export class AppModule {}
`, 4000+max(i-1, 0))
		for k := range 20 {
			files[fmt.Sprintf("%s/src/part%d/part.controller.ts", app, k)] = fmt.Sprintf(`import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
@Controller()
export class Part%[1]dController {
  @MessagePattern('app%[2]d.part%[1]d')
  handle(@Payload() data: { id: number }) { return data; }
}
`, k, i)
		}
	}
	files["nest-cli.json"] = `{"monorepo": true, "projects": {` + strings.Join(projects, ", ") + `}}`
	write(tb, dir, files)
	return dir
}

// TestManyApplications checks that the applications of a large monorepo are read once each,
// also the library that all of them import.
func TestManyApplications(t *testing.T) {
	const n = 50
	plan, err := Discover(t.Context(), manyApplications(t, n), everything)
	if err != nil {
		t.Fatal(err)
	}
	w := check(t, plan)
	if len(w.Services) != n || len(plan.Guesses()) != 0 || len(plan.Notes) != 0 {
		t.Fatalf("%d services, guesses %v, notes %v", len(w.Services), plan.Guesses(), plan.Notes)
	}
	for i := range n {
		s := w.Service(fmt.Sprintf("app%d", i))
		var want []string
		if i > 0 {
			want = []string{fmt.Sprintf("app%d", i-1)}
		}
		if s == nil || s.Port != 4000+i || !slices.Equal(s.DependsOn, want) {
			t.Errorf("service %d is %+v", i, s)
		}
	}
}

// BenchmarkDiscover reads a monorepo with 50 applications and 1,100 files.
func BenchmarkDiscover(b *testing.B) {
	dir := manyApplications(b, 50)
	for b.Loop() {
		if _, err := Discover(b.Context(), dir, everything); err != nil {
			b.Fatal(err)
		}
	}
}

// TestPartOfRepository checks that the package manager is that of the whole repository.
func TestPartOfRepository(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		".git/HEAD": "ref: refs/heads/main\n", "pnpm-lock.yaml": "", "node_modules/x/package.json": "{}",
		"services/one/package.json":      nestPackage,
		"services/one/src/main.ts":       startOn("Transport.TCP, options: { port: 4001 }"),
		"services/one/src/app.module.ts": module,
	})
	plan, err := Discover(t.Context(), filepath.Join(dir, "services"), everything)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(plan.Services[0].Command, " "); got != "pnpm run start:dev" || plan.Install != "" {
		t.Errorf("command %q, install %q", got, plan.Install)
	}
}
