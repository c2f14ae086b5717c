//go:build unix

package load_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"syscall"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/load/lab"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/policy"
)

// busyCounts are the counts that busy-server.mjs returns.
type busyCounts struct{ Done, Dropped, Records int64 }

func countsAt(t *testing.T, address string) (c busyCounts) {
	t.Helper()
	client := micro.NewClient(microtcp.Dial(address), micro.WithTimeout(time.Minute))
	defer client.Close()
	c, err := micro.Call[busyCounts](t.Context(), client, micro.Cmd("count"), json.RawMessage(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDroppedRepliesDoubleWrites checks that a client that retries when a reply is lost
// makes a NestJS handler that is not idempotent write twice. Both the service's own
// count and the figures of the run show it.
func TestDroppedRepliesDoubleWrites(t *testing.T) {
	skipUnlessRealClock(t)
	server := testenv.BusyNest(t)
	proxy, err := fault.Start(t.Context(), fault.Options{
		Target: []string{server.Addr}, Seed: 1, Faults: []fault.Fault{{Kind: fault.DropReply, Share: 1, First: 50}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	conn := microtcp.Dial(proxy.Addr())
	t.Cleanup(func() { _ = conn.Close() })
	// The first 50 messages lose their replies; they are all first attempts,
	// because retries come only when those have timed out.
	res := runReal(t, load.Plan{
		Messages: []load.Message{{Conns: []micro.Conn{conn}, Pattern: micro.Cmd("create")}},
		Policy:   policy.New(policy.WithTimeout(3*time.Second), policy.WithRetries(1)),
		Pacer:    vegeta.ConstantPacer{Freq: 100, Per: time.Second}, Requests: 50,
	})
	checkSum(t, res)
	want := counts{OK: 50, Attempts: 100, Retries: 50, Used: 50, Lost: 50}
	if got := countsOf(res.Totals); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if f := proxy.Faults()[0]; f.Matched != 100 || f.Hit != 50 || f.Replies != 50 {
		t.Errorf("the proxy counts %+v, want 50 of 100 messages hit and as many replies dropped", f)
	}
	if got := countsAt(t, server.Addr).Records; got != 100 {
		t.Errorf("the service has written %d records for 50 requests, want 100", got)
	}
}

// stopProcess returns a trigger that stops a process for a while.
func stopProcess(t *testing.T, pid int, at, length time.Duration) load.Trigger {
	t.Helper()
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	return load.Trigger{At: at, Length: length, Text: "pause " + length.String(), Fire: func() error {
		time.AfterFunc(length, func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
		return syscall.Kill(pid, syscall.SIGSTOP)
	}}
}

// TestNestVerdicts measures which policies let a NestJS service recover: its handler is
// busy for 10 ms, it is loaded to two thirds of its capacity, and it is stopped for
// 4 s. The test takes three minutes and an idle machine.
func TestNestVerdicts(t *testing.T) {
	skipUnlessRealClock(t)
	const timeout = 300 * ms
	jittered := []policy.Option{
		policy.WithRetries(3), policy.WithBackoff(policy.Exponential(100*ms, 5*time.Second)), policy.WithJitter(policy.FullJitter),
	}
	expires := []load.Pair{{Key: "expires", Value: func(_ uint64, attempt *micro.Request) string {
		return strconv.FormatInt(attempt.Deadline.UnixMilli(), 10)
	}}}
	cases := []struct {
		name   string
		drop   bool
		policy []policy.Option
		want   load.Verdict
	}{
		{"no retries", false, nil, load.Recovered},
		{"3 jittered retries", false, jittered, load.Collapsed},
		{"3 jittered retries and a budget of 10%", false, append(jittered[:3:3], policy.WithBudget(0.1, 0)), load.Recovered},
		{"the same, and expired work is dropped", true, append(jittered[:3:3], policy.WithBudget(0.1, 0)), load.Recovered},
		{"3 jittered retries, and expired work is dropped", true, jittered, load.Collapsed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var args []string
			if c.drop {
				args = append(args, "--drop-expired")
			}
			server := testenv.BusyNest(t, args...)
			conn := microtcp.Dial(server.Addr)
			t.Cleanup(func() { _ = conn.Close() })
			message := load.Message{Conns: []micro.Conn{conn}, Pattern: micro.Cmd("work"), Metadata: expires}
			capacity, _, err := lab.Capacity(t.Context(), func(ctx context.Context, users int, length, warmup time.Duration) (*load.Result, error) {
				return runReal(t, load.Plan{
					Messages: []load.Message{{Conns: message.Conns, Pattern: message.Pattern}}, Policy: policy.New(policy.WithTimeout(time.Minute)),
					Users: users, Duration: length, Warmup: warmup,
				}), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			res := runReal(t, load.Plan{
				Messages: []load.Message{message}, Policy: policy.New(append([]policy.Option{policy.WithTimeout(timeout)}, c.policy...)...),
				Pacer: vegeta.ConstantPacer{Freq: int(math.Round(capacity * 60 / 95 * 1000)), Per: 1000 * time.Second}, Duration: 30 * time.Second,
				Triggers: []load.Trigger{stopProcess(t, server.Pid, 5*time.Second, 4*time.Second)},
			})
			checkSum(t, res)
			got := res.Recoveries[0]
			t.Logf("capacity %.0f/s, offered %.0f/s: %s: %s", capacity, res.OfferedRate(), &got, got.Why)
			if got.Verdict != c.want {
				t.Errorf("%s, want %s; %+v", &got, c.want, fmt.Sprintf("%+v", countsOf(res.Totals)))
			}
		})
	}
}
