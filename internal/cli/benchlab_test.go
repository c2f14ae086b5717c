package cli

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
)

// given are the flags that were set, in the order of their names.
func given(flags *pflag.FlagSet) (list []string) {
	flags.Visit(func(f *pflag.Flag) { list = append(list, f.Name+"="+f.Value.String()) })
	return list
}

// TestRetype: the same flags again, to the letter, but for those that change; one
// shape of load takes the place of another.
func TestRetype(t *testing.T) {
	typed := []string{
		"cmd=x", "--rate", "5/s", "--threshold", "p99<1s", "--threshold", "errors<1%", "--fault", "error=5% message=\"a,b\"", "--jitter", "--no-tui",
		"--meta", "a=b,c", "--seed", "7", "--timeout", "1500ms",
	}
	cases := []struct {
		changes map[string]string
		want    []string
	}{
		{nil, []string{
			`fault=["error=5% message=""a,b"""]`, "jitter=full", `meta=["a=b,c"]`, "no-tui=true", "rate=5/s", "seed=7", "threshold=[p99<1s,errors<1%]", "timeout=1.5s",
		}},
		{map[string]string{"users": "3", "timeout": "2s", "fault": "drop"}, []string{
			"fault=[drop]", "jitter=full", `meta=["a=b,c"]`, "no-tui=true", "seed=7", "threshold=[p99<1s,errors<1%]", "timeout=2s", "users=3",
		}},
		{map[string]string{"ramp": "1/s..2/s", "no-tui": "false", "fault": "drop", "jitter": "none"}, []string{
			"fault=[drop]", "jitter=none", `meta=["a=b,c"]`, "no-tui=false", "ramp=1/s..2/s", "seed=7", "threshold=[p99<1s,errors<1%]", "timeout=1.5s",
		}},
	}
	for _, c := range cases {
		s, _ := term.NewTest("", term.Facts{})
		cmd, _ := benchCommand(s, "", &replay{from: s.In})
		other, _ := benchCommand(s, "", &replay{from: s.In})
		if err := cmd.ParseFlags(typed); err != nil {
			t.Fatal(err)
		}
		if err := retype(cmd, other, c.changes); err != nil {
			t.Errorf("%v: %v", c.changes, err)
		}
		if diff := cmp.Diff(c.want, given(other.Flags())); diff != "" {
			t.Errorf("%v: -want +got\n%s", c.changes, diff)
		}
	}
}

// TestVariant: a variant is the whole command again, and a value that it does not
// take is a usage error.
func TestVariant(t *testing.T) {
	o, err := readBench(t, "", "cmd=x", "n:=1", "--policy", "naive", "--rate", "5/s", "--duration", "3s", "--repeat", "2", "--sweep", "timeout=1s,2s")
	if err != nil {
		t.Fatal(err)
	}
	v, err := o.variant(map[string]string{"timeout": "2s", "rate": "7/s"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.policy.String() + "; " + v.describe() + "; " + v.title() + " " + string(v.messages[0].payload.Make(0)); got !=
		`timeout 2s, 3 retries at once; 7/s for 3s; {"cmd":"x"} {"n":1}` {
		t.Errorf("the variant is %s", got)
	}
	if v.lab.several() || !o.lab.several() {
		t.Errorf("several runs: %t of the variant, %t of the whole", v.lab.several(), o.lab.several())
	}
	for flag, value := range map[string]string{"timeout": "soon", "rate": "fast", "fault": "stall", "policy": "nave", "users": "0"} {
		if _, err := o.variant(map[string]string{flag: value}, nil); exit.Code(err) != exit.Usage {
			t.Errorf("--%s %s: %v, want a usage error", flag, value, err)
		}
	}
}

// TestVariantScenario: what a file says is said again, and so are its messages.
func TestVariantScenario(t *testing.T) {
	path := scenarioFile(t, "rate: 5/s\nretries: 2\nsweep: timeout=1s,2s\nmessages: [{pattern: cmd=a}, {pattern: cmd=b, weight: 3}]\n")
	o, err := readBench(t, "", "--scenario", path, "--retries", "1")
	if err != nil {
		t.Fatal(err)
	}
	trials, e, err := o.trials()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, one := range trials {
		got[one.name] = one.o.policy.String() + "; " + one.o.describe() + "; " + one.o.title()
	}
	want := map[string]string{
		"timeout=1s": `timeout 1s, 1 retry 1s apart; 5/s for 10s; {"cmd":"a"}, {"cmd":"b"}`,
		"timeout=2s": `timeout 2s, 1 retry 1s apart; 5/s for 10s; {"cmd":"a"}, {"cmd":"b"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(e.Cells) != 2 {
		t.Errorf("%d cells: -want +got\n%s", len(e.Cells), diff)
	}
}

// TestTrialsTakeTurns: with --repeat every combination is made once before any is
// made again, in an order that the seed decides.
func TestTrialsTakeTurns(t *testing.T) {
	o, err := readBench(t, "", "cmd=x", "--sweep", "timeout=1s,2s", "--sweep", "retries=0,1", "--repeat", "3", "--duration", "1s")
	if err != nil {
		t.Fatal(err)
	}
	trials, _, err := o.trials()
	if err != nil || len(trials) != 12 {
		t.Fatalf("%d trials, %v", len(trials), err)
	}
	for turn := range 3 {
		cells := map[int]bool{}
		for _, one := range trials[4*turn : 4*turn+4] {
			cells[one.cell] = true
			if one.o.duration != time.Second {
				t.Errorf("%s lasts %s", one.name, one.o.duration)
			}
		}
		if len(cells) != 4 {
			t.Errorf("turn %d has only %d combinations", turn+1, len(cells))
		}
	}
}

// TestStdinIsReadOnce: standard input is data for each of several runs.
func TestStdinIsReadOnce(t *testing.T) {
	o, err := readBench(t, `{"n":1}`, "cmd=x", "-", "--repeat", "3")
	if err != nil {
		t.Fatal(err)
	}
	trials, _, err := o.trials()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range trials {
		if got := string(one.o.messages[0].payload.Make(0)); got != `{"n":1}` {
			t.Errorf("%s sends %q", one.name, got)
		}
	}
	if o, err := readBench(t, "{\"n\":1}\n{\"n\":2}\n", "cmd=x", "n:={{.n}}", "--data-file", "-", "--sweep", "retries=0,1"); err != nil {
		t.Error(err)
	} else if trials, _, err := o.trials(); err != nil || string(trials[1].o.messages[0].payload.Make(1)) != `{"n":2}` {
		t.Errorf("the rows of standard input are gone: %v", err)
	}
}

// TestReplay: each reader reads all of it, and learns what went wrong.
func TestReplay(t *testing.T) {
	r := &replay{from: iotest.OneByteReader(strings.NewReader("hello"))}
	for range 3 {
		if text, err := io.ReadAll(r.reader()); err != nil || string(text) != "hello" {
			t.Errorf("%q, %v", text, err)
		}
	}
	broken := errors.New("broken pipe")
	r = &replay{from: io.MultiReader(strings.NewReader("he"), iotest.ErrReader(broken))}
	for range 2 {
		if text, err := io.ReadAll(r.reader()); !errors.Is(err, broken) || string(text) != "he" {
			t.Errorf("%q, %v", text, err)
		}
	}
}

// TestTargetsOfABench: what is only for messages, or only for HTTP, and faults
// that a target cannot have.
func TestTargetsOfABench(t *testing.T) {
	cases := []struct {
		args []string
		to   string
		want string // "" is right
	}{
		{[]string{"cmd=x"}, "tcp://a:1", ""},
		{[]string{"cmd=x", "--fault", "drop"}, "tcp://a:1", ""},
		{[]string{"cmd=x", "--fault", "pause@1s+1s"}, "tcp://a:1", "--fault pause@1s+1s stops a process"},
		{[]string{"cmd=x", "--method", "PUT"}, "tcp://a:1", "--method goes with an http:// target"},
		{[]string{"cmd=x", "--header", "a: b"}, "tls://a:1", "--header goes with an http:// target"},
		{[]string{"-t", "http://a", "--header", "a: b", "--method", "put"}, "http://a", ""},
		{[]string{"-t", "http://a", "--fault", "reset"}, "http://a", ""},
		{[]string{"-t", "http://a", "--fault", "drop"}, "http://a", "--fault drop: it is about messages"},
	}
	for _, c := range cases {
		o, err := readBench(t, "", c.args...)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
			continue
		}
		to, err := new(target.Flags).Parse(t.Context(), c.to)
		if err != nil {
			t.Fatal(err)
		}
		if err = o.messages[0].suit(to); err == nil {
			err = o.faults.suit(to)
		}
		if c.want == "" && err != nil || c.want != "" && (exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q to %s: %v, want %q", c.args, c.to, err, c.want)
		}
	}
}
