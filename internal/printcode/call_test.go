package printcode

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestPrintedGoCompiles vets the output of --print-code go, all programs at once.
func TestPrintedGoCompiles(t *testing.T) {
	object, err := micro.ParsePattern("{\"a\":1,\"b\":\"`\"}")
	if err != nil {
		t.Fatal(err)
	}
	one := policy.Settings{Timeout: 1500 * time.Millisecond}
	many := policy.Settings{Timeout: time.Second, Retries: 2, Backoff: policy.Exponential(time.Nanosecond, 0), Jitter: policy.EqualJitter}
	var metadata micro.Metadata
	metadata.Set("k", "v")
	metadata.Set("q", "\"")
	metadata.Set("x-token", "s3cret")
	request := Call{Pattern: micro.Cmd("x"), Data: []byte(`{"a":"b"}`), Policy: one}
	tests := map[string]Call{
		"request": request,
		"event":   {Pattern: micro.Name("a.b"), Data: []byte("{\n}"), Event: true, Policy: one},
		"all":     {Pattern: object, Data: []byte("\"`\""), Policy: many, Metadata: metadata, NoMetadata: true, MaxBuffer: 1 << 20},
		"secrets": {Pattern: micro.Cmd("x"), Data: []byte("{\"password\":\"s3cret\",\"`\":[{\"apiKey\":\"s3cret2\"}],\"pin\":1}"), Policy: one},
	}
	for name, address := range map[string]string{
		"request": "tcp://a:1,b:2",
		"event":   "tcp://[::1]:1",
		"all":     "tls://a:1",
		"secrets": "tcp://a:1",
		"rabbitmq": "amqp://app:s3cret@a,b:1/a%2Fb/q?durable=false&exclusive&autoDelete&messageTtl=1500&expires=60000&maxLength=5&maxPriority=3&" +
			"deadLetterExchange=x&deadLetterRoutingKey=k&x-queue-type=classic&x-n=5&x-yes=true&exchange=e&exchangeType=direct&routingKey=r&persistent&replyQueue=answers",
		"wildcards": "amqps://a/q?wildcards&noAssert",
		"redis":     "redis://:s3cret@a/2",
		"rediss":    "rediss://app@a",
		"nats":      "nats://app:s3cret@a,b?inboxPrefix=_APP",
		"token":     "nats+tls://s3cret@a",
	} {
		to, err := target.ParseURL(address)
		if err != nil {
			t.Fatal(err)
		}
		c, ok := tests[name]
		if !ok {
			c = request
		}
		c.Target = to
		tests[name] = c
	}
	files := map[string][]byte{}
	for name, c := range tests {
		var out bytes.Buffer
		if err := WriteCall(&out, "go", c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if strings.Contains(out.String(), "s3cret") {
			t.Errorf("the code of %s contains the password:\n%s", name, out.String())
		}
		files[name] = out.Bytes()
	}
	vetPrograms(t, files)
}

// vetPrograms vets programs that import the runtime, each as a package of one module.
func vetPrograms(t *testing.T, files map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	testenv.GoModule(t, dir, "printed")
	for name, text := range files {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "main.go"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vet := exec.CommandContext(t.Context(), "go", "vet", "./...")
	vet.Dir = dir
	if output, err := vet.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// TestPrintedSecrets checks that the code reads credentials from the environment.
func TestPrintedSecrets(t *testing.T) {
	to, err := target.ParseURL("tcp://a:1")
	if err != nil {
		t.Fatal(err)
	}
	var metadata micro.Metadata
	metadata.Set("token", "s3cret")
	for language, want := range map[string]string{
		"nest": `client.send({"cmd":"x"}, {"user":{"password":process.env.PASSWORD},"n":1})`,
		"go":   "json.RawMessage(`{\"user\":{\"password\":`+variable(\"PASSWORD\")+`},\"n\":1}`)",
		"curl": `packet='{"pattern":{"cmd":"x"},"data":{"user":{"password":"'"$PASSWORD"'"},"n":1},`,
	} {
		c := Call{Target: to, Pattern: micro.Cmd("x"), Data: []byte(`{"user":{"password":"s3cret"},"n":1}`), Policy: policy.Settings{Timeout: time.Second}}
		if language != "nest" {
			c.Metadata = metadata
		}
		var out bytes.Buffer
		if err := WriteCall(&out, language, c); err != nil {
			t.Fatal(err)
		}
		if text := out.String(); !strings.Contains(text, want) || strings.Contains(text, "s3cret") {
			t.Errorf("%s, want %s:\n%s", language, want, text)
		}
	}
}

// TestPrintedTimers checks that code whose timers JavaScript cannot hold is not printed, and
// that the code states how RxJS differs.
func TestPrintedTimers(t *testing.T) {
	to, err := target.ParseURL("tcp://a:1")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		policy policy.Settings
		event  bool
		want   string // part of the code or of the error
	}{
		"usual":      {policy.Settings{Timeout: time.Second}, false, "// Unlike `msctl send`, RxJS restarts the timeout with each value of the reply.\n"},
		"retries":    {policy.Settings{Timeout: time.Second, Retries: 1}, false, "of the reply, and retries on any error, even after a value.\n"},
		"a month":    {policy.Settings{Timeout: 600 * time.Hour}, false, "timers in JavaScript end after 24.8 days (--timeout, up to 600h0m0s)"},
		"growing":    {policy.Settings{Timeout: time.Second, Retries: 40, Backoff: policy.Exponential(time.Second, 0)}, false, "timers in JavaScript end after 24.8 days (--retry-delay"},
		"a fraction": {policy.Settings{Timeout: 1500 * time.Microsecond}, false, "timers in JavaScript count whole milliseconds (--timeout 1.5ms)"},
		"an event":   {policy.Settings{Timeout: 600 * time.Hour}, true, "client.emit("},
	} {
		var out bytes.Buffer
		err := WriteCall(&out, "nest", Call{Target: to, Pattern: micro.Cmd("x"), Data: []byte("{}"), Policy: c.policy, Event: c.event})
		if text := fmt.Sprint(out.String(), err); !strings.Contains(text, c.want) || err != nil && out.Len() > 0 {
			t.Errorf("%s: %s, want %q", name, text, c.want)
		}
	}
}
