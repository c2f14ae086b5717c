package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
)

// TestPrintedGoCompiles vets what --print-code go prints, as a user would build
// it beside the runtime.
func TestPrintedGoCompiles(t *testing.T) {
	object, err := micro.ParsePattern("{\"a\":1,\"b\":\"`\"}")
	if err != nil {
		t.Fatal(err)
	}
	one := policyFlags{timeout: 1500 * time.Millisecond, backoff: "constant", jitter: "none"}
	many := policyFlags{timeout: time.Second, retries: 2, delay: time.Nanosecond, backoff: "exponential", jitter: "equal"}
	tests := map[string]sendOptions{
		"request": {pattern: micro.Cmd("x"), data: []byte(`{"a":"b"}`), policy: one},
		"event":   {pattern: micro.Name("a.b"), data: []byte("{\n}"), event: true, policy: one},
		"all":     {pattern: object, data: []byte("\"`\""), policy: many, meta: []string{"k=v", "q=\""}},
	}
	targets := map[string]target{
		"request": {scheme: schemeTCP, addresses: []string{"a:1", "b:2"}},
		"event":   {scheme: schemeTCP, addresses: []string{"[::1]:1"}},
		"all":     {scheme: schemeTLS, addresses: []string{"a:1"}},
	}
	for name, o := range tests {
		t.Run(name, func(t *testing.T) {
			s, b := term.NewTest("", term.Facts{})
			o.printCode = "go"
			if err := printCode(t.Context(), s, o, targets[name]); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, b.Out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s\n%s", err, out, b.Out.String())
			}
		})
	}
}
