package agents

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/exit"
	benchreport "github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/test/testenv"
)

// when waits until a run has offered for a while and calls a function.
func when(run *bench.Run, elapsed time.Duration, f func()) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for run.Snapshot(1).Elapsed < elapsed {
		select {
		case <-run.Done():
			return
		case <-tick.C:
		}
	}
	f()
}

// named returns when an event with a text was notified after a time.
func (e *events) named(text string, after time.Time) (took time.Duration, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.list {
		if one.at.After(after) && strings.Contains(one.text, text) {
			return one.at.Sub(after), true
		}
	}
	return 0, false
}

// sum is the sum of all outcomes.
func sum(r *benchreport.Run) (n int64) {
	for _, count := range r.Outcomes {
		n += count
	}
	return n
}

// process starts a fleet of processes.
func processFleet(t *testing.T, n int) (*fleet, []*exec.Cmd) {
	t.Helper()
	f := emptyFleet(t, natsServer(t, server.Options{}).ClientURL(), n)
	return f, f.processes(t, n)
}

// index returns the agent of a run that is a process.
func agentOf(t *testing.T, r *benchreport.Run, p *exec.Cmd) benchreport.Agent {
	t.Helper()
	suffix := "/" + strconv.Itoa(p.Process.Pid)
	for _, a := range r.Agents {
		if strings.HasSuffix(a.Name, suffix) {
			return a
		}
	}
	t.Fatalf("no agent is process %d", p.Process.Pid)
	return benchreport.Agent{}
}

// everything reports whether the long forms of the tests are to run.
func everything() bool { return os.Getenv("MSCTL_TEST_ALL") != "" }

// repeatedly runs a test once or, with MSCTL_TEST_ALL, ten times.
func repeatedly(t *testing.T, test func(*testing.T)) {
	t.Helper()
	t.Parallel()
	test(t)
	for n := 2; everything() && n <= 10; n++ {
		t.Run(strconv.Itoa(n), test)
	}
}

// checkNamed checks that something was named. With MSCTL_TEST_ALL, it must have been within 2 s; otherwise, the machine may be busy.
func (e *events) checkNamed(t *testing.T, text string, after time.Time) {
	t.Helper()
	took, ok := e.named(text, after)
	if !ok || everything() && took > 2*time.Second {
		t.Errorf("%q was named: %t, after %s", text, ok, took)
	}
	t.Logf("%q was named after %s", text, took)
}

// TestKilled kills an agent: it is named, the others continue, and what is unknown is known.
func TestKilled(t *testing.T) { repeatedly(t, checkKilled) }

func checkKilled(t *testing.T) {
	t.Helper()
	f, processes := processFleet(t, 3)
	s := serve(t)
	var at time.Time
	d, err := f.run(t, settings{to: s.address, set: [][2]string{{"rate", "300/s"}, {"duration", "5s"}}}, func(run *bench.Run) {
		when(run, 1500*time.Millisecond, func() {
			at = time.Now()
			_ = processes[1].Process.Kill()
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &d.Runs[0]
	f.events.checkNamed(t, "lost: its process is gone", at)
	if a := agentOf(t, r, processes[1]); a.Lost == "" || a.Until == 0 {
		t.Errorf("the report does not mention the lost agent: %+v", a)
	}
	for _, i := range []int{0, 2} {
		if a := agentOf(t, r, processes[i]); a.Offered != 500 || a.Lost != "" {
			t.Errorf("an agent that was not killed: %+v", a)
		}
	}
	if r.Offered != sum(r) {
		t.Errorf("%d requests were offered, and there are %d outcomes", r.Offered, sum(r))
	}
	if r.Doubtful == 0 {
		t.Error("no second is doubtful")
	}
	if err := bench.LostAgents(d); err == nil {
		t.Error("the bench succeeds although an agent was lost")
	}
}

// TestKilledWhileArming kills an agent that is preparing a run, which ends with an error.
func TestKilledWhileArming(t *testing.T) {
	t.Setenv("MSCTL_TEST_AGENT_HANGS", "1")
	f, processes := processFleet(t, 2)
	conn, err := nats.Connect(f.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &stranger{conn: conn} // without a subscription to everything: it would be a responder
	var killing sync.WaitGroup
	defer killing.Wait()
	killing.Go(func() {
		testenv.Poll(time.Minute, func() bool { return s.count(t, stateArming) == 2 })
		_ = processes[1].Process.Kill()
	})
	began := time.Now()
	_, err = f.run(t, settings{to: serve(t).address}, nil)
	want := fmt.Sprintf("/%d is gone", processes[1].Process.Pid)
	if err == nil || !strings.Contains(err.Error(), want) || exit.Code(err) != exit.Unreachable || time.Since(began) >= armTimeout {
		t.Errorf("after %s, the error is %v (%d)", time.Since(began), err, exit.Code(err))
	}
	t.Logf("after %s: %v", time.Since(began), err)
}

// TestServerRestarts kills the NATS server and starts it again after 3 s: the connection is named and no agent, and the
// sums are exact.
func TestServerRestarts(t *testing.T) { repeatedly(t, checkServerRestarts) }

func checkServerRestarts(t *testing.T) {
	t.Helper()
	srv := startServer(t, "listen: 127.0.0.1:-1")
	f := emptyFleet(t, "nats://"+srv.address, 2)
	processes := f.processes(t, 2)
	s := serve(t)
	var at time.Time
	r := f.mustRun(t, settings{to: s.address, set: [][2]string{{"rate", "200/s"}, {"duration", "6s"}}}, func(run *bench.Run) {
		when(run, time.Second, func() {
			at = time.Now()
			srv.kill()
			<-time.After(3 * time.Second)
			startServer(t, "listen: "+srv.address)
		})
	})
	f.events.checkNamed(t, "the connection to NATS was lost; the agents continue", at)
	if took, ok := f.events.named("agent ", at); ok {
		t.Errorf("an agent was named after %s", took)
	}
	for _, p := range processes {
		if a := agentOf(t, r, p); a.Lost != "" || a.Stalled > 0 || a.Offered != 600 {
			t.Errorf("an agent after the restart: %+v", a)
		}
	}
	if r.Offered != 1200 || sum(r) != 1200 {
		t.Errorf("%d requests were offered and %d have an outcome, not 1200", r.Offered, sum(r))
	}
}

// TestStopOnLoss stops the run when an agent is lost.
func TestStopOnLoss(t *testing.T) {
	t.Parallel()
	f, processes := processFleet(t, 2)
	f.options.StopOnLoss = true
	s := serve(t)
	r := f.mustRun(t, settings{to: s.address, set: [][2]string{{"rate", "100/s"}, {"duration", "1m"}}}, func(run *bench.Run) {
		when(run, 1100*time.Millisecond, func() { _ = processes[0].Process.Kill() })
	})
	if !r.Stopped || r.Offered != sum(r) {
		t.Errorf("stopped %t, %d offered, %d outcomes", r.Stopped, r.Offered, sum(r))
	}
}

// TestLive changes the rate, the policy, and the users of runs on three agents: all apply a
// change at the same request, so the sum is that of one process.
func TestLive(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, nil)
	s := serve(t)
	r := f.mustRun(t, settings{to: s.address, set: [][2]string{{"rate", "100/s"}, {"duration", "4s"}}}, func(run *bench.Run) {
		when(run, 1100*time.Millisecond, func() {
			for _, err := range []error{run.SetRate(400), run.SetTimeout(700 * time.Millisecond), run.SetRetries(2), run.SetPreset("recommended")} {
				if err != nil {
					t.Error(err)
				}
			}
			if run.SetUsers(3) == nil {
				t.Error("an open load has users")
			}
		})
	})
	var at time.Duration
	var texts []string
	for _, c := range r.Changes {
		texts = append(texts, c.Text)
		if c.Text == "rate 400/s" {
			at = c.At
		}
	}
	if got := strings.Join(texts, ", "); got != "rate 400/s, timeout 700ms, 2 retries, policy recommended" {
		t.Errorf("the changes are %s", got)
	}
	if r.Outcomes["shed"] == 0 && (r.Policy.Retries == 0 || r.Rate != 400) {
		t.Errorf("after the changes, the rate is %g/s and the policy is %s", r.Rate, r.Policy.Text)
	}
	want := 100*at.Seconds() + 400*(4-at.Seconds())
	// On a busy machine, the change may reach an agent too late.
	if got := float64(r.Offered); (got < want-3 || got > want+3) && r.Doubtful == 0 {
		t.Errorf("%g requests were offered, and the rates give %g", got, want)
	}
	closed := f.mustRun(t, settings{to: s.address, set: [][2]string{{"users", "3"}, {"think", "20ms"}, {"duration", "3s"}}}, func(run *bench.Run) {
		when(run, 1100*time.Millisecond, func() {
			if err := run.SetUsers(7); err != nil {
				t.Error(err)
			}
		})
	})
	if closed.Users != 7 {
		t.Errorf("there are %d users, not 7", closed.Users)
	}
}

// TestServerGone ends the NATS server for good: the agents stop within 10 s, and the bench
// ends with a report.
func TestServerGone(t *testing.T) {
	if !everything() {
		t.Skip("takes 12 s: set MSCTL_TEST_ALL=1")
	}
	t.Parallel()
	srv := natsServer(t, server.Options{})
	f := emptyFleet(t, srv.ClientURL(), 2)
	f.processes(t, 2)
	s := serve(t)
	var gone time.Time
	d, err := f.run(t, settings{to: s.address, set: [][2]string{{"rate", "100/s"}, {"duration", "1m"}}}, func(run *bench.Run) {
		when(run, 1100*time.Millisecond, func() {
			srv.Shutdown()
			srv.WaitForShutdown()
			gone = time.Now()
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if took := s.last.Sub(gone); took < time.Second || took > 10*time.Second {
		t.Errorf("the load ended %s after the server", took)
	}
	r := &d.Runs[0]
	if r.Agents[0].Lost == "" || r.Agents[1].Lost == "" || r.Offered != sum(r) || r.Offered == 0 {
		t.Errorf("the report has %d requests, %d outcomes, and the agents %+v", r.Offered, sum(r), r.Agents)
	}
}
