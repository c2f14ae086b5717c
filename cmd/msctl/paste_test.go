package main

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// patternsOfEveryKind are patterns with whatever a shell, JSON, and PATTERN treat specially.
func patternsOfEveryKind() []string {
	return []string{
		`{"cmd":"plain"}`, `{"cmd":"a b"}`, `{"cmd":"$HOME"}`, `{"cmd":"it's"}`, `{"cmd":"é😀"}`, `{"cmd":""}`, `{"cmd":-1}`, `{"cmd":"x","v":2}`, `{"a":{"b":{"c":["d",null]}}}`,
		`{}`, `{"":"x"}`, `"item.v1.viewed"`, `"cmd:text"`, `"cmd=text"`, `"a:=1"`, `"a b"`, `""`, `"-v"`, `"--help"`, `"{x}"`, `"[x]"`, `"<x>"`, `"it's"`, `"say \"hi\""`,
		`"back\\slash"`, `"$(id)"`, "\"`id`\"", `"line\nbreak"`, `"tab\t"`, `"\u001b[2J"`, `"\u202e"`, `"日本"`, `"=ls"`, `"!x"`, `"*"`, `"~"`, `"#"`, `"a;b&c|d"`, `"@file"`, `"%TEMP%"`,
		`7`, `-1`, `0.5`, `1e21`, `true`, `false`,
		`[1,"a",{"b":2}]`, // the last one: for NestJS's decorator, an array is a list of patterns
	}
}

// TestPrintedPatternsCanBePasted: every pattern that `ls` prints, for a running service and for
// sources, is read by a shell and by `send` as the pattern of the same handler.
func TestPrintedPatternsCanBePasted(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell")
	}
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	var source strings.Builder
	source.WriteString("import { MessagePattern } from '@nestjs/microservices';\nexport class C {\n")
	for i, text := range patternsOfEveryKind() {
		p, err := micro.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		micro.Handle(s, p, func(context.Context, micro.None) (string, error) { return p.Route(), nil })
		if text[0] == '[' {
			continue
		}
		source.WriteString("  @MessagePattern(" + text + ") handle" + strconv.Itoa(i) + "() {}\n")
	}
	addr := serveTCP(t, s)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "c.controller.ts"), []byte(source.String()+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := patternsOfEveryKind()
	for name, tt := range map[string]struct{ args, patterns []string }{
		"ls": {[]string{"ls", addr}, all}, "ls --source": {[]string{"ls", "--source", dir}, all[:len(all)-1]},
	} {
		t.Run(name, func(t *testing.T) {
			listed := runMsctl(t, tt.args...)
			if listed.code != 0 {
				t.Fatalf("%+v", listed)
			}
			words := regexp.MustCompile(`(?m)^(\S.*?) +message `).FindAllStringSubmatch(listed.stdout, -1)
			if len(words) != len(tt.patterns) {
				t.Fatalf("%d patterns, want %d:\n%s", len(words), len(tt.patterns), listed.stdout)
			}
			for i, text := range tt.patterns {
				want, _ := micro.ParsePattern(text) // checked
				got := throughShell(t, "send "+words[i][1]+" -o raw -t "+addr)
				if got.code != 0 || got.stdout != want.Route()+"\n" {
					t.Errorf("%s is printed as %s: %+v", text, words[i][1], got)
				}
			}
		})
	}
}

// throughShell runs msctl with the arguments that a shell reads from a text.
func throughShell(t *testing.T, text string) result {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf '%s\\0' "+text).Output()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return runMsctl(t, strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")...)
}

// serveTCP serves s until the test ends, and returns its address.
func serveTCP(t *testing.T, s *micro.Server) string {
	t.Helper()
	l := microtcp.Listen("127.0.0.1:0")
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	addr, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}
