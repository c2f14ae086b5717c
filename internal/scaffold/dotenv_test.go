package scaffold

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
)

// dotenvFile is one case: the text of .env and, unless it is empty, that of .env.local.
type dotenvFile struct{ Dotenv, Local string }

// dotenvResult is what a reader of settings makes of a case.
type dotenvResult struct {
	Vars    map[string]string
	Ignored []string // FILE:LINE
	Unset   string   // FILE:LINE NAME of the first reference to a variable that is not set, or that is not closed
}

// dotenvEnvironment are the variables of the environment in all cases.
func dotenvEnvironment() map[string]string {
	return map[string]string{"MSCTL_SET": "set ${MSCTL_SET}", "MSCTL_EMPTY": ""}
}

// TestDotenvReadersAgree: msctl run and the programs of a workspace read .env by the same rules.
// The code exists twice, because a workspace does not import msctl. Both get the same files: a
// table, and many that are random.
func TestDotenvReadersAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a generated program")
	}
	for name, value := range dotenvEnvironment() {
		t.Setenv(name, value)
	}
	cases := append(dotenvTable(), randomDotenv(3000)...)
	got := readByPrograms(t, cases)
	if len(got) != len(cases) {
		t.Fatalf("%d results of %d cases", len(got), len(cases))
	}
	different, unset, dir := 0, 0, t.TempDir()
	put(t, dir, workspace.FileName, "name: shop\nservices:\n  a:\n    command: a\n    port: 3001\n")
	for i, c := range cases {
		want := readByRun(t, dir, c)
		if want.Unset != "" { // the programs stop there
			want.Vars, got[i].Vars = nil, nil
			want.Ignored, got[i].Ignored = nil, nil
			unset++
		}
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("%q (-msctl run +programs):\n%s", c, diff)
			if different++; different == 5 {
				break
			}
		}
	}
	if unset == 0 || unset == len(cases) {
		t.Errorf("%d of %d cases refer to a variable that is not set", unset, len(cases))
	}
}

func dotenvTable() (cases []dotenvFile) {
	for _, text := range []string{
		"", "A=1", "A=1\n", "\ufeffA=1", "A=1\r\nB=2\r\n", "A", "=1", "1A=1", "A-B=1", "export A=1", "export  A=1", "exportA=1", "export =1",
		" A = 1 ", "A=", "A= # c", "A=#c", "A=a#c", "A=a #c", "A=a\t#c", "# A=1", "  # A=1",
		`A="a b"`, `A="a" # c`, `A="a#b"`, `A="a`, `A='a`, `A=''`, `A=""`, `A='a"b'`, `A="a'b"`, `A="a\"b"`, `A="a\\"`, `A="a\n\t\rb"`, `A='a\nb'`,
		"A=\"1\n2\nB=3\"\nC=4", "A='1\n2'\nC=4", "A=\"1\n2", `A="$"`, `A="\$5"`, `A="\${MSCTL_SET}"`, "A=$${MSCTL_SET}", "A=$MSCTL_SET",
		"A=${MSCTL_SET}", "A='${MSCTL_SET}'", `A="${MSCTL_SET}"`, "A=${MSCTL_EMPTY}", "A=${MSCTL_EMPTY:-b}", "A=${MSCTL_NONE:-b}", "A=${MSCTL_NONE:-}",
		"A=${MSCTL_NONE}", "A=1\n\nB=${MSCTL_NONE}", "A=${no ref}", "A=${", "A=${}", "A=${A:-{}}", "A=${MSCTL_NONE:-a b} c", "A=${MSCTL_SET}${MSCTL_SET}",
		"A=${A:-${B:-c}}", "A=${MSCTL_SET:-${MSCTL_NONE}}", "A=${A:-${MSCTL_NONE}}", "A=${A:-x${MSCTL_SET}y}z", "A=${A:-${B}", "A=${A:-${B", "A=${A", "A=${A:-",
		"A=${A:-{\"b\":{}}}", "A=${A:-$${B}}", "A=${A:-}}", "A=${A:-${no ref}}", "A=${MSCTL_SET:-${no ref}}}",
		"A=1\nB=${A}\nA=2\nC=${A}", "B=${A:-x}\nA=1", "MSCTL_SET=file\nA=${MSCTL_SET}", "A=a=b", "A=a b  ", "A=é ü", "A=1\n\x00B=2",
	} {
		cases = append(cases, dotenvFile{Dotenv: text})
	}
	return append(cases, dotenvFile{"A=1\nB=1", "A=2\nC=${B}"}, dotenvFile{"A=${C:-x}", "C=2"}, dotenvFile{"A=1", "B=${MSCTL_NONE}\nno"})
}

// randomDotenv returns files of pieces that mean something, in a random order that is the same in
// every run.
func randomDotenv(count int) (cases []dotenvFile) {
	pieces := []string{
		"A", "B", "=", "=", " ", "\n", "\n", "\r\n", "#", `"`, `'`, `\`, `\n`, `\"`, "$", "${", "}", "${A}", "${B:-b}", "${MSCTL_SET}", "${MSCTL_EMPTY:-e}",
		":-", "{", "${A:-", "${B:-", "export ", "x y", "é", "\t", "A=", "B=", "C=${A:-c}",
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same in every run
	text := func() string {
		var b strings.Builder
		for range random.IntN(14) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		return b.String()
	}
	for range count {
		c := dotenvFile{Dotenv: text()}
		if random.IntN(4) == 0 {
			c.Local = text()
		}
		cases = append(cases, c)
	}
	return cases
}

// readByRun reads a case as msctl run does, in a workspace.
func readByRun(t *testing.T, dir string, c dotenvFile) (r dotenvResult) {
	t.Helper()
	put(t, dir, ".env", c.Dotenv)
	put(t, dir, ".env.local", c.Local)
	w, err := workspace.Load(filepath.Join(dir, workspace.FileName))
	if err != nil {
		t.Fatalf("%q: %v", c, err)
	}
	r.Vars = w.Local.Vars
	for _, e := range w.Local.Ignored {
		if strings.HasPrefix(e.Message, "ignored: ") { // programs do not report what looks like a reference
			r.Ignored = append(r.Ignored, fmt.Sprintf("%s:%d", filepath.Base(e.File), e.Line))
		}
	}
	if len(w.Local.Unset) > 0 {
		e := w.Local.Unset[0]
		r.Unset = fmt.Sprintf("%s:%d %s", filepath.Base(e.File), e.Line, unsetName.FindStringSubmatch(e.Message)[1])
	}
	return r
}

var unsetName = regexp.MustCompile(`^the (?:variable |reference \$\{)(\w+) is not `)

// dotenvProgram calls the reader of a workspace's programs, in its package.
const dotenvProgram = `package program

import (
	"encoding/json"
	"io"
	"regexp"
	"strings"
)

type Lookup = func(name string) (string, bool)

var unset = regexp.MustCompile("^(\\S+): the (?:variable |reference \\$\\{)(\\w+) is not ")

func ReadAll(in io.Reader, out io.Writer, environment map[string]string) error {
	var cases []struct{ Dotenv, Local string }
	if err := json.NewDecoder(in).Decode(&cases); err != nil {
		return err
	}
	type result struct {
		Vars    map[string]string
		Ignored []string
		Unset   string
	}
	var all []result
	for _, c := range cases {
		var warnings strings.Builder
		d := dotenv{environ: func(name string) (string, bool) { v, ok := environment[name]; return v, ok }, vars: map[string]string{}, warnings: &warnings}
		var r result
		for i, text := range []string{c.Dotenv, c.Local} {
			if err := d.read(dotenvFiles[i], text); err != nil {
				found := unset.FindStringSubmatch(err.Error())
				r.Unset = found[1] + " " + found[2]
				break
			}
		}
		for line := range strings.Lines(warnings.String()) {
			place, _, _ := strings.Cut(line, ": ignored: ")
			r.Ignored = append(r.Ignored, place)
		}
		r.Vars = d.vars
		all = append(all, r)
	}
	return json.NewEncoder(out).Encode(all)
}
`

// readByPrograms reads the cases as the programs of a workspace do.
func readByPrograms(t *testing.T, cases []dotenvFile) (results []dotenvResult) {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "go.mod", "module m\n\ngo 1.26\n")
	put(t, dir, "program/dotenv.go", string(rendered(t, shop())["internal/program/dotenv.go"].Data))
	put(t, dir, "program/read.go", dotenvProgram)
	put(t, dir, "main.go", fmt.Sprintf("package main\n\nimport (\n\t\"os\"\n\n\t\"m/program\"\n)\n\nfunc main() {\n\tif err := program.ReadAll(os.Stdin, os.Stdout, %#v); err != nil {\n\t\tpanic(err)\n\t}\n}\n", dotenvEnvironment()))
	input, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	goTool(t, dir, nil, "go", "build", "-o", "read"+exe(), ".")
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "read"+exe()))
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the program: %v\n%s", err, out)
	}
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatal(err)
	}
	return results
}
