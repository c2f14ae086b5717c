package agents

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/test/testenv"
)

// coordinatorEnv makes the test binary a coordinator, as its value describes, and localAgentEnv one of its local agents.
const (
	coordinatorEnv = "MSCTL_TEST_COORDINATOR"
	localAgentEnv  = "MSCTL_TEST_LOCAL_AGENT"
)

// coordinatorConfig describes the coordinator of a run that takes a minute. Without a NATS server, its agents are local.
type coordinatorConfig struct {
	NATS, Seed, To string
	Agents         int
}

// coordinatorProcess is the main function of a coordinator.
func coordinatorProcess() {
	if err := coordinate(os.Getenv(coordinatorEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func coordinate(text string) error {
	var c coordinatorConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	o := Options{NATS: c.NATS, Pool: "test", Agents: c.Agents, Version: version}
	if c.NATS == "" {
		o.Local, o.Pool = []string{os.Args[0]}, DefaultPool
		if err := os.Setenv(localAgentEnv, "1"); err != nil {
			return err
		}
	} else {
		var err error
		if o.Signer, err = NewSigner(c.Seed); err != nil {
			return err
		}
	}
	fleet := NewCoordinator(o)
	defer fleet.Close()
	s := bench.NewSpec()
	s.Secrets, s.Fleet = &secret.Set{}, fleet
	for _, one := range [][2]string{{"to", c.To}, {"rate", "200/s"}, {"duration", "1m"}} {
		if err := s.Set(one[0], one[1]); err != nil {
			return err
		}
	}
	if err := s.SetMessage([]string{"cmd=work"}); err != nil {
		return err
	}
	if err := s.Check(nil); err != nil {
		return err
	}
	made, err := bench.Prepare(context.Background(), s, nil)
	if err != nil {
		return err
	}
	defer made.Close()
	return made.Run(context.Background(), display{})
}

// localAgentProcess is the main function of a local agent.
func localAgentProcess() {
	o := AgentOptions{Pool: DefaultPool, Version: version, Allow: []string{Everywhere}, Secrets: &secret.Set{}, Log: func(string, ...any) {}}
	flags := flag.NewFlagSet("agent", flag.ExitOnError)
	flags.StringVar(&o.NATS, "nats", "", "")
	flags.StringVar(&o.Trust, "trust", "", "")
	flags.String("allow", "", "")
	_ = flags.Parse(os.Args[1:])                     // exits if it fails
	fd, _ := strconv.Atoi(os.Getenv(ParentVariable)) // the launcher's own
	o.Parent = os.NewFile(uintptr(fd), "parent")     //nolint:gosec // a number of a file
	if err := ServeAgent(context.Background(), o); err != nil {
		os.Exit(1)
	}
}

// killCoordinator starts a coordinator, kills it when load has arrived at the service, and returns when. mark is part of the
// environment of all processes that it starts.
func killCoordinator(t *testing.T, c coordinatorConfig, s *service, mark string) time.Time {
	t.Helper()
	c.To = s.address
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), coordinatorEnv+"="+string(encode(c)), "MSCTL_TEST_MARK="+mark)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	testenv.Eventually(t, time.Minute, "load arrives", func() bool { return s.count() >= 200 })
	if local := testenv.ProcessesOf(mark); runtime.GOOS == "linux" && c.NATS == "" && len(local) < 1+c.Agents {
		t.Errorf("the coordinator and its agents are %q", local)
	}
	killed := time.Now()
	_ = cmd.Process.Kill()
	return killed
}

// count is the number of requests that were received.
func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.data)
}

// checkQuiet checks that the last request was received within 10 s after a time. No process may send more.
func (s *service) checkQuiet(t *testing.T, after time.Time) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if took := s.last.Sub(after); took > 10*time.Second {
		t.Errorf("the load ended %s after the coordinator", took)
	} else {
		t.Logf("the load ended %s after the coordinator", took)
	}
}

// TestCoordinatorKilled kills a coordinator with local agents: no process is left, and no load.
func TestCoordinatorKilled(t *testing.T) { repeatedly(t, checkCoordinatorKilled) }

func checkCoordinatorKilled(t *testing.T) {
	t.Helper()
	s, mark := serve(t), t.TempDir()
	killed := killCoordinator(t, coordinatorConfig{Agents: 4}, s, mark)
	testenv.Eventually(t, time.Minute, "no process is left", func() bool { return len(testenv.ProcessesOf(mark)) == 0 })
	t.Logf("no process was left after %s", time.Since(killed))
	s.checkQuiet(t, killed)
}

// TestLeaseExpires kills a coordinator whose agents others have started: their load ends within 10 s, and they wait for
// other work.
func TestLeaseExpires(t *testing.T) {
	if !everything() {
		t.Skip("takes 12 s: set MSCTL_TEST_ALL=1")
	}
	repeatedly(t, func(t *testing.T) {
		t.Helper()
		f := emptyFleet(t, "nats://"+startServer(t, "listen: 127.0.0.1:-1").address, 3)
		seed, public, err := NewKey()
		if err != nil {
			t.Fatal(err)
		}
		if f.signer, err = NewSigner(seed); err != nil {
			t.Fatal(err)
		}
		f.options.Signer = f.signer
		if public != f.signer.Public() {
			t.Fatalf("the public key is %s, not %s", f.signer.Public(), public)
		}
		f.processes(t, 3)
		s := serve(t)
		killed := killCoordinator(t, coordinatorConfig{NATS: f.url, Seed: seed, Agents: 3}, s, t.TempDir())
		all := newStranger(t, f)
		testenv.Eventually(t, time.Minute, "all agents are idle", func() bool { return all.count(t, stateIdle) == 3 })
		s.checkQuiet(t, killed)
		before := s.count()
		if r := f.mustRun(t, settings{to: s.address, set: [][2]string{{"requests", "30"}}}, nil); r.Outcomes["ok"] != 30 || s.count() != before+30 {
			t.Errorf("the next run has the outcomes %v, and the service received %d", r.Outcomes, s.count()-before)
		}
	})
}
