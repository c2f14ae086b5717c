package tui

import (
	"bytes"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	// Its renderer asks nothing of the terminal in tests; its input reader
	// leaves with the program.
	goleak.VerifyTestMain(m)
}

// still is a run that stands still: every snapshot is the same until a test
// changes it. It notes what it is asked to do.
type still struct {
	mu    sync.Mutex
	snap  load.Snapshot
	calls []string
}

func (s *still) Snapshot(int) load.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snap
}

func (s *still) note(text string, change func(*load.Snapshot)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, text)
	change(&s.snap)
	return nil
}

func (s *still) Stop() {
	_ = s.note("stop", func(n *load.Snapshot) { n.Phase = load.Finished })
}
func (s *still) SetRate(v float64) error {
	return s.note("rate "+short(v), func(n *load.Snapshot) { n.Rate = v })
}
func (s *still) SetUsers(v int) error {
	return s.note("users "+short(float64(v)), func(n *load.Snapshot) { n.Users = v })
}
func (s *still) SetTimeout(d time.Duration) error {
	return s.note("timeout "+d.String(), func(n *load.Snapshot) { n.Policy.Timeout = d })
}
func (s *still) SetRetries(v int) error {
	return s.note("retries "+short(float64(v)), func(n *load.Snapshot) { n.Policy.Retries = v })
}

// sample is a run of 20 s whose service stalled from 8 s to 10 s.
func sample() load.Snapshot {
	s := load.Snapshot{
		Elapsed: 15 * time.Second, Planned: 20 * time.Second, Counted: 15 * time.Second, Phase: load.Loading,
		Rate: 500, InFlight: 12, Step: 250 * time.Millisecond,
		Policy: policy.Naive(policy.WithTimeout(300 * time.Millisecond)).Settings(),
		Marks:  []load.Mark{{At: 4 * time.Second, Text: "rate 500/s"}, {At: 4500 * time.Millisecond, Text: "3 retries"}},
		Errors: []load.ErrorCount{
			{Outcome: load.Timeout, Text: "no answer in time", Count: 611},
			{Outcome: load.Error, Status: 404, Text: "item # not found", Count: 23},
		},
		Request: load.Latency{Count: 6866, Min: 1e6, Mean: 90e6, P50: 9_870_000, P90: 27_200_000, P95: 300e6, P99: 1_203_000_000, P999: 1_240_000_000, Max: 1_250_000_000},
		Attempt: load.Latency{Count: 6400, Min: 1e6, Mean: 12e6, P50: 9_100_000, P90: 21_000_000, P95: 40e6, P99: 288_000_000, P999: 298_000_000, Max: 299_000_000},
		Spread:  []load.Bucket{{UpTo: 5e6, Count: 1203}, {UpTo: 10e6, Count: 2500}, {UpTo: 20e6, Count: 2000}, {UpTo: 50e6, Count: 540}, {UpTo: 2e9, Count: 623}},
	}
	s.Totals = load.Totals{Offered: 7500, Attempts: 9333, Retries: 1833, Used: 6889, Discarded: 0, Late: 1100, Lost: 2400}
	s.Totals.Outcomes[load.OK], s.Totals.Outcomes[load.Error], s.Totals.Outcomes[load.Timeout] = 6854, 23, 611
	for i := range 60 {
		at := time.Duration(i) * s.Step
		p := load.Point{At: at, Offered: 125, Attempts: 125, OK: 124, Failed: 1, P50: 9e6, P90: 25e6, P99: time.Duration(60e6 + 20e6*math.Sin(float64(i)))}
		if at >= 8*time.Second && at < 10*time.Second {
			p.OK, p.Failed, p.Attempts = 0, 76, 125+int64(min(i-31, 8))*40
			p.P50, p.P90, p.P99 = 1200e6, 1220e6, 1250e6
		}
		s.Recent = append(s.Recent, p)
	}
	s.Last = s.Recent[58]
	return s
}

// screen is a model of the sample at a size, without colours.
func screen(run *still, width, height int) *benchModel {
	m := newBenchModel(run, BenchScreen{Pattern: `{"cmd":"findAllItems"}`, Target: "items", Out: io.Discard})
	m.width, m.height = width, height
	return m
}

func TestBenchView(t *testing.T) {
	finished := sample()
	finished.Phase, finished.Elapsed, finished.Counted = load.Finished, 16*time.Second, 13*time.Second
	users := sample()
	users.Rate, users.Users, users.Requests, users.Planned = 0, 50, 10_000, 0
	long := sample()
	long.Elapsed, long.Planned = 20*time.Minute, time.Hour
	for i := range long.Recent {
		long.Recent[i].At += 19 * time.Minute
	}
	cases := []struct {
		name          string
		snap          load.Snapshot
		width, height int
		help          bool
	}{
		{"80x24", sample(), 80, 24, false},
		{"120x40", sample(), 120, 40, false},
		{"60x16", sample(), 60, 16, false},
		{"200x60", sample(), 200, 60, false},
		{"small", sample(), 40, 10, false},
		{"help", sample(), 80, 24, true},
		{"finished", finished, 80, 24, false},
		{"users", users, 120, 40, false},
		{"long", long, 80, 24, false},
		{"empty", load.Snapshot{Planned: time.Second, Recent: []load.Point{{}}, Step: 250 * time.Millisecond, Rate: 10}, 80, 24, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := screen(&still{snap: c.snap}, c.width, c.height)
			m.help = c.help
			got := m.View()
			if again := m.View(); again != got {
				t.Error("a second View differs from the first")
			}
			lines := strings.Split(got, "\n")
			if len(lines) > c.height {
				t.Errorf("%d lines on a terminal of %d", len(lines), c.height)
			}
			for i, l := range lines {
				if w := lipgloss.Width(l); w > c.width {
					t.Errorf("line %d is %d columns wide, the terminal %d", i+1, w, c.width)
				}
			}
			if strings.Contains(got, "\x1b") {
				t.Error("there are escape codes without colours")
			}
			golden(t, c.name, got)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "bench_"+name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got+"\n"); diff != "" {
		t.Errorf("%s -want +got (-update rewrites it)\n%s", path, diff)
	}
}

// TestEverySize: whatever the size, the screen fits it.
func TestEverySize(t *testing.T) {
	m := screen(&still{snap: sample()}, 0, 0)
	if m.View() != "" {
		t.Error("something is drawn before the size is known")
	}
	for width := 1; width <= 250; width += 23 {
		for height := 1; height <= 80; height += 7 {
			m.Update(tea.WindowSizeMsg{Width: width, Height: height})
			lines := strings.Split(m.View(), "\n")
			if len(lines) > height {
				t.Fatalf("%d×%d: %d lines", width, height, len(lines))
			}
			for _, l := range lines {
				if lipgloss.Width(l) > width {
					t.Fatalf("%d×%d: a line of %d columns", width, height, lipgloss.Width(l))
				}
			}
		}
	}
}

// TestKeys drives the real program: keys in, changes of the run out, until q.
func TestKeys(t *testing.T) {
	cases := []struct {
		name        string
		users       int
		keys        string
		want        []string
		interrupted bool
	}{
		{"rate", 0, "kjj", []string{"rate 600", "rate 500", "rate 400"}, false},
		{"timeout", 0, "lhh", []string{"timeout 400ms", "timeout 300ms", "timeout 250ms"}, false},
		{"retries", 0, "+---- -", []string{"retries 4", "retries 3", "retries 2", "retries 1", "retries 0"}, false},
		{"users", 9, "kj", []string{"users 10", "users 8"}, false},
		{"help covers the keys", 0, "?k?x", nil, false},
		{"ctrl-c", 0, "\x03", nil, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			run := &still{snap: sample()}
			run.snap.Users = c.users
			keys, typed := io.Pipe()
			var out bytes.Buffer
			go func() {
				for _, k := range c.keys {
					_, _ = typed.Write([]byte(string(k)))
					settle(run)
				}
				if !c.interrupted {
					_, _ = typed.Write([]byte("q"))
				}
			}()
			interrupted, err := Bench(run, BenchScreen{Pattern: "p", Target: "t", In: keys, Out: &out})
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

// settle waits until a key's change has reached the run and a frame has shown
// it: steps go from what is shown.
func settle(run *still) {
	timer := time.NewTimer(3 * time.Second / framesPerSecond)
	defer timer.Stop()
	<-timer.C
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
