package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// load loads a workspace from files in a new folder, which is the current one.
func load(t *testing.T, files map[string]string) (*Workspace, error) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(filepath.Join(dir, FileName))
}

const oneService = "name: shop\nservices:\n  items: {path: ./items, port: 3002}\n"

// TestDotenv checks how the lines of .env are read.
func TestDotenv(t *testing.T) {
	t.Setenv("FROM_SHELL", "shell")
	w, err := load(t, map[string]string{
		FileName: oneService,
		".env": "\ufeff# a comment\r\nPLAIN=some text # a comment\r\nexport  EXPORTED = 1 \nHASH=a#b\nEMPTY=\nCOMMENTED= # nothing\n" +
			"SINGLE='a ${FROM_SHELL} # \"b\"' # c\nDOUBLE=\"a\\n\\t\\\"b\\\" # $x\"\nKEY=\"-----BEGIN\nabc=\n-----END\"\nREF=${FROM_SHELL}-${PLAIN}-${NOT_SET:-x}-$${A}-$B\n" +
			"OPEN=\"a\nno variable\n1A=b\nPASSWORD=p@$$w0rd\n\tESCAPED=\"\\${A} \\$5\"\n",
		".env.local": "PLAIN=local\nMISSING=${NOWHERE}",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"PLAIN": "local", "EXPORTED": "1", "HASH": "a#b", "EMPTY": "", "COMMENTED": "", "SINGLE": `a ${FROM_SHELL} # "b"`, "DOUBLE": "a\n\t\"b\" # $x",
		"KEY": "-----BEGIN\nabc=\n-----END", "REF": "shell-some text-x-${A}-$B", "MISSING": "",
	}
	got := map[string]string{}
	for name := range want {
		got[name] = w.Local.Vars[name]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	err = w.CheckVariables()
	if want := ".env.local:2:1: the variable NOWHERE is not set: "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %q…", err, want)
	}
}

// TestIgnoredLines checks that lines that are no variables are reported, and nothing else.
func TestIgnoredLines(t *testing.T) {
	w, err := load(t, map[string]string{FileName: oneService, ".env": "A=1\nno variable\n1A=b\nB=${A B\n"})
	if err != nil || w.Local.Vars["A"] != "1" || w.Local.Vars["B"] != "${A B" {
		t.Fatalf("variables %v, error %v", w.Local.Vars, err)
	}
	var got []string
	for _, e := range w.Local.Ignored {
		got = append(got, e.Error())
	}
	want := []string{
		".env:2:1: ignored: must be NAME=VALUE", ".env:3:1: ignored: must be NAME=VALUE",
		`.env:4:1: "${A B" is not a reference, and stays as it is: use ${NAME} or ${NAME:-default}, and $${ for the text ${`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
}

// TestReferences checks references in each place of msctl.yaml.
func TestReferences(t *testing.T) {
	t.Setenv("ITEMS_PORT", "4002")
	t.Setenv("EMPTY", "")
	text := `name: shop
services:
  items:
    path: ./items
    port: ${ITEMS_PORT}
    host: ${ITEMS_HOST:-10.0.0.1}
    env: {A: "${EMPTY:-preset}", B: "${EMPTY}", C: "x${SHARED}y", D: "$${SHARED} $SHARED ${nope nope}", E: "${FILE}"}
  orders: {path: ./orders, port: "${ORDERS_PORT:-4003}"}
env: {SHARED: "${FILE}!"}
brokers: {redis: "${CACHE:-redis://cache:1}"}
`
	w, err := load(t, map[string]string{FileName: text, ".env": "FILE=file\n"})
	if err != nil {
		t.Fatal(err)
	}
	items, orders := w.Service("items"), w.Service("orders")
	want := map[string]string{"A": "preset", "B": "", "C": "xfile!y", "D": "${SHARED} $SHARED ${nope nope}", "E": "file"}
	if diff := cmp.Diff(want, items.Env); diff != "" || items.Port != 4002 || items.Host != "10.0.0.1" || orders.Port != 4003 || w.Brokers[Redis] != "redis://cache:1" {
		t.Errorf("%+v %+v %v (-want +got):\n%s", items, orders, w.Brokers, diff)
	}
	if err := w.CheckVariables(); err != nil || len(w.Local.Ignored) != 1 {
		t.Errorf("error %v, ignored %v", err, w.Local.Ignored)
	}
	// Without an environment, env stays as it is, and defaults count.
	parsed, err := Parse(FileName, []byte(text))
	if err != nil || parsed.Service("items").Port != 0 || parsed.Service("orders").Port != 4003 || parsed.Service("items").Env["E"] != "${FILE}" {
		t.Errorf("parsed %+v, error %v", parsed, err)
	}
}

// TestMissingVariables checks which references prevent which commands: those in env only
// a run, the others all.
func TestMissingVariables(t *testing.T) {
	w, err := load(t, map[string]string{FileName: "name: shop\nservices:\n  items:\n    path: ./items\n    port: 3002\n    env:\n      A: b\n      B: x${MSCTL_TEST_UNSET}\n"})
	if err != nil {
		t.Fatal(err)
	}
	err = w.CheckVariables()
	want := "msctl.yaml:8:10: the variable MSCTL_TEST_UNSET is not set: set it in the environment, .env.local, or .env, or add a default: ${MSCTL_TEST_UNSET:-…}"
	var at *Error
	if !errors.As(err, &at) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	for _, entry := range []string{"port: '${MSCTL_TEST_UNSET}'", "host: '${MSCTL_TEST_UNSET}', port: 1"} {
		_, err = load(t, map[string]string{FileName: "name: shop\nservices:\n  items: {path: ./items, " + entry + "}\n"})
		if err == nil || !strings.Contains(err.Error(), "msctl.yaml:3:") || !strings.Contains(err.Error(), "the variable MSCTL_TEST_UNSET is not set") {
			t.Errorf("%s: error %v", entry, err)
		}
	}
	for _, entry := range []string{"port: '${ZERO:-0}'", "port: '${ZERO:-x}'", "host: '${ZERO:-a b}', port: 1"} {
		if _, err := load(t, map[string]string{FileName: "name: shop\nservices:\n  items: {path: ./items, " + entry + "}\n"}); err == nil || !strings.Contains(err.Error(), "invalid ") {
			t.Errorf("%s: error %v", entry, err)
		}
	}
}

// TestNestedReferences checks references in the defaults of references, in each file.
func TestNestedReferences(t *testing.T) {
	t.Setenv("SET", "set")
	for text, want := range map[string]string{
		"${NONE:-${SET}}": "set", "${NONE:-a${NO:-${SET}}b}c": "asetbc", "${SET:-${NONE}}": "set", "${NONE:-${NO:-}}": "", "${NONE:-{}}": "{}",
		"${NONE:-$${SET}}": "${SET}", "${NONE:-${NO:-http://${SET}:1}/x}": "http://set:1/x", "${SET}}": "set}",
	} {
		w, err := load(t, map[string]string{FileName: oneService + "env: {YAML: '" + text + "'}\n", ".env": "FILE=" + text + "\n"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.CheckVariables(); err != nil || w.Local.Vars["FILE"] != want || w.Env["YAML"] != want || len(w.Local.Ignored) > 0 {
			t.Errorf("%s: %q in .env, %q in msctl.yaml, want %q, error %v, ignored %v", text, w.Local.Vars["FILE"], w.Env["YAML"], want, err, w.Local.Ignored)
		}
	}
	for text, want := range map[string]string{
		"${NONE:-${SET}": "the reference ${NONE is not closed", "${NONE:-secret": "the reference ${NONE is not closed", "${SET": "the reference ${SET is not closed",
		"${NONE:-${NO}}": "the variable NO is not set",
	} {
		w, err := load(t, map[string]string{FileName: oneService + "env:\n  YAML: '" + text + "'\n", ".env": "FILE=" + text + "\n"})
		if err != nil {
			t.Fatal(err)
		}
		err = w.CheckVariables()
		if err == nil || !strings.Contains(err.Error(), ".env:1:1: "+want) || !strings.Contains(err.Error(), FileName+":") || strings.Count(err.Error(), want) != 2 || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v, want %q of both files", text, err, want)
		}
	}
	_, err := load(t, map[string]string{FileName: "name: shop\nservices:\n  items:\n    path: ./items\n    port: ${SET:-${NONE}\n"})
	if want := FileName + ":5:11: the reference ${SET is not closed"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}
