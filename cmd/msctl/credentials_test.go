package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// canary is part of every credential in these tests, and must be part of no output.
const canary = "cAnArY7731"

// startHelper starts a helper that writes its address to a file, and returns the address.
func startHelper(t *testing.T, name string, args ...string) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	addr := filepath.Join(dir, "addr")
	helper := &exec.Cmd{Path: binary, Args: append([]string{name, "-addr", addr}, args...), Dir: dir}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = helper.Process.Kill()
		_ = helper.Wait()
	})
	return waitForText(t, addr)
}

// TestCredentialsInMessages sends credentials in every place of a message, to handlers
// that accept them and to one that repeats them in its error.
func TestCredentialsInMessages(t *testing.T) {
	addr := startHelper(t, "service")
	data := filepath.Join(t.TempDir(), "data.json")
	write(t, data, `{"login":{"password":"`+canary+`"}}`)
	type places = []string
	for _, args := range []places{
		{"password=" + canary}, {"user.accessToken=" + canary}, {"user:={\"name\":\"me\",\"api_key\":\"" + canary + "\"}"},
		{`{"a":[{"clientSecret":"` + canary + `"}]}`}, {"@" + data}, {"token=@" + data}, {"-m", "token=" + canary}, {"-mx-api-key=" + canary},
		{"-m", "Authorization=Bearer " + canary},
		// malformed
		{"password:=" + canary}, {`{"password":"` + canary}, {`{"password":"` + canary + `",}`}, {"{}", "password=" + canary},
		{"-m", "token " + canary}, {"password=" + canary, "password=" + canary}, {"pass.=" + canary}, {"--token=" + canary},
	} {
		for _, command := range []places{
			{"send", "cmd=echo", "-v"}, {"send", "cmd=echo", "-o", "json"}, {"emit", "item.v1.viewed", "-v"}, {"send", "cmd=missing", "-v"},
			{"send", "cmd=metadata", "-v"}, {"send", "cmd=reject", "-v"}, {"send", "cmd=echo", "--expect", ".password == 1"},
			{"send", "cmd=echo", "--print-code", "go"}, {"send", "cmd=echo", "--print-code", "nest"}, {"send", "cmd=echo", "--print-code", "curl"},
			{"send", "cmd=echo", "--each"}, {"bench", "cmd=echo", "--users", "1", "-n", "2", "--no-tui"}, {"bench", "cmd=reject", "--users", "1", "-n", "2"},
		} {
			all := append(append(append(places{}, command...), args...), "-t", addr)
			if got := runMsctl(t, all...); strings.Contains(got.stdout+got.stderr, canary) {
				t.Errorf("msctl %q shows the credential: %+v", all, got)
			}
		}
	}
	got := typeTo(t, `{"password":"`+canary+`"}`+"\n"+`{"password":"`+canary+`"`+"\n", "send", "cmd=reject", "--each", "-v", "-t", addr)
	if strings.Contains(got.stdout+got.stderr, canary) || !strings.Contains(got.stderr, "the credential *** is wrong") {
		t.Errorf("--each: %+v", got)
	}
	// A peer that is no service repeats what it got.
	for _, sends := range []string{"220 hello " + canary + "\r\n", "hello # " + canary, canary} {
		peer := "tcp://" + rawPeer(t, sends, false, true)
		for _, command := range []places{{"send", "cmd=x", "--timeout", "10s"}, {"emit", "cmd=x"}, {"bench", "cmd=x", "--users", "1", "-n", "1", "--no-tui"}} {
			all := slices.Concat(command, []string{"password=" + canary, "-m", "token=" + canary, "--to", peer})
			if got := runMsctl(t, all...); strings.Contains(got.stdout+got.stderr, canary) || got.code == 0 {
				t.Errorf("msctl %q: %+v", all, got)
			}
		}
	}
	// What is raw is not changed.
	if got := runMsctl(t, "send", "cmd=echo", "password="+canary, "--jq", ".password", "-o", "raw", "-t", addr); got.stdout != canary+"\n" {
		t.Errorf("-o raw: %+v", got)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCredentialsInAddresses uses addresses with credentials, which cannot be reached or
// parsed.
func TestCredentialsInAddresses(t *testing.T) {
	for _, to := range []string{
		"amqp://me:" + canary + "@127.0.0.1:1/queue", "redis://:" + canary + "@127.0.0.1:1", "nats://" + canary + "@127.0.0.1:1",
		"nats://me:" + canary + "@127.0.0.1:1", "amqp://me:" + canary + "@127.0.0.1:x/q", "nope://me:" + canary + "@h", "amqp://me:a/" + canary + "@h/q?nope=1",
		"http://me:" + canary + "@127.0.0.1:1/?token=" + canary, "http://127.0.0.1:1/?api_key=" + canary + "&a=b", "tcp://me:" + canary + "@h:1", "http://[::?token=" + canary,
	} {
		for _, args := range [][]string{
			{"send", "cmd=x", "-v", "--timeout", "1s", "--to", to}, {"emit", "cmd=x", "--to", to}, {"ls", to}, {"ls", to, "-o", "json"},
			{"bench", "--users", "1", "-n", "1", "--to", to}, {"bench", "cmd=x", "--users", "1", "-n", "1", "--to", to},
			{"fault", "--listen", "127.0.0.1:0", "--to", to}, {"mock", "--pattern", "cmd=x", "--listen", to},
			{"send", "cmd=x", "--print-code", "go", "--to", to},
		} {
			if got := typeTo(t, "stats\nquit\n", args...); strings.Contains(got.stdout+got.stderr, canary) {
				t.Errorf("msctl %q shows the credential: %+v", args, got)
			}
		}
	}
}

// TestCredentialsInReports runs a load test with credentials in every place, against a
// server that repeats them in its errors. No file and no format of the report may contain
// them, and the command in the report repeats the run once the variables are set.
func TestCredentialsInReports(t *testing.T) {
	dir := t.TempDir()
	requests := filepath.Join(dir, "requests")
	addr := startHelper(t, "website", "-requests", requests)
	rows, scenario := filepath.Join(dir, "rows.ndjson"), filepath.Join(dir, "bench.yaml")
	write(t, rows, `{"id":1,"password":"`+canary+`-row"}`+"\n")
	write(t, scenario, "to: http://"+addr+"/reject?token="+canary+"-to\nusers: 1\nrequests: 2\nmessages:\n  - header: {Authorization: Bearer "+canary+
		"-header, Cookie: a="+canary+"}\n    data: {login: {password: "+canary+"-data}}\n    meta: {x-api-key: "+canary+"-meta}\n")
	file := func(kind string) string { return filepath.Join(dir, "run."+kind) }
	outputs := []string{
		"--save", file("json"), "--html", file("html"), "--markdown", file("md"), "--csv", file("csv"), "--junit", file("xml"), "--vegeta", file("bin"),
		"--threshold", "errors<1", "--no-tui",
	}
	flags := []string{
		"bench", "--to", "http://" + addr + "/reject?api_key=" + canary + "-query", "-H", "Authorization: Bearer " + canary + "-header", "-H", "Cookie: session=" + canary,
		"-m", "x-token=" + canary + "-meta", "login.password=" + canary + "-data", "--users", "1", "-n", "2",
	}
	for _, args := range [][]string{
		flags,
		{"bench", "--scenario", scenario},
		{"bench", "--to", "http://" + addr + "/reject?n={{.id}}", "--data-file", rows, "--users", "1", "-n", "2"},
		{"bench", "--to", "http://" + addr + "/reject?n={{.id}}", "--data-file", rows, "p={{.password}}", "--sweep", "retries=0,1", "--users", "1", "-n", "2"},
	} {
		if !strings.Contains(strings.Join(args, " "), "--sweep") {
			args = append(args, outputs...)
		} else {
			args = append(args, outputs[:10]...)
		}
		shown := runMsctl(t, args...)
		if shown.code != 99 && shown.code != 3 && shown.code != 0 {
			t.Errorf("msctl %q: %+v", args, shown)
		}
		text := fmt.Sprint(shown)
		for _, format := range []string{"text", "html", "markdown", "csv", "junit", "json"} {
			text += fmt.Sprint(runMsctl(t, "bench", "report", file("json"), "-o", format))
		}
		text += fmt.Sprint(runMsctl(t, "bench", "compare", file("json"), file("json")))
		for _, kind := range []string{"json", "html", "md", "csv", "xml", "bin"} {
			content, err := os.ReadFile(file(kind))
			if err != nil {
				t.Fatal(err)
			}
			text += string(content)
		}
		if at := strings.Index(text, canary); at >= 0 {
			t.Errorf("msctl %q shows the credential: …%s…", args, text[max(at-200, 0):min(at+60, len(text))])
		}
	}
	for _, format := range []string{"json", "markdown"} {
		if got := runMsctl(t, append(flags, "-o", format)...); strings.Contains(got.stdout+got.stderr, canary) || got.code != 3 {
			t.Errorf("-o %s: %+v", format, got)
		}
	}
	testRerun(t, requests, flags, file("json"))
}

// testRerun runs the command of a report in a shell, and checks that the server gets what
// it got from the original command.
func testRerun(t *testing.T, requests string, flags []string, saved string) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	lines := func() []string {
		text, err := os.ReadFile(requests)
		if err != nil {
			t.Fatal(err)
		}
		list := strings.Split(strings.TrimSpace(string(text)), "\n")
		write(t, requests, "")
		return list
	}
	lines()
	if got := runMsctl(t, append(flags, "--save", saved)...); !strings.Contains(got.stdout, "set API_KEY, AUTHORIZATION, COOKIE, PASSWORD, X_TOKEN first:") {
		t.Errorf("the report does not state which variables its command requires: %s", got.stdout)
	}
	want := lines()
	var d struct{ Command string }
	text, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(bin, "msctl")); err != nil {
		t.Fatal(err)
	}
	again := exec.Command(sh, "-c", d.Command)
	again.Dir = bin
	again.Env = append(os.Environ(), "PATH="+bin, "API_KEY="+canary+"-query", "AUTHORIZATION="+canary+"-header", "COOKIE=session="+canary,
		"X_TOKEN="+canary+"-meta", "PASSWORD="+canary+"-data")
	out, err := again.CombinedOutput()
	if again.ProcessState.ExitCode() != 3 {
		t.Fatalf("%s: %v\n%s", d.Command, err, out)
	}
	if got := lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nsent %q\nwant %q", d.Command, got, want)
	}
}
