package bench

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
)

// recordingFile writes a recording of 100 messages that items handled, and others, and returns its path: 70 requests for
// an item, 25 that create one, and 5 events.
func recordingFile(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	add := func(n int, kind, pattern, data, rest string) {
		fmt.Fprintf(&text, `{"kind":%q,"span":"%d","pattern":%q,"start":%d,"took":1,"outcome":"ok","in":1,"data":%s%s}`+"\n", kind, n, pattern, n, data, rest)
	}
	for n := range 100 {
		items := `,"service":"items"`
		switch {
		case n%20 == 0:
			add(n, "handle", `"seen"`, fmt.Sprint(n), `,"event":true`+items)
		case n%4 == 1:
			add(n, "handle", `{"cmd":"create"}`, fmt.Sprintf(`{"n":%d}`, n), fmt.Sprintf(`,"metadata":{"tenant":"t%d","timeout-ms":"5"}`, n)+items)
		default:
			add(n, "handle", `{"cmd":"find"}`, fmt.Sprintf(`{"n":%d}`, n), items)
		}
	}
	add(100, "handle", `{"cmd":"login"}`, `{"password":"***"}`, `,"metadata":{"authorization":"***"},"service":"items"`)
	add(101, "handle", `"seen"`, `"again"`, `,"metadata":{"principal":"***"},"service":"users"`)
	path := filepath.Join(t.TempDir(), "session.jsonl")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRecordedMix runs recordings under open and closed loads, with warm-up and retries, and checks that a service
// receives the patterns in the recorded proportions, each message as often as any other, and with its data, its
// metadata, and its kind.
func TestRecordedMix(t *testing.T) {
	for words, rounds := range map[string]int{
		"--rate 200/s --requests 400":                                   4,
		"--rate 100/s --duration 4s --warmup 1s --arrivals poisson":     0, // as many as are due
		"--stages 100/s:2s,100/s:2s --meta tenant=mine":                 3,
		"--users 7 --requests 500 --think 3ms --connections 3 --seed 9": 5,
	} {
		t.Run(words, func(t *testing.T) {
			path := recordingFile(t)
			synctest.Test(t, func(t *testing.T) {
				got := map[string]int{}
				var mu sync.Mutex
				m := served(t, func(_ context.Context, req *micro.Request, reply micro.Reply) error {
					mu.Lock()
					defer mu.Unlock()
					got[fmt.Sprintf("%s %t %s %s", req.Pattern, req.Event, req.Data, req.Metadata.Get("tenant"))]++
					if req.Event {
						return nil
					}
					return reply.Send(micro.Value{Raw: []byte("1"), Last: true})
				}, nil)
				d, code := documentOf(t, m, append(strings.Fields(words), "--from", path, "--service", "items")...)
				if code != 0 {
					t.Fatalf("exit code %d", code)
				}
				r := &d.Runs[0]
				if want := `seen, {"cmd":"create"}, {"cmd":"find"} of items, as recorded in session.jsonl`; r.Pattern != want || len(r.Messages) != 3 {
					t.Errorf("%q with %d messages, want %q", r.Pattern, len(r.Messages), want)
				}
				for _, m := range r.Messages {
					want := map[string]float64{"seen": 5, `{"cmd":"create"}`: 25, `{"cmd":"find"}`: 70}[m.Name]
					if share := 100 * float64(m.Offered) / float64(r.Offered); share < want-1 || share > want+1 {
						t.Errorf("%s: %.2f%% of the requests, want %g%%", m.Name, share, want)
					}
				}
				if len(got) != 100 {
					t.Errorf("%d different messages, want 100", len(got))
				}
				counts := slices.Sorted(maps.Values(got))
				if rounds > 0 && (counts[0] != rounds || counts[len(counts)-1] != rounds) {
					t.Errorf("messages were sent %d to %d times, want %d", counts[0], counts[len(counts)-1], rounds)
				}
				want := []string{`{"cmd":"create"} false {"n":1} t1`, `{"cmd":"find"} false {"n":2} `, "seen true 20 "}
				if strings.Contains(words, "mine") {
					want = []string{`{"cmd":"create"} false {"n":1} mine`, `{"cmd":"find"} false {"n":2} mine`, "seen true 20 mine"}
				}
				for _, want := range want {
					if got[want] == 0 {
						t.Errorf("no %s in %v", want, slices.Sorted(maps.Keys(got)))
					}
				}
			})
		})
	}
}

// TestRecordedNotes checks what is reported before a run of a recording.
func TestRecordedNotes(t *testing.T) {
	path := recordingFile(t)
	s, err := readSpec(t, "", "--from", path, "--to", "tcp://localhost:3002")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1 message is left out: data with secrets, which are not recorded",
		"the messages are sent without the metadata principal: its values are secrets, which are not recorded",
		"the messages of 2 services (items, users) are sent to one target: --service NAME selects those of one",
	}
	if diff := cmp.Diff(want, s.Notes); diff != "" {
		t.Error(diff)
	}
	if s, err = readSpec(t, "", "--from", path, "--to", "items"); err != nil || len(s.Notes) != 1 || s.Recording.selected != "items" {
		t.Errorf("%q, %v", s.Notes, err)
	}
}

func TestRecordedErrors(t *testing.T) {
	path := recordingFile(t)
	write := func(text string) string {
		name := filepath.Join(t.TempDir(), "other.jsonl")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	many := ""
	for n := range maxMessages + 1 {
		many += fmt.Sprintf(`{"kind":"send","span":"%d","outcome":"ok","pattern":"\"p%d\""}`+"\n", n, n)
	}
	for _, tt := range []struct {
		words []string
		want  string
	}{
		{[]string{"cmd=x", "--from", path}, `--from cannot be combined with PATTERN or DATA: remove "cmd=x"`},
		{[]string{"--from", path, "--data-file", path}, "--data-file cannot be combined with --from"},
		{[]string{"--from", path, "--data-order", "random"}, "--data-order cannot be combined with --from"},
		{[]string{"--from", path, "--demo", "true"}, "--from cannot be combined with --demo"},
		{[]string{"--from", path, "--to", "http://localhost:1"}, "--from requires a target that handles messages"},
		{[]string{"cmd=x", "--service", "items"}, "--service requires --from"},
		{[]string{"--from", path + ".none"}, "--from: open "},
		{[]string{"--from", path, "--service", "nothing"}, "does not contain a message that nothing handled"},
		{[]string{"--from", write("no json")}, "other.jsonl, line 1 is not a record of a message"},
		{[]string{"--from", write("")}, "contains no messages between services"},
		{[]string{"--from", write(`{"kind":"send","span":"1","pattern":"\"p\"","outcome":"ok","data":"***"}`)}, "contains no message that can be sent"},
		{[]string{"--from", write(many)}, "messages with 101 patterns: at most 100 are possible"},
		{[]string{"--scenario", scenarioFile(t, "from: "+path+"\nmessages: [{pattern: cmd=a}]\n")}, "messages cannot be combined with --from"},
	} {
		_, err := readSpec(t, "", tt.words...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || exit.Code(err) != exit.Usage {
			t.Errorf("%q: %v, want %q", tt.words, err, tt.want)
		}
	}
}

// TestRecordedInScenario checks that a scenario names a recording relative to itself, and that the command line takes
// precedence.
func TestRecordedInScenario(t *testing.T) {
	path := recordingFile(t)
	scenario := filepath.Join(filepath.Dir(path), "bench.yaml")
	if err := os.WriteFile(scenario, []byte("from: session.jsonl\nservice: users\nrate: 5/s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]int{"users": 1, "items": 3} {
		words := []string{"--scenario", scenario}
		if service == "items" {
			words = append(words, "--service", service)
		}
		s, err := readSpec(t, "", words...)
		if err != nil || len(s.Messages) != want {
			t.Errorf("%s: %d messages, %v", service, len(s.Messages), err)
		}
	}
}
