package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
)

// result is the outcome of a run of msctl.
type result struct {
	stdout, stderr string
	code           int
}

func runMsctl(t *testing.T, args ...string) result {
	t.Helper()
	return typeTo(t, "", args...)
}

// typeTo is runMsctl with text on standard input.
func typeTo(t *testing.T, text string, args ...string) result {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := &exec.Cmd{Path: binary, Args: append([]string{"msctl"}, args...), Dir: t.TempDir(), Stdout: &stdout, Stderr: &stderr}
	cmd.Stdin = strings.NewReader(text)
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// sendCase is one `msctl send` and its expected outcome.
type sendCase struct {
	args   []string
	stdout string
	stderr string // a part of it; "" if nothing is printed
	code   int
}

func (c sendCase) check(t *testing.T, got result) {
	t.Helper()
	if got.stdout != c.stdout || got.code != c.code || !strings.Contains(got.stderr, c.stderr) || c.stderr == "" && got.stderr != "" {
		t.Errorf("send %q: %+v", c.args, got)
	}
}

// nestAnswers returns what a NestJS service answers over every transport.
func nestAnswers() []sendCase {
	return []sendCase{
		{[]string{"cmd=echo", "name=é😀", "n:=[1,2.5]"}, `{"name":"é😀","n":[1,2.5]}` + "\n", "", 0},
		{[]string{"cmd=stream", "n:=3", "delay:=1"}, "0\n1\n2\n", "", 0},
		{[]string{"cmd=returnUndefined"}, "", "", 0},
		{[]string{"cmd=returnNull"}, "null\n", "", 0},
		{[]string{"cmd=streamThenError"}, "1\n2\n", "returned an error: stream failed", 3},
	}
}

// checkNeverAnswered sends a message that NestJS does not answer. The timeout covers
// connecting as well, so it is extended if the machine is busy.
func checkNeverAnswered(t *testing.T, run func(*testing.T, ...string) result, to string) {
	t.Helper()
	var got result
	for limit := 500 * time.Millisecond; limit < time.Minute; limit *= 4 {
		got = run(t, "send", "cmd=never", "--timeout", limit.String(), "--to", to)
		if got.code == 5 && strings.Contains(got.stderr, "did not reply in time") {
			return
		}
	}
	t.Errorf("send cmd=never: %+v", got)
}

// TestSendToNest sends messages to real NestJS services.
func TestSendToNest(t *testing.T) {
	for _, version := range testenv.LiveVersions() {
		t.Run(string(version), func(t *testing.T) {
			nest := testenv.Nest(t, version)
			want := runMsctl(t, "send", `{"cmd":"returnArray"}`, "--to", "tcp://"+nest.Addr)
			if want.code != 0 || !strings.HasPrefix(want.stdout, "[1,") || want.stderr != "" {
				t.Fatalf("returnArray: %+v", want)
			}
			for _, pattern := range []string{`<"cmd":"returnArray">`, "cmd=returnArray", "cmd:returnArray"} {
				got := runMsctl(t, "send", pattern, "--to", "tcp://"+nest.Addr)
				if got != want {
					t.Errorf("%s: %+v, want %+v", pattern, got, want)
				}
			}
			tests := append(nestAnswers(), sendCase{[]string{"cmd=returnArrays"}, "", "has no handler for {\"cmd\":\"returnArrays\"}", 3})
			for _, tt := range tests {
				tt.check(t, runMsctl(t, append(append([]string{"send"}, tt.args...), "-t", nest.Addr)...))
			}
			checkNeverAnswered(t, runMsctl, nest.Addr)
			if got := runMsctl(t, "emit", "user.created", "id:=1", "-t", nest.Addr); got != (result{}) {
				t.Errorf("emit: %+v", got)
			}
			if got := runMsctl(t, "ls", nest.Addr); got.code != 3 || !strings.Contains(got.stderr, "cannot list its handlers") {
				t.Errorf("ls: %+v", got)
			}
		})
	}
}

// TestNoMetadata: a NestJS handler sees the metadata that msctl adds, and with --no-metadata
// only that of --meta. The same holds for each request of a bench.
func TestNoMetadata(t *testing.T) {
	nest := testenv.Nest(t, testenv.Nest12)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, `["correlation-id","timeout-ms"]`},
		{[]string{"--no-metadata"}, `[]`},
		{[]string{"--no-metadata", "-m", "tenant=acme"}, `["tenant"]`},
	} {
		jq := ".metadata // {} | keys"
		got := runMsctl(t, append([]string{"send", "cmd=ctx", "--jq", jq, "-t", nest.Addr}, tt.args...)...)
		if got != (result{stdout: tt.want + "\n"}) {
			t.Errorf("send %q: %+v", tt.args, got)
		}
		got = runMsctl(t, append([]string{"bench", "cmd=ctx", "-t", nest.Addr, "-n", "3", "--users", "1", "--no-tui",
			"--expect", jq + " == " + tt.want}, tt.args...)...)
		if got.code != 0 || !strings.Contains(got.stdout, "100%") {
			t.Errorf("bench %q: %+v", tt.args, got)
		}
	}
}

// TestPrintedNestCodeRuns runs the output of --print-code nest with NestJS's client. It
// must print the same answer as send.
func TestPrintedNestCodeRuns(t *testing.T) {
	nest := testenv.Nest(t, testenv.Nest12)
	call := []string{"send", "cmd=echo", `text=it's "quoted"`, "-t", nest.Addr}
	code := runMsctl(t, append(call, "--print-code", "nest", "--retries", "1", "--backoff", "exponential", "--jitter=full")...)
	if code.code != 0 {
		t.Fatalf("%+v", code)
	}
	node := exec.Command("node", "--input-type=module")
	node.Dir = filepath.Join(testenv.Root(), "testdata", "nest", string(testenv.Nest12))
	node.Stdin = strings.NewReader(code.stdout)
	out, err := node.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, code.stdout)
	}
	if diff := cmp.Diff(runMsctl(t, call...).stdout, string(out)); diff != "" {
		t.Errorf("the printed code's answer (-send +code):\n%s\n%s", diff, code.stdout)
	}
}
