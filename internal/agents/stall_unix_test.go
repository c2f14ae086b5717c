//go:build unix

package agents

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/bench"
)

// TestStopped stops an agent for a while: it is named, sheds what was due, and the sums are
// exact.
func TestStopped(t *testing.T) { repeatedly(t, checkStopped) }

func checkStopped(t *testing.T) {
	t.Helper()
	seconds := 3
	if everything() {
		seconds = 5
	}
	offered := int64(100 * (seconds + 4))
	f, processes := processFleet(t, 2)
	s := serve(t)
	var at time.Time
	d, err := f.run(t, settings{to: s.address, set: [][2]string{{"rate", "200/s"}, {"duration", fmt.Sprintf("%ds", seconds+4)}}}, func(run *bench.Run) {
		when(run, 1500*time.Millisecond, func() {
			at = time.Now()
			_ = processes[0].Process.Signal(syscall.SIGSTOP)
			time.AfterFunc(time.Duration(seconds)*time.Second, func() { _ = processes[0].Process.Signal(syscall.SIGCONT) })
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &d.Runs[0]
	f.events.checkNamed(t, "has been silent", at)
	if a := agentOf(t, r, processes[0]); a.Stalled == 0 || a.Lost != "" || a.Offered != offered {
		t.Errorf("the agent that was stopped: %+v", a)
	}
	if r.Offered != 2*offered || sum(r) != 2*offered {
		t.Errorf("%d requests were offered and %d have an outcome, not %d", r.Offered, sum(r), 2*offered)
	}
	if due := 100 * seconds; r.Outcomes["shed"] < int64(due-50) {
		t.Errorf("only %d of about %d requests that were due were shed", r.Outcomes["shed"], due)
	}
	if err := bench.LostAgents(d); err == nil {
		t.Error("the bench succeeds although an agent was stalled")
	}
}
