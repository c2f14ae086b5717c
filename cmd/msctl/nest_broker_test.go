package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
)

// brokerPassword is the password of the brokers. It must never be printed.
const brokerPassword = "s3cret-7f3a"

// nestBehindBrokers starts a NestJS service on a broker of each kind, with a password,
// and returns the targets of the services.
func nestBehindBrokers(t *testing.T) map[string]string {
	t.Helper()
	redis := testenv.PrivateRedis(t, "requirepass "+brokerPassword)
	nats := testenv.PrivateNATS(t, "authorization { user: app, password: "+brokerPassword+" }")
	rabbit := testenv.RabbitMQ(t, "default_user = app", "default_pass = "+brokerPassword)
	_, port, _ := strings.Cut(redis.Addr, ":")
	testenv.Nest(t, testenv.Nest12, "--transport", "redis", "--port", port, "--options", `{"password":"`+brokerPassword+`"}`)
	testenv.Nest(t, testenv.Nest12, "--transport", "nats", "--url", "nats://"+nats.Addr, "--options", `{"user":"app","pass":"`+brokerPassword+`"}`)
	testenv.Nest(t, testenv.Nest12, "--transport", "rmq", "--url", "amqp://app:"+brokerPassword+"@"+rabbit.Addr, "--queue", "items")
	return map[string]string{
		"redis":    "redis://@" + redis.Addr,
		"nats":     "nats://app@" + nats.Addr,
		"rabbitmq": "amqp://app@" + rabbit.Addr + "/items",
	}
}

// runSecretly is runMsctl with the password in the environment. It fails the test if the
// password is printed.
func runSecretly(t *testing.T, args ...string) result {
	t.Helper()
	t.Setenv("MSCTL_PASSWORD", brokerPassword)
	r := runMsctl(t, args...)
	if strings.Contains(r.stdout+r.stderr, brokerPassword) {
		t.Errorf("msctl %q prints the password: %+v", args, r)
	}
	return r
}

// TestNestBehindBrokers sends messages to real NestJS services on brokers with
// passwords, and runs the code that is printed for them, with NestJS's client and ours.
func TestNestBehindBrokers(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	for name, to := range nestBehindBrokers(t) {
		t.Run(name, func(t *testing.T) {
			for _, tt := range nestAnswers() {
				tt.check(t, runSecretly(t, append(append([]string{"send"}, tt.args...), "-t", to)...))
			}
			checkNeverAnswered(t, runSecretly, to)
			if got := runSecretly(t, "emit", "user.created", "id:=1", "-t", to); got != (result{}) {
				t.Errorf("emit: %+v", got)
			}
			if got := runSecretly(t, "ls", to); got.code == 0 || !strings.Contains(got.stderr, "NestJS services cannot") {
				t.Errorf("ls: %+v", got)
			}
			unknown := map[string]int{"redis": 4, "nats": 4, "rabbitmq": 3}[name] // RabbitMQ's queue takes every pattern
			if got := runSecretly(t, "send", "cmd=returnArrays", "-t", to); got.code != unknown || !strings.Contains(got.stderr, `{"cmd":"returnArrays"}`) {
				t.Errorf("an unknown pattern: %+v", got)
			}
			testPrintedCode(t, to)
		})
	}
}

// nestLog matches the lines that NestJS logs on standard output.
var nestLog = regexp.MustCompile(`(?m)^.*\[Nest\].*\n`)

// testPrintedCode runs the output of --print-code. It must print the same answer as
// send.
func testPrintedCode(t *testing.T, to string) {
	t.Helper()
	call := []string{"send", "cmd=echo", `text=it's "quoted"`, "-t", to}
	want := runSecretly(t, call...)
	nest := exec.Command("node", "--input-type=module")
	nest.Dir = filepath.Join(testenv.Root(), "testdata", "nest", string(testenv.Nest12))
	nest.Stdin = strings.NewReader(runSecretly(t, append(call, "--print-code", "nest", "--retries", "1")...).stdout)
	file := filepath.Join(t.TempDir(), "main.go")
	text := runSecretly(t, append(call, "--print-code", "go", "--retries", "1")...).stdout
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ours := exec.Command("go", "run", "-ldflags=-s -w", file) // without debug information, linking takes half the time
	ours.Dir = testenv.Root()
	for language, command := range map[string]*exec.Cmd{"nest": nest, "go": ours} {
		var stderr bytes.Buffer
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Errorf("the code in %s: %v\n%s", language, err, stderr.String())
		}
		if diff := cmp.Diff(want.stdout, nestLog.ReplaceAllString(string(out), "")); diff != "" {
			t.Errorf("the answer of the code in %s (-send +code):\n%s", language, diff)
		}
	}
}
