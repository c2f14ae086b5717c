package workspace

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", FileName))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAddServiceKeepsEverythingElse(t *testing.T) {
	before := example(t)
	got, err := AddService([]byte(before), Service{
		Name: "payments", Path: "./apps/payments", Transport: TCP, Port: 3004, DependsOn: []string{"items"},
		Env: map[string]string{"ITEMS_URL": "tcp://localhost:3002", "ON": "yes", "B": "a: b # c"},
	})
	if err != nil {
		t.Fatal(err)
	}
	added := `
  payments:
    path: ./apps/payments
    transport: tcp
    port: 3004
    depends_on: [items]
    env:
      B: "a: b # c"
      ITEMS_URL: tcp://localhost:3002
      ON: "yes"
`
	want := strings.Replace(before, "# the second hop\n", "# the second hop\n"+added, 1)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

func TestAddServiceToFilesOfAllKinds(t *testing.T) {
	s := Service{Name: "b", Path: "./b", Transport: TCP, Port: 2}
	tests := []struct{ name, before, want string }{
		{"no services yet", "name: a\nservices: {}\n", "name: a\nservices:\n  b:\n    path: ./b\n    transport: tcp\n    port: 2\n"},
		{"a bare key", "name: a\nservices:\n", "name: a\nservices:\n  b:\n    path: ./b\n    transport: tcp\n    port: 2\n"},
		{"four spaces", "name: a\nservices:\n    x:\n        path: x\n        port: 1\n",
			"name: a\nservices:\n    x:\n        path: x\n        port: 1\n    b:\n        path: ./b\n        transport: tcp\n        port: 2\n"},
		{"services come first", "services:\n  x: {path: x, port: 1}\n\n# the name\nname: a\n",
			"services:\n  x: {path: x, port: 1}\n  b:\n    path: ./b\n    transport: tcp\n    port: 2\n\n# the name\nname: a\n"},
		{"Windows, flow style, and a byte order mark", "\ufeffname: a\r\nservices:\r\n  x: {path: x, port: 1}\r\n",
			"\ufeffname: a\r\nservices:\r\n  x: {path: x, port: 1}\r\n  b:\r\n    path: ./b\r\n    transport: tcp\r\n    port: 2\r\n"},
		{"Windows line ends", "name: a\r\nservices:\r\n  x: {path: x, port: 1}\r\n",
			"name: a\r\nservices:\r\n  x: {path: x, port: 1}\r\n  b:\r\n    path: ./b\r\n    transport: tcp\r\n    port: 2\r\n"},
		{"no newline at the end", "name: a\nservices:\n  x: {path: x, port: 1}",
			"name: a\nservices:\n  x: {path: x, port: 1}\n  b:\n    path: ./b\n    transport: tcp\n    port: 2\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AddService([]byte(tt.before), s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddServiceRefuses(t *testing.T) {
	tests := []struct {
		name, before string
		s            Service
		part         string
	}{
		{"the name is taken", example(t), Service{Name: "items", Path: "x", Port: 9}, "is already in msctl.yaml"},
		{"the port is taken", example(t), Service{Name: "b", Path: "x", Port: 3002}, "services items and b have the same port 3002"},
		{"the file is broken", "name: [", Service{Name: "b", Path: "x", Port: 9}, "msctl.yaml:1:"},
		{"one line", "name: a\nservices: {x: {path: x, port: 1}}\n", Service{Name: "b", Path: "x", Port: 9}, "in flow style"},
		{"all in one line", "{name: a, services: {}}\n", Service{Name: "b", Path: "x", Port: 9}, "in flow style"},
		{"a bad name", "name: a\nservices: {}\n", Service{Name: "B", Path: "x", Port: 9}, "must be a lower-case letter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AddService([]byte(tt.before), tt.s)
			if err == nil || !strings.Contains(err.Error(), tt.part) {
				t.Errorf("AddService = %q, %v; want an error with %q", got, err, tt.part)
			}
		})
	}
}

func TestAddDependencyAndEnv(t *testing.T) {
	text := []byte(example(t))
	steps := []struct {
		name string
		do   func([]byte) ([]byte, error)
	}{
		{"into a block list", func(b []byte) ([]byte, error) { return AddDependency(b, "gateway", "mail") }},
		{"into a flow list", func(b []byte) ([]byte, error) { return AddDependency(b, "orders", "mail") }},
		{"a new list", func(b []byte) ([]byte, error) { return AddDependency(b, "mail", "items") }},
		{"there already", func(b []byte) ([]byte, error) { return AddDependency(b, "orders", "items") }},
		{"into a block mapping", func(b []byte) ([]byte, error) { return AddEnv(b, "mail", "ITEMS_URL", "tcp://localhost:3002") }},
		{"into a flow mapping", func(b []byte) ([]byte, error) { return AddEnv(b, "orders", "MAIL_URL", "tcp://127.0.0.1:3010") }},
		{"a new mapping", func(b []byte) ([]byte, error) { return AddEnv(b, "gateway", "N", "1") }},
		{"set already", func(b []byte) ([]byte, error) { return AddEnv(b, "mail", "RETRIES", "9") }},
	}
	windows := bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	for _, step := range steps {
		var err error
		if text, err = step.do(text); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if windows, err = step.do(windows); err != nil || string(windows) != strings.ReplaceAll(string(text), "\n", "\r\n") {
			t.Fatalf("%s, with Windows line endings: %q, %v", step.name, windows, err)
		}
	}
	r := strings.NewReplacer(
		"      - orders # the second hop\n", "      - orders # the second hop\n      - mail\n    env:\n      N: \"1\"\n",
		"depends_on: [items]", "depends_on: [items, mail]",
		"      EMPTY:\n", "      EMPTY:\n      ITEMS_URL: tcp://localhost:3002\n    depends_on: [items]\n",
		`3002"}`, `3002", MAIL_URL: tcp://127.0.0.1:3010}`,
	)
	if diff := cmp.Diff(r.Replace(example(t)), string(text)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	for name, do := range map[string]func() ([]byte, error){
		"a cycle":         func() ([]byte, error) { return AddDependency(text, "items", "gateway") },
		"unknown service": func() ([]byte, error) { return AddDependency(text, "unknown", "items") },
		"unknown target":  func() ([]byte, error) { return AddDependency(text, "items", "unknown") },
		"no such service": func() ([]byte, error) { return AddEnv(text, "unknown", "A", "b") },
		"a bad variable":  func() ([]byte, error) { return AddEnv(text, "items", "A-B", "b") },
	} {
		if got, err := do(); err == nil {
			t.Errorf("%s: no error, but %q", name, got)
		}
	}
}

// FuzzWorkspace holds loading and editing to: never a panic, errors have a
// place, and a service that was added is there.
func FuzzWorkspace(f *testing.F) {
	text, err := os.ReadFile(filepath.Join("testdata", FileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	for _, seed := range []string{
		"name: a\nservices: {}\n", "name: &a x\nservices: *a\n", "{}", "a: !!int 1", "- - -", "name: |\n  x\n", "\"\\x\"", "? a\n: b", "<<: {}",
		"name: a\nservices:\n  x: {path: x, port: 1, env: {A: .inf}}\n", "name: a\nservices:\n  x:\n", "%YAML 1.2\n---\n", "name: a\n...\n---\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := Parse(FileName, []byte(text))
		if err != nil {
			joined, ok := err.(interface{ Unwrap() []error })
			if !ok {
				t.Fatalf("%T", err)
			}
			for _, e := range joined.Unwrap() {
				var at *Error
				if !errors.As(e, &at) || at.Line < 1 || at.Column < 1 || at.Message == "" {
					t.Fatalf("an error without a place: %#v", e)
				}
			}
			return
		}
		w.Order()
		after, err := AddService([]byte(text), Service{Name: "zz-new", Path: "./zz", Port: 65535})
		if err != nil {
			return
		}
		again, err := Parse(FileName, after)
		if err != nil || again.Service("zz-new") == nil || len(again.Services) != len(w.Services)+1 {
			t.Fatalf("after AddService: %v\n%s", err, after)
		}
	})
}
