package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	for name, address := range map[string]string{
		"rabbitmq": "amqp://app:s3cret@a,b:1/a%2Fb/q?durable=false&exclusive&autoDelete&messageTtl=1500&expires=60000&maxLength=5&maxPriority=3&" +
			"deadLetterExchange=x&deadLetterRoutingKey=k&x-queue-type=classic&x-n=5&x-yes=true&exchange=e&exchangeType=direct&routingKey=r&persistent&replyQueue=answers",
		"wildcards": "amqps://a/q?wildcards&noAssert",
		"redis":     "redis://:s3cret@a/2",
		"rediss":    "rediss://app@a",
		"nats":      "nats://app:s3cret@a,b?inboxPrefix=_APP",
		"token":     "nats+tls://s3cret@a",
	} {
		to, err := parseURL(address)
		if err != nil {
			t.Fatal(err)
		}
		tests[name], targets[name] = tests["request"], to
	}
	for name, o := range tests {
		t.Run(name, func(t *testing.T) {
			s, b := term.NewTest("", term.Facts{})
			o.printCode = "go"
			if err := printCode(t.Context(), s, o, targets[name]); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.Out.String(), "s3cret") {
				t.Errorf("the code holds the password:\n%s", b.Out.String())
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
