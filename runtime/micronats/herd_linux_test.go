package micronats

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestHerd restarts a broker with many clients, and prints how long it takes until all are
// answered again. MSCTL_TEST_ALL makes them 500.
func TestHerd(t *testing.T) {
	clients := 50
	if os.Getenv("MSCTL_TEST_ALL") != "" {
		clients = 500
	}
	pid := filepath.Join(t.TempDir(), "pid")
	b := testenv.PrivateNATS(t, fmt.Sprintf("pid_file: %q", pid))
	start(t, quietServer(), b.URL)
	var herd []*micro.Client
	for range clients {
		c := client(t, b.URL)
		if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
			t.Fatal(err)
		}
		herd = append(herd, c)
	}
	b.Kill()
	if clients == 500 {
		<-time.After(3 * time.Second) // until the pauses between attempts are as long as they get
	}
	b.Start()
	began := time.Now()
	back := make([]time.Duration, clients)
	var calls sync.WaitGroup
	for i, c := range herd {
		calls.Go(func() {
			if !testenv.Poll(soon, func() bool { _, err := micro.Call[string](t.Context(), c, echo, "x"); return err == nil }) {
				t.Error("a client does not come back")
			}
			back[i] = time.Since(began)
		})
	}
	calls.Wait()
	slices.Sort(back)
	t.Logf("%d clients: half were answered again after %v, 99%% after %v, all after %v; the broker used %v of processor time",
		clients, back[clients/2].Round(time.Millisecond), back[clients*99/100].Round(time.Millisecond), back[clients-1].Round(time.Millisecond), cpu(t, pid))
}

// cpu returns the processor time of a process.
func cpu(t *testing.T, pidFile string) time.Duration {
	t.Helper()
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	var user, system int64
	fields := strings.Fields(string(stat))
	if _, err := fmt.Sscan(fields[13]+" "+fields[14], &user, &system); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // Linux reports hundredths of a second
}
