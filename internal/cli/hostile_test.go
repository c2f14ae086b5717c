package cli

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// hostile is text that controls a terminal, reorders text, or looks like a line of msctl.
const hostile = "x\x1b[2J\x1bc\x1b]0;t\a\x00\x7f\u202ey\u2028\u009bz\u200e\r\nhint: run it\t"

// startHostile serves handlers whose names, documentation, replies, and errors are
// hostile, until the test ends.
func startHostile(t *testing.T) (address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	server := micro.NewServer(micro.WithName(hostile, hostile), micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(server, micro.Name(hostile), func(_ context.Context, in string) (string, error) { return in, nil }, micro.WithDoc(hostile))
	micro.Handle(server, micro.Cmd("echo"), func(context.Context, struct{}) (map[string]string, error) {
		return map[string]string{hostile: hostile}, nil
	})
	micro.Handle(server, micro.Cmd("fail"), func(context.Context, struct{}) (micro.None, error) {
		return micro.None{}, micro.NewError(map[string]any{"status": 418, "message": hostile, "more": hostile})
	})
	micro.Handle(server, micro.Cmd("retry"), func(context.Context, struct{}) (micro.None, error) {
		return micro.None{}, micro.NewError(map[string]any{"status": 503, "message": hostile})
	})
	micro.Handle(server, micro.Cmd("text"), func(context.Context, struct{}) (micro.None, error) { return micro.None{}, micro.NewError(hostile) })
	listener := microtcp.Listen("127.0.0.1:0")
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	addr, err := listener.Addr(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

// colors matches what the palette writes.
var colors = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// safe reports whether text contains nothing special but line ends, tabs, and colors.
func safe(text string) bool {
	rest := strings.NewReplacer("\n", "", "\t", "").Replace(colors.ReplaceAllString(text, ""))
	return utf8.ValidString(text) && !strings.ContainsFunc(rest, visible.Special)
}

// TestHostileService runs every command that talks to a service, with the output on a
// terminal, in color, and in a pipe. What the service sends must be visible, and cannot
// look like a line of msctl. The files of a load test are checked, too.
func TestHostileService(t *testing.T) {
	addr, dir := startHostile(t), t.TempDir()
	pattern, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	file := func(kind string) string { return filepath.Join(dir, "run."+kind) }
	for _, args := range [][]string{
		{"send", "cmd=echo"}, {"send", "cmd=echo", "-v"}, {"send", "cmd=echo", "-o", "json"}, {"send", "cmd=echo", "-o", "pretty"},
		{"send", "cmd=echo", "--jq", "keys[0]"}, {"send", "cmd=echo", "--expect", "false"}, {"send", "cmd=fail", "-v"}, {"send", "cmd=text", "-v"},
		{"send", string(pattern), string(pattern), "-v"}, {"send", "cmd=missing"}, {"send", "xhint"}, {"send", "cmd=fail", "--retries", "1", "--repeat", "2"},
		{"send", "cmd=retry", "--retries", "1", "--retry-delay", "1ms", "-v"},
		{"ls"}, {"ls", "-v"}, {"ls", "-o", "json"},
		{"bench", "cmd=fail", "--users", "1", "-n", "2", "--no-tui", "--save", file("json"), "--html", file("html"), "--markdown", file("md"), "--junit", file("xml"), "--csv", file("csv")},
		{"bench", "cmd=text", "--users", "1", "-n", "2", "--no-tui"}, {"bench", string(pattern), "--users", "1", "-n", "2", "--no-tui"},
		{"bench", "cmd=fail", "--users", "1", "-n", "2", "-o", "json"}, {"bench", "cmd=fail", "--users", "1", "-n", "2", "-o", "html"},
	} {
		for _, facts := range []term.Facts{{}, {StdoutTTY: true, StderrTTY: true, Term: "xterm", Width: 100}} {
			s, b := term.NewTest("", facts)
			Main(s, "v9", append(args, "--to", addr))
			for _, text := range []string{b.Out.String(), b.Err.String()} {
				if !safe(text) || strings.Contains(text, "\nhint: run it") || facts.Term == "" && strings.Contains(text, "\x1b") {
					t.Errorf("%q, %+v: %q", args, facts, text)
				}
			}
		}
	}
	for _, kind := range []string{"json", "html", "md", "xml", "csv"} {
		text, err := os.ReadFile(file(kind))
		if err != nil || !safe(string(text)) || strings.Contains(string(text), "\x1b") {
			t.Errorf("%s (%v) contains special characters", kind, err)
		}
	}
}
