package runlog

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/workspace"
)

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
gateway │ ✗ build failed; waiting for a change
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

// TestRunIsSafe checks that what services write cannot control the terminal, as text or
// as JSON, and that credentials of the workspace are masked.
func TestRunIsSafe(t *testing.T) {
	w, err := workspace.Parse("msctl.yaml", []byte(`name: shop
env: {DB_PASSWORD: hunter22}
services:
  items: {path: ./items, port: 3002, env: {API_TOKEN: t0k3n-1}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, asJSON := range []bool{false, true} {
		s, b := term.NewTest("", term.Facts{})
		p := New(s, w, proc.New(proc.Options{Workspace: w}).Services(), Options{JSON: asJSON})
		for _, kind := range []proc.Kind{proc.KindLog, proc.KindBuildFailed, proc.KindCrashed, proc.KindWarning, proc.KindNotReady, proc.KindReady} {
			p.Print(proc.Event{Kind: kind, Service: "items", Text: "hunter22 t0k3n-1 password=abc \x1b[2J\x1bc\a\x00\u202e\u009b\xff\r"})
		}
		got := b.Out.String() + b.Err.String()
		if strings.ContainsFunc(strings.ReplaceAll(got, "\n", ""), visible.Special) || !utf8.ValidString(got) {
			t.Errorf("control characters: %q", got)
		}
		for _, credential := range []string{"hunter22", "t0k3n-1", "abc"} {
			if strings.Contains(got, credential) {
				t.Errorf("%s is shown: %q", credential, got)
			}
		}
		if strings.Count(got, "*** *** password=***") != 6 {
			t.Errorf("printed %q", got)
		}
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
