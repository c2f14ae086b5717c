package outage

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

const (
	herd       = 500             // clients, each with connections of its own
	herdEvery  = time.Second     // between the calls of one client
	herdGone   = 5 * time.Second // how long the broker is gone: the pauses between attempts are at their longest
	herdWithin = 20 * time.Second
)

// TestHerd restarts a broker with 500 clients, and reports how soon they are back and what that
// costs the broker. It requires MSCTL_TEST_LONG and a quiet machine.
func TestHerd(t *testing.T) {
	if os.Getenv("MSCTL_TEST_LONG") == "" {
		t.Skip("MSCTL_TEST_LONG is not set")
	}
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			broker := tr.broker(t)
			serve(t, tr.listen(broker.URL))
			var clients []*micro.Client
			for range herd {
				client := micro.NewClient(tr.dial(broker.URL), micro.WithTimeout(timeout))
				defer func() { _ = client.Close() }()
				awaitService(t, client)
				clients = append(clients, client)
			}
			broker.Kill()
			down := time.Now()
			back := make([]time.Time, herd)
			var all sync.WaitGroup
			for i, client := range clients {
				all.Go(func() { back[i] = backSince(t.Context(), client, down.Add(herdGone)) })
			}
			<-time.After(time.Until(down.Add(herdGone)))
			broker.Start()
			up := time.Now()
			all.Wait()
			slices.SortFunc(back, time.Time.Compare)
			after := func(i int) time.Duration { return back[i].Sub(up).Round(time.Millisecond) }
			t.Logf("the first of %d clients was back %v after the broker, half of them after %v, and all after %v%s",
				herd, after(0), after(herd/2), after(herd-1), costs(t, tr, broker.Addr))
			if after(herd-1) > herdWithin {
				t.Errorf("want all within %v", herdWithin)
			}
		})
	}
}

// backSince makes calls, and returns when the first one was answered that began after a time.
func backSince(ctx context.Context, client *micro.Client, after time.Time) time.Time {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return time.Time{}
		}
		began := time.Now()
		if _, err := micro.Call[int](ctx, client, slow, 1); err == nil && began.After(after) {
			return time.Now()
		}
		pause.Reset(herdEvery/2 + rand.N(herdEvery))
	}
}

var redisCosts = regexp.MustCompile(`(?m)^(used_cpu_sys|used_cpu_user|total_connections_received|rejected_connections):[^\r]*`)

// costs returns what a Redis that has restarted reports about its work.
func costs(t *testing.T, tr transport, addr string) string {
	t.Helper()
	if tr.name != "redis" {
		return ""
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "INFO\r\nQUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return "; Redis since then: " + strings.Join(redisCosts.FindAllString(string(text), -1), ", ")
}
