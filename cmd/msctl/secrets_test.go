package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// encrypted starts the three brokers with TLS and a password, and returns their
// addresses for msctl, including the password.
func encrypted(t *testing.T, c *testenv.Certificates) map[string]string {
	t.Helper()
	redis := testenv.PrivateRedis(t, append(c.Redis(), "requirepass "+brokerPassword)...)
	nats := testenv.PrivateNATS(t, append(c.NATS(), "authorization { user: app, password: "+brokerPassword+" }")...)
	rabbit := testenv.RabbitMQ(t, append(c.RabbitMQ(), "default_user = app", "default_pass = "+brokerPassword)...)
	return map[string]string{
		"redis":    "rediss://:" + brokerPassword + "@" + redis.Addr,
		"nats":     "nats+tls://app:" + brokerPassword + "@" + nats.Addr,
		"rabbitmq": "amqps://app:" + brokerPassword + "@" + rabbit.Addr + "/work",
	}
}

// TestBrokersOverTLS runs every command on brokers that accept only TLS, with the
// password in the address. The password must not be printed or written to a file.
func TestBrokersOverTLS(t *testing.T) {
	c := testenv.NewCertificates(t)
	for name, to := range encrypted(t, c) {
		t.Run(name, func(t *testing.T) {
			run := func(code int, args ...string) string {
				t.Helper()
				got := runMsctl(t, args...)
				if got.code != code || strings.Contains(got.stdout+got.stderr, brokerPassword) {
					t.Errorf("msctl %q: %+v, want code %d and no password", args, got, code)
				}
				return got.stdout + got.stderr
			}
			mockBehind(t, to, "--ca", c.CAFile)
			trusting := []string{"--to", to, "--ca", c.CAFile}
			for _, args := range [][]string{
				append(trusting, "--retries", "100", "--retry-delay", "100ms", "-v"),
				{"--to", to, "--insecure"},
				append(trusting, "--cert", c.CertFile, "--key", c.KeyFile),
				{"--to", to, "--print-code", "go"},
				{"--to", to, "--print-code", "nest"},
				append(trusting, "--event", "-v"),
			} {
				run(0, append([]string{"send", "cmd=work"}, args...)...)
			}
			run(2, append([]string{"send", "cmd=work", "--print-code", "go"}, trusting...)...)
			if text := run(4, "send", "cmd=work", "--to", to); !strings.Contains(text, "certificate") {
				t.Errorf("an unknown authority: %s", text)
			}
			run(4, "send", "cmd=work", "--insecure", "--to", strings.Replace(to, brokerPassword, "another", 1))
			run(2, "send", "cmd=work", "--insecure", "--to", strings.Replace(to, "127.0.0.1:", "127.0.0.1:x", 1))
			run(2, "ls", to, "--to", to+"x")
			run(0, "ls", to, "--ca", c.CAFile)
			run(0, "ls", to, "--ca", c.CAFile, "-o", "json")
			proxy := typeTo(t, "stats\nquit\n", "fault", "--listen", "127.0.0.1:0", "--to", to, "--fault", "latency=1ms")
			if text := proxy.stdout + proxy.stderr; proxy.code != 0 || !strings.Contains(text, "forwards to") || strings.Contains(text, brokerPassword) {
				t.Errorf("fault: %+v", proxy)
			}
			testBenchKeepsQuiet(t, to, c.CAFile)
			testScenarioKeepsQuiet(t, to)
		})
	}
}

// mockBehind serves cmd=work on a broker until the test ends.
func mockBehind(t *testing.T, to string, args ...string) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	mock := exec.Command(binary, append([]string{"mock", "--listen", to, "--pattern", "cmd=work", "--service-time", "1ms"}, args...)...)
	mock.Args[0] = "msctl"
	mock.Stdout, mock.Stderr = &out, &out
	stdin, err := mock.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := mock.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fmt.Fprintln(stdin, "quit")
		if err := mock.Wait(); err != nil || strings.Contains(out.String(), brokerPassword) || !strings.Contains(out.String(), "replies to") {
			t.Errorf("the mock: %v\n%s", err, &out)
		}
	})
}

// testBenchKeepsQuiet checks that no report contains the password.
func testBenchKeepsQuiet(t *testing.T, to, ca string) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	got := runMsctl(t, "bench", "cmd=work", "--to", to, "--ca", ca, "--users", "2", "--requests", "40", "--fault", "latency=1ms", "--save", file("json"),
		"--html", file("html"), "--markdown", file("md"), "--csv", file("csv"), "--junit", file("xml"), "--vegeta", file("bin"))
	if got.code != 0 || !strings.Contains(got.stdout, "  ok                    40        100%") {
		t.Errorf("bench: %+v", got)
	}
	again := runMsctl(t, "bench", "report", file("json"))
	compared := runMsctl(t, "bench", "compare", file("json"), file("json"))
	if text := fmt.Sprint(got, again, compared); strings.Contains(text, brokerPassword) {
		t.Errorf("bench prints the password: %s", text)
	}
	for _, kind := range []string{"json", "html", "md", "csv", "xml", "bin"} {
		text, err := os.ReadFile(file(kind))
		if err != nil || strings.Contains(string(text), brokerPassword) {
			t.Errorf("the report in %s (%v) contains the password", kind, err)
		}
	}
}

// testScenarioKeepsQuiet checks errors in scenario files that contain an address.
func testScenarioKeepsQuiet(t *testing.T, to string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bench.yaml")
	for _, text := range []string{
		"to: " + to + "\nto: x\n",
		"messages:\n  - to: " + to + "\n",
		"messages:\n  - {to: '" + to + "', pattern: cmd=x, wieght: 2}\n",
		"{to: '" + to + "', rat: 5}\n",
		"to: " + to + "?nope=1\nmessages:\n  - pattern: cmd=x\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := runMsctl(t, "bench", "--scenario", file)
		if got.code != 2 || strings.Contains(got.stdout+got.stderr, brokerPassword) {
			t.Errorf("%s: %+v, want a usage error without the password", text, got)
		}
	}
}
