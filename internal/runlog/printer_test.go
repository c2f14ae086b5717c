package runlog

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

func TestCleanLine(t *testing.T) {
	for _, tt := range []struct{ line, color, plain string }{
		{"plain é 😀\ttab", "plain é 😀\ttab", "plain é 😀\ttab"},
		{"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m", "red"},
		{"\x1b[31mred forever", "\x1b[31mred forever\x1b[0m", "red forever"},
		{"\x1b[2J\x1b[Hcleared", "cleared", "cleared"},
		{"\x1bcreset", "reset", "reset"},
		{"\x1b]0;title\x07text\x1b]8;;http://x\x1b\\link", "textlink", "textlink"},
		{"50%\r100%", "50%100%", "50%100%"},
		{"torn \x1b[3", "torn ", "torn "},
		{"torn \x1b", "torn ", "torn "},
		{"torn \x1b]0;", "torn ", "torn "},
		{"bell\x07 and null\x00", "bell and null", "bell and null"},
	} {
		if got := CleanLine(tt.line, true); got != tt.color {
			t.Errorf("%q with color: %q, want %q", tt.line, got, tt.color)
		}
		if got := CleanLine(tt.line, false); got != tt.plain {
			t.Errorf("%q without color: %q, want %q", tt.line, got, tt.plain)
		}
	}
}

// printed returns the output for events.
func printed(t *testing.T, o Options, events ...proc.Event) *term.Buffers {
	t.Helper()
	w, err := workspace.Parse("msctl.yaml", []byte(`name: shop
services:
  items: {path: ./items, port: 3002}
  gateway: {kind: gateway, path: ./gateway, port: 3001, depends_on: [items]}
`))
	if err != nil {
		t.Fatal(err)
	}
	s, b := term.NewTest("", term.Facts{})
	feed := make(chan proc.Event, len(events))
	for _, e := range events {
		feed <- e
	}
	close(feed)
	New(s, w, proc.New(proc.Options{Workspace: w}).Services(), o).PrintAll(feed)
	return b
}

func TestRunText(t *testing.T) {
	b := printed(t, Options{},
		proc.Event{Kind: proc.KindBuilding, Service: "items"},
		proc.Event{Kind: proc.KindBuildFailed, Service: "gateway", Text: "# shop\nmain.go:1:1: no"},
		proc.Event{Kind: proc.KindBuilt, Service: "items", Took: 1234 * time.Millisecond},
		proc.Event{Kind: proc.KindStarting, Service: "items", Pid: 7},
		proc.Event{Kind: proc.KindLog, Service: "items", Stream: proc.StreamErr, Text: "hello"},
		proc.Event{Kind: proc.KindReady, Service: "items", Pid: 7, Took: 41 * time.Millisecond},
		proc.Event{Kind: proc.KindReady, Service: "gateway", Pid: 8, Took: 50 * time.Millisecond},
		proc.Event{Kind: proc.KindAllReady, Took: 2 * time.Second},
		proc.Event{Kind: proc.KindChanged, Service: "items", Paths: []string{"a", "b", "c", "d"}},
		proc.Event{Kind: proc.KindBuildFailed, Service: "items", Text: "no"},
		proc.Event{Kind: proc.KindSwapped, Service: "items", Pid: 9, Took: 30 * time.Millisecond},
		proc.Event{Kind: proc.KindPaused, Service: "items", Pid: 9, Delay: 4 * time.Second},
		proc.Event{Kind: proc.KindContinued, Service: "items", Pid: 9, Took: 4001 * time.Millisecond},
		proc.Event{Kind: proc.KindCrashed, Service: "items", Pid: 9, Text: "ended: exit status 2", Delay: 200 * time.Millisecond},
		proc.Event{Kind: proc.KindWarning, Text: "look"},
		proc.Event{Kind: proc.KindStopped, Service: "items", Pid: 9, Took: 20 * time.Second},
	)
	want := `items   │ building
gateway │ # shop
gateway │ main.go:1:1: no
gateway │ ✗ build failed
items   │ built in 1.23s
items   │ ✓ ready in 41ms, pid 7
gateway │ ✓ ready in 50ms, pid 8

  shop is ready in 2s

  items    tcp://localhost:3002   ready in 41ms
  gateway  http://localhost:3001  ready in 50ms

  API   http://localhost:3001
  docs  http://localhost:3001/api

  Changed services are rebuilt and replaced. Press Ctrl-C to stop.

items   │ changed: a, b, c, and 1 more
items   │ no
items   │ ✗ build failed; still serving the previous build
items   │ ✓ swapped: ready in 30ms, pid 9
items   │ paused for 4s, pid 9
items   │ continued after 4s, pid 9
items   │ ✗ ended: exit status 2; restarting in 200ms
msctl   │ ! look
items   │ stopped in 20s, pid 9
`
	if diff := cmp.Diff(want, b.Err.String()); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("items   │ hello\n", b.Out.String()); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
}

func TestRunJSON(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	b := printed(t, Options{JSON: true},
		proc.Event{Time: at, Kind: proc.KindLog, Service: "items", Stream: proc.StreamOut, Text: "", Pid: 7},
		proc.Event{Time: at, Kind: proc.KindReady, Service: "items", Pid: 7, Took: 41250 * time.Microsecond},
		proc.Event{Time: at, Kind: proc.KindBuildFailed, Service: "items", Text: "a\n<b>"},
	)
	want := `{"time":"2026-01-02T03:04:05.678Z","event":"log","service":"items","stream":"stdout","text":"","pid":7}
{"time":"2026-01-02T03:04:05.678Z","event":"ready","service":"items","pid":7,"tookMs":41.3}
{"time":"2026-01-02T03:04:05.678Z","event":"build-failed","service":"items","text":"a\n<b>"}
`
	if diff := cmp.Diff(want, b.Out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for line := range bytes.Lines(b.Out.Bytes()) {
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if b.Err.Len() > 0 {
		t.Errorf("stderr: %s", &b.Err)
	}
}
