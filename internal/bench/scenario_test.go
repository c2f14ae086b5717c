package bench

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/policytext"
)

// scenarioFile writes a scenario and returns its path.
func scenarioFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestScenario: a file sets what flags set, and several messages.
func TestScenario(t *testing.T) {
	path := scenarioFile(t, `# everything that flags can set
rate: 500/s
duration: 30s
policy: naive
retries: 1
no-tui: true
fault: ["drop=5%", 'stall@10s+4s']
threshold: p99<50ms
"budget": 20%+10/s
messages:
  - pattern: cmd=findAllItems
    weight: 4
  - name: create
    pattern: {cmd: createItem, v: 2}
    data: {name: "w-{{seq}}", price: 9.99, tags: [a, null]}
    meta: {tenant: "t-{{attempt}}"}
    to: tcp://orders:3003
  - pattern: item.viewed
    data: ["id:=7", "name=x y"]
  - {pattern: cmd=text, data: just text=1}
  - to: http://localhost:3001/items
    method: PUT
    header: {X-Tenant: shop}
    data: |
      {"id": 1}
`)
	s, err := readSpec(t, "", "--scenario", path, "--retries", "3")
	if err != nil {
		t.Fatal(err)
	}
	type message struct {
		Name, Route, Data, To, Method, Header string
		Weight, Pairs                         int
	}
	var got []message
	for _, m := range s.Messages {
		got = append(got, message{m.Name, m.route.String(), string(m.payload.Make(6)), m.To, m.Method, m.header.Get("X-Tenant"), m.Weight, len(m.pairs)})
	}
	want := []message{
		{Route: `{"cmd":"findAllItems"}`, Data: `{}`, Weight: 4},
		{Name: "create", Route: `{"cmd":"createItem","v":2}`, Data: `{"name":"w-6","price":9.99,"tags":["a",null]}`, To: "tcp://orders:3003", Weight: 1, Pairs: 1},
		{Route: "item.viewed", Data: `{"id":7,"name":"x y"}`, Weight: 1},
		{Route: `{"cmd":"text"}`, Data: `{"just text":"1"}`, Weight: 1},
		{Route: "(no pattern)", Data: `{"id": 1}`, To: "http://localhost:3001/items", Method: "PUT", Header: "shop", Weight: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages: -want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"drop=5%", "stall@10s+4s"}, faultTexts(s.Faults)); diff != "" || !s.NoTUI || len(s.Thresholds) != 1 {
		t.Errorf("settings: -want +got\n%s, no-tui %t, %d thresholds", diff, s.NoTUI, len(s.Thresholds))
	}
	if got := policytext.Describe(s.ClientPolicy().Settings()) + "; " + s.describeLoad(); got != "timeout 1s, 3 retries at once, budget 20%+10/s; 500/s for 30s" {
		t.Errorf("the command line does not take precedence: %s", got)
	}
	if diff := cmp.Diff([]string{"3"}, s.Values("retries")); diff != "" {
		t.Errorf("retries: -want +got\n%s", diff)
	}
}

// TestScenarioErrors: they point at the line and the column of the file, or name the
// line and point into the value.
func TestScenarioErrors(t *testing.T) {
	cases := []struct{ text, want string }{
		{"", "FILE, column 1: the file is empty"},
		{"# nothing\n", "column 1: the file is empty"},
		{"rate: 5/s\nrate: 6/s\n", `FILE, line 2, column 1: duplicate key "rate"`},
		{"? [a]\n: 1\n", "FILE, line 2, column 1: "},
		{"messages:\n  - pattern: cmd=x\n    pattern: cmd=y\n", `FILE, line 3, column 5: duplicate key "pattern"`},
		{"messages:\n  - pattern: cmd=x\n    name: [a]\n", "FILE, line 3, column 11: name must be a plain value"},
		{"messages:\n  - cmd=x\n", "FILE, line 2, column 5: a message must be a mapping (`key: value` lines)"},
		{"messages:\n  - pattern: cmd=x\n    weight: -1\n", "FILE, line 3, column 13: weight must be a whole number"},
		{"messages:\n  - pattern: cmd=x\n    meta: {a: [b]}\n", "FILE, line 3, column 15: a must be a plain value"},
		{"messages:\n  - pattern: cmd=x\n    data: {a: .nan}\n", "FILE, line 3, column 11: data cannot be converted to JSON"},
		{"seed: -1\nmessages: [{pattern: cmd=x}]\n", `FILE, line 1, column 7: seed: "-1" is not a whole number of 0 or more`},
		{"fault:\n  - drop\n  - stall\nmessages: [{pattern: cmd=x}]\n", "FILE, line 3: --fault, column 6: stall requires a length"},
		{"messages: [{pattern: cmd=x}]\narrivals: poison\n", `FILE, line 2: unknown --arrivals "poison"`},
		{"messages: [{pattern: cmd=x}]\nthink: 1s\n", "FILE, line 2: --think requires --users"},
		{"scenario: other.yaml\n", `FILE, line 1, column 1: unknown key "scenario"`},
		{"help: true\n", `FILE, line 1, column 1: unknown key "help"`},
	}
	for _, c := range cases {
		path := scenarioFile(t, c.text)
		_, err := readSpec(t, "", "--scenario", path)
		if want := strings.Replace(c.want, "FILE", path, 1); exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", c.text, err, want)
		}
	}
}

// FuzzScenario: every file is a scenario, or a usage error that names the file.
func FuzzScenario(f *testing.F) {
	for _, text := range []string{
		"rate: 5/s\nusers: 3\n", "messages:\n  - pattern: {cmd: x}\n    weight: 2\n    data: [a=1, b:=2]\n", "fault: [drop, stall@1s+1s]\n",
		"messages: [{pattern: cmd=x, meta: {a: b}, header: {c: d}}]\n", "a: &x 1\nb: *x\n", "? [a]\n: b\n", "--- 1\n--- 2\n", "<<: {rate: 5/s}\n",
		"rate: !!float 5\n", "messages:\n- pattern: |\n    x\n", "\ufeffrate: 5/s\r\n", "rate: \"\\x00\"\n", "{rate: 5/s, messages: [pattern: x]}",
	} {
		f.Add(text)
	}
	path := filepath.Join(f.TempDir(), "bench.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := NewSpec().ReadScenario(path, false)
		var at exit.Pointer
		switch {
		case err != nil && exit.Code(err) != exit.Usage:
			t.Errorf("%q: %v is not a usage error", text, err)
		case errors.As(err, &at) && (at.Offset > len(at.Text) || !strings.HasPrefix(err.Error(), path)):
			t.Errorf("%q: %v points elsewhere", text, err)
		}
	})
}
