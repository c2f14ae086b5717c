package network

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// TestLargeReply makes one call with a large reply among small calls on the same connection, and prints how long those take: with
// the speed of the loopback interface, and at 1 Gbit/s. MSCTL_TEST_ALL makes it 50 MB.
func TestLargeReply(t *testing.T) {
	t.Parallel() // with other processes
	size := 1_000_000
	if os.Getenv("MSCTL_TEST_ALL") != "" {
		size *= 50
	}
	output := testenv.InNewNetwork(t, func() {
		address := freeAddress(t)
		large := micro.Cmd("large")
		c := counts{requests: map[int]int{}, events: map[int]int{}}
		s := c.server(micro.WithLogger(slog.New(slog.DiscardHandler)))
		value := []byte(`"` + strings.Repeat("x", size) + `"`)
		micro.HandleFunc(s, large, func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
			return reply.Send(micro.Value{Raw: value, Last: true})
		})
		serveOn(t, s, microtcp.Listen(address))
		client := micro.NewClient(microtcp.Dial(address), micro.WithTimeout(limit))
		defer func() { _ = client.Close() }()
		for _, speed := range []string{"", "1gbit"} {
			if speed != "" {
				out, err := exec.CommandContext(t.Context(), "tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", speed, "burst", "256k", "latency", "100ms").CombinedOutput()
				if err != nil {
					t.Logf("no limited speed: %v: %s", err, out)
					break
				}
			}
			quiet := smallCalls(t, client, after(200*time.Millisecond))
			done := make(chan struct{})
			var took time.Duration
			go func() {
				defer close(done)
				began := time.Now()
				got, err := micro.Call[string](t.Context(), client, large, nil)
				if took = time.Since(began); err != nil || len(got) != size {
					t.Errorf("the large call: %d bytes, %v", len(got), err)
				}
			}()
			busy := smallCalls(t, client, done)
			t.Logf("speed %q: small calls take %v (median) and at most %v; while a reply of %d MB is on its way, which takes %v: %v and at most %v",
				speed, at(quiet, 0.5), at(quiet, 1), size/1_000_000, took.Round(time.Millisecond), at(busy, 0.5), at(busy, 1))
			if slowest := at(busy, 1); slowest > took+time.Second {
				t.Errorf("a small call took %v, longer than the large one: %v", slowest, took)
			}
		}
	})
	t.Log(output)
}

// smallCalls makes one call per millisecond until done, and returns how long they took, in order.
func smallCalls(t *testing.T, c *micro.Client, done <-chan struct{}) (took []time.Duration) {
	t.Helper()
	results := make(chan time.Duration)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for open := 0; done != nil || open > 0; {
		select {
		case <-tick.C:
			if done == nil {
				continue
			}
			open++
			go func() {
				began := time.Now()
				if _, err := micro.Call[int](t.Context(), c, echo, 1); err != nil {
					t.Errorf("a small call: %v", err)
				}
				results <- time.Since(began)
			}()
		case d := <-results:
			open--
			took = append(took, d)
		case <-done:
			done = nil
		}
	}
	slices.Sort(took)
	return took
}

func after(d time.Duration) <-chan struct{} {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	context.AfterFunc(ctx, cancel)
	return ctx.Done()
}
