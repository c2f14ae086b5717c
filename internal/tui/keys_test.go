package tui

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load"
)

func stripped(text string) string { return ansi.Strip(text) }

// TestKeys drives the program with keys and checks the changes of the run.
func TestKeys(t *testing.T) {
	cases := []struct {
		name        string
		users       int
		keys        string
		want        []string
		interrupted bool
	}{
		{"rate", 0, "kjj", []string{"rate 80", "rate 60", "rate 50"}, false},
		{"timeout", 0, "lhh", []string{"timeout 400ms", "timeout 300ms", "timeout 250ms"}, false},
		{"retries", 0, "+---- -", []string{"retries 4", "retries 3", "retries 2", "retries 1", "retries 0"}, false},
		{"users", 9, "kj", []string{"users 10", "users 8"}, false},
		{"policy", 0, "pppPP", []string{"preset none", "preset nest", "preset naive", "preset nest", "preset none"}, false},
		{"fire", 0, "f", []string{"fire"}, false},
		{"n is for several runs", 0, "n", nil, false},
		{"help covers the keys", 0, "?k?x", nil, false},
		{"esc closes the help and stops nothing", 0, "\x1b?\x1bj\x1b", []string{"rate 50"}, false},
		{"ctrl-c", 0, "\x03", nil, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			run := &still{snap: loading(), fault: "stall 4s"}
			run.snap.Users = c.users
			keys, typed := io.Pipe()
			var out bytes.Buffer
			go func() {
				for _, k := range c.keys {
					_, _ = typed.Write([]byte(string(k)))
					settle()
				}
				if !c.interrupted {
					_, _ = typed.Write([]byte("q"))
				}
			}()
			screen := testScreen()
			screen.In, screen.Out = keys, &out
			interrupted, err := Bench(run, screen)
			_ = typed.Close()
			if err != nil {
				t.Fatal(err)
			}
			if interrupted != c.interrupted {
				t.Errorf("interrupted is %t", interrupted)
			}
			if diff := cmp.Diff(append(c.want, "stop"), run.calls); diff != "" {
				t.Errorf("calls -want +got\n%s", diff)
			}
		})
	}
}

// TestPolicyName checks that the name of a policy is shown until the policy is changed.
func TestPolicyName(t *testing.T) {
	m := screen(loading(), 120, 40)
	shown := func(text string) bool { return strings.Contains(m.View(), text) }
	for _, c := range []struct {
		key   string
		named bool
	}{{"p", true}, {"+", false}, {"p", true}, {"k", true}} {
		_, cmd := m.Update(keyMsg(c.key))
		m.Update(cmd())
		m.tick()
		if shown(" "+m.preset+": timeout") != c.named {
			t.Errorf("after %s the policy %s is named: %t", c.key, m.preset, !c.named)
		}
	}
}

// TestKeysReadAtOnce checks that keys read together all count, and that pasted text does
// not.
func TestKeysReadAtOnce(t *testing.T) {
	m := screen(loading(), 80, 24)
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q?"), Paste: true})
	if m.stopped || m.help {
		t.Error("what was pasted was obeyed")
	}
	m.Update(keyMsg("?"))
	if m.Update(keyMsg("?q")); m.help || !m.stopped {
		t.Errorf("after ?q help is %t, stopped %t", m.help, m.stopped)
	}
}

// settle waits until a key's change has reached the run and a frame shows it, because
// the next step starts from the displayed value.
func settle() {
	timer := time.NewTimer(3 * time.Second / framesPerSecond)
	defer timer.Stop()
	<-timer.C
}

// plainRun is a run without optional capabilities.
type plainRun struct{ BenchRun }

// TestKeysOfPlainRuns checks the messages for keys that a run does not support.
func TestKeysOfPlainRuns(t *testing.T) {
	m := screen(loading(), 80, 24)
	run := m.stage.Run.(*still)
	m.stage.Run = plainRun{run}
	for _, c := range []struct{ key, want string }{
		{"p", "the policy of this run cannot be replaced"},
		{"f", "this run has no fault: start it with --fault"},
	} {
		if cmd := m.press(keyMsg(c.key)); cmd != nil {
			t.Errorf("%s returns a command", c.key)
		}
		if m.note != c.want {
			t.Errorf("%s shows %q, want %q", c.key, m.note, c.want)
		}
	}
	m.stage.Run, run.fault = run, ""
	m.Update(m.press(keyMsg("f"))())
	if m.note != errNothingToFire.Error() {
		t.Errorf("f without a fault shows %q", m.note)
	}
	if len(run.calls) > 0 {
		t.Errorf("the run was changed: %v", run.calls)
	}
}

func TestStep(t *testing.T) {
	up := []float64{1}
	for up[len(up)-1] < 1000 {
		up = append(up, step(up[len(up)-1], true))
	}
	var down []float64
	for v := 1000.0; v > 1; v = step(v, false) {
		down = append(down, v)
	}
	for i, v := range down {
		if want := up[len(up)-1-i]; math.Abs(v-want) > 1e-6 {
			t.Fatalf("down %v, up %v", down, up)
		}
	}
	if got := step(0.1, false); !(got > 0 && got < 0.1) {
		t.Errorf("one step down from 0.1 is %g", got)
	}
	if got := step(1234*time.Millisecond, true); got != 1500*time.Millisecond {
		t.Errorf("one step up from 1.234s is %s", got)
	}
}

// TestJudge checks the status of a trigger before, during, and after it.
func TestJudge(t *testing.T) {
	r := func(v load.Verdict, change func(*load.Recovery)) load.Recovery {
		r := load.Recovery{Verdict: v, Before: 1}
		if change != nil {
			change(&r)
		}
		return r
	}
	cases := []struct {
		name    string
		elapsed time.Duration
		r       *load.Recovery
		recent  float64
		badge   string
		detail  string
	}{
		{"before", 5 * time.Second, nil, 1, "stall 4s in 3.0 s", ""},
		{"during", 9900 * time.Millisecond, new(r(load.Pending, nil)), 0, "▼ stall 4s: 2.1 s left", "0% of the requests succeed"},
		{"after", 13 * time.Second, new(r(load.Pending, nil)), 0.031, "◌ not recovered, 1.0 s after stall 4s", "3% of the requests succeed"},
		{"coming back", 15 * time.Second, new(r(load.Pending, func(r *load.Recovery) { r.Back = 1200 * time.Millisecond })), 1, "◔ back at 95% for 1.2 s of 3 s", "100% of the requests succeed"},
		{"recovered", 20 * time.Second, new(r(load.Recovered, func(r *load.Recovery) { r.Took = 1200 * time.Millisecond })), 1, "✔ RECOVERED in 1.2 s", ""},
		{"collapsed", 30 * time.Second, new(r(load.Collapsed, func(r *load.Recovery) { r.After, r.Amplified = 0.03, 3.91 })), 0, "✖ COLLAPSED", "on time: 3% of its earlier level, 3.9 attempts/request"},
		{"degraded", 30 * time.Second, new(r(load.Degraded, func(r *load.Recovery) { r.Before, r.After, r.Amplified = 0.5, 0.4, 2 })), 0, "◐ DEGRADED", "on time: 80% of its earlier level, 2.0 attempts/request"},
		{"undecided", 13 * time.Second, new(r(load.Undecided, func(r *load.Recovery) { r.Why = "the run ended 1 s after it" })), 0, "? UNDECIDED", "the run ended 1 s after it"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := load.Snapshot{Elapsed: c.elapsed, Phase: load.Loading}
			if c.r != nil {
				c.r.Trigger = storyTrigger()
				s.Recoveries = []load.Recovery{*c.r}
			}
			got := judge(&s, []load.Trigger{storyTrigger()}, c.recent)
			if diff := cmp.Diff([2]string{c.badge, c.detail}, [2]string{got.badge, got.detail}); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
