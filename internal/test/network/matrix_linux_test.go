package network

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(processEnv); mode != "" {
		os.Exit(runProcess(mode))
	}
	goleak.VerifyTestMain(m)
}

// TestMatrix makes each event happen to each transport and role, in networks of their own, and prints when the role noticed it
// and when messages arrived again. Without MSCTL_TEST_ALL, only what takes a second or so happens.
func TestMatrix(t *testing.T) {
	var mu sync.Mutex
	var results []measured
	t.Run("cells", func(t *testing.T) {
		for _, e := range events() {
			for _, tr := range transports() {
				t.Run(e.name+"/"+tr.name, func(t *testing.T) {
					if os.Getenv("MSCTL_TEST_ALL") == "" && !strings.Contains(e.quick, tr.name) {
						t.Skip("set MSCTL_TEST_ALL to run it")
					}
					t.Parallel()
					output := testenv.InNewNetwork(t, func() { measure(t, e, tr) })
					mu.Lock()
					defer mu.Unlock()
					results = append(results, parse(t, output)...)
				})
			}
		}
	})
	if len(results) > 0 {
		t.Log("\n" + table(results))
	}
}

// measure runs the cells of both roles, with and without confirmed events, and prints their results.
func measure(t *testing.T, e event, tr transport) {
	t.Helper()
	for _, r := range []role{caller, service} {
		for _, confirm := range []bool{false, true} {
			name := string(r)
			if confirm {
				name += ", confirmed events"
			}
			t.Run(name, func(t *testing.T) {
				c := &cell{T: t, transport: tr, role: r, confirm: confirm}
				if e.applies != nil && !e.applies(c) || confirm && !(e.strict && (tr.broker == nil || r == caller)) {
					t.Skip("does not exist")
				}
				line, err := json.Marshal(c.run(e))
				if err != nil {
					t.Fatal(err)
				}
				fmt.Printf("\n%s%s\n", resultMark, line)
			})
		}
	}
}

const resultMark = "measured "

func parse(t *testing.T, output string) (results []measured) {
	t.Helper()
	for line := range strings.Lines(output) {
		if text, ok := strings.CutPrefix(line, resultMark); ok {
			var m measured
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				t.Fatal(err)
			}
			results = append(results, m)
		}
	}
	return results
}

// table returns one row for each event, in Markdown, with a column for each transport and role. A cell is "noticed, recovered",
// followed by the numbers of events that were lost or handled twice.
func table(results []measured) string {
	var b strings.Builder
	b.WriteString("| event |")
	for _, tr := range transports() {
		for _, r := range []role{caller, service} {
			fmt.Fprintf(&b, " %s, %s |", tr.name, r)
		}
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", 2*len(transports())) + "\n")
	for _, e := range events() {
		fmt.Fprintf(&b, "| %s |", e.name)
		for _, tr := range transports() {
			for _, r := range []role{caller, service} {
				fmt.Fprintf(&b, " %s |", text(results, e.name, tr.name, r))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func text(results []measured, event, transport string, r role) string {
	for _, m := range results {
		if m.Event != event || m.Transport != transport || m.Role != r || m.Confirmed {
			continue
		}
		text := short(m.Noticed) + ", " + short(m.Recovered)
		if m.Lost > 0 {
			text += fmt.Sprintf("; %d lost", m.Lost)
		}
		if m.Reported > 0 {
			text += fmt.Sprintf("; %d reported", m.Reported)
		}
		if m.Twice > 0 {
			text += fmt.Sprintf("; %d twice", m.Twice)
		}
		return text
	}
	return "–"
}

// short rounds a duration to what a reader needs.
func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
