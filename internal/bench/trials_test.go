package bench

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/policytext"
)

// TestWith: a copy with another value, which leaves the original as it was. One
// shape of the load replaces another.
func TestWith(t *testing.T) {
	s, err := readSpec(t, "", "cmd=x", "n:=1", "--policy", "naive", "--rate", "5/s", "--duration", "3s", "--fault", "drop", "--sweep", "timeout=1s,2s")
	if err != nil {
		t.Fatal(err)
	}
	describe := func(s *Spec) string {
		return policytext.Describe(s.ClientPolicy().Settings()) + "; " + s.describeLoad() + "; " + strings.Join(faultTexts(s.Faults), ",") + "; " + s.Title() + " " + string(s.Messages[0].payload.Make(0))
	}
	const first = `timeout 1s, 3 retries at once; 5/s for 3s; drop; {"cmd":"x"} {"n":1}`
	for _, c := range []struct{ name, value, want string }{
		{"timeout", "2s", `timeout 2s, 3 retries at once; 5/s for 3s; drop; {"cmd":"x"} {"n":1}`},
		{"rate", "7/s", `timeout 1s, 3 retries at once; 7/s for 3s; drop; {"cmd":"x"} {"n":1}`},
		{"users", "3", `timeout 1s, 3 retries at once; 3 users for 3s; drop; {"cmd":"x"} {"n":1}`},
		{"fault", "reset", `timeout 1s, 3 retries at once; 5/s for 3s; reset; {"cmd":"x"} {"n":1}`},
		{"policy", "none", `timeout 5s, no retries; 5/s for 3s; drop; {"cmd":"x"} {"n":1}`},
	} {
		changed, err := s.With(c.name, c.value)
		if err != nil || describe(changed) != c.want {
			t.Errorf("%s=%s: %s, %v, want %s", c.name, c.value, describe(changed), err, c.want)
		}
		if got := describe(s); got != first {
			t.Errorf("after %s=%s the original is %s, want %s", c.name, c.value, got, first)
		}
	}
	for name, value := range map[string]string{"timeout": "soon", "rate": "fast", "fault": "stall", "policy": "nave", "users": "0"} {
		if _, err := s.With(name, value); exit.Code(err) != exit.Usage {
			t.Errorf("%s=%s: %v, want a usage error", name, value, err)
		}
	}
}

// TestSweepOfScenario: every combination has the settings and the messages of the
// file.
func TestSweepOfScenario(t *testing.T) {
	path := scenarioFile(t, "rate: 5/s\nretries: 2\nsweep: timeout=1s,2s\nmessages: [{pattern: cmd=a}, {pattern: cmd=b, weight: 3}]\n")
	s, err := readSpec(t, "", "--scenario", path, "--retries", "1")
	if err != nil {
		t.Fatal(err)
	}
	trials, e, err := s.trials()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, one := range trials {
		got[one.name] = policytext.Describe(one.spec.ClientPolicy().Settings()) + "; " + one.spec.describeLoad() + "; " + one.spec.Title()
	}
	want := map[string]string{
		"timeout=1s": `timeout 1s, 1 retry 1s apart; 5/s for 10s; {"cmd":"a"}, {"cmd":"b"}`,
		"timeout=2s": `timeout 2s, 1 retry 1s apart; 5/s for 10s; {"cmd":"a"}, {"cmd":"b"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(e.Cells) != 2 {
		t.Errorf("%d cells: -want +got\n%s", len(e.Cells), diff)
	}
}

// TestTrialsTakeTurns: with --repeat, every combination is run once before any is
// run again.
func TestTrialsTakeTurns(t *testing.T) {
	s, err := readSpec(t, "", "cmd=x", "--sweep", "timeout=1s,2s", "--sweep", "retries=0,1", "--repeat", "3", "--duration", "1s")
	if err != nil {
		t.Fatal(err)
	}
	trials, _, err := s.trials()
	if err != nil || len(trials) != 12 {
		t.Fatalf("%d trials, %v", len(trials), err)
	}
	for turn := range 3 {
		cells := map[int]bool{}
		for _, one := range trials[4*turn : 4*turn+4] {
			cells[one.cell] = true
			if one.spec.duration() != time.Second {
				t.Errorf("%s lasts %s", one.name, one.spec.duration())
			}
		}
		if len(cells) != 4 {
			t.Errorf("turn %d has only %d combinations", turn+1, len(cells))
		}
	}
}

// TestStdinIsReadOnce: standard input is the data of each of several runs, and of
// each of several messages.
func TestStdinIsReadOnce(t *testing.T) {
	s, err := readSpec(t, `{"n":1}`, "cmd=x", "-", "--repeat", "3")
	if err != nil {
		t.Fatal(err)
	}
	trials, _, err := s.trials()
	if err != nil || len(trials) != 3 {
		t.Fatalf("%d runs, %v", len(trials), err)
	}
	for _, one := range trials {
		if got := string(one.spec.Messages[0].payload.Make(0)); got != `{"n":1}` {
			t.Errorf("%s sends %q", one.name, got)
		}
	}
	s, err = readSpec(t, "{\"n\":1}\n{\"n\":2}\n", "cmd=x", "n:={{.n}}", "--data-file", "-", "--sweep", "retries=0,1")
	if err != nil {
		t.Fatal(err)
	}
	if trials, _, err := s.trials(); err != nil || string(trials[1].spec.Messages[0].payload.Make(1)) != `{"n":2}` {
		t.Errorf("the lines of standard input are not sent: %v", err)
	}
	path := scenarioFile(t, "messages: [{pattern: cmd=a, data: '-'}, {pattern: cmd=b, data: '-'}]\n")
	s, err = readSpec(t, `{"n":3}`, "--scenario", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range s.Messages {
		if got := string(m.payload.Make(0)); got != `{"n":3}` {
			t.Errorf("%s sends %q", m.route, got)
		}
	}
	s = NewSpec()
	broken := errors.New("broken pipe")
	if err := s.SetMessage([]string{"cmd=x", "-"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(io.MultiReader(strings.NewReader("{"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}

// refused wants a usage error that points at a column of what was entered.
func refused(t *testing.T, err error, column int, message string) {
	t.Helper()
	var at exit.Pointer
	if exit.Code(err) != exit.Usage || !errors.As(err, &at) {
		t.Errorf("%v, want a usage error that points somewhere", err)
		return
	}
	if got := utf8.RuneCountInString(at.Text[:at.Offset]) + 1; got != column || !strings.Contains(at.Message, message) {
		t.Errorf("%q: column %d: %s, want column %d: …%s…", at.Text, got, at.Message, column, message)
	}
}

func TestAddAxis(t *testing.T) {
	good := map[string]report.Axis{
		"timeout=100ms,1s":     {Name: "timeout", Values: []string{"100ms", "1s"}},
		"retries=0":            {Name: "retries", Values: []string{"0"}},
		"hedge=p95,max=2;none": {Name: "hedge", Values: []string{"p95,max=2", "none"}},
		"fault=error=5%,drop":  {Name: "fault", Values: []string{"error=5%", "drop"}},
	}
	for text, want := range good {
		s := NewSpec()
		err := s.addAxis(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff([]report.Axis{want}, s.Trials.axes()); diff != "" {
			t.Errorf("%s: -want +got\n%s", text, diff)
		}
	}
	for _, c := range []struct {
		text    string
		column  int
		message string
		hint    string
	}{
		{"", 1, "a sweep is", ""},
		{"timeout", 8, "a sweep is", ""},
		{"timeout=", 9, "missing value", ""},
		{"timeout=1s,", 12, "missing value", ""},
		{"timeout=1s,2s,1s", 15, "duplicate value", ""},
		{"timeot=1s", 1, "cannot be swept", "did you mean timeout?"},
		{"save=a,b", 1, "cannot be swept", "these flags can be swept"},
	} {
		err := NewSpec().addAxis(c.text)
		refused(t, err, c.column, c.message)
		if hint := exit.Hint(err); !strings.Contains(hint, c.hint) || c.hint == "" && hint != "" {
			t.Errorf("%s: hint %q, want %q", c.text, hint, c.hint)
		}
	}
}
