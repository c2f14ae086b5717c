package microredis

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// BenchmarkServer measures the CPU time per request of our service process and of
// NestJS's, with the same client and 64 requests or one request in flight.
func BenchmarkServer(b *testing.B) {
	for _, flight := range []int{64, 1} {
		for _, who := range []string{"msctl", "nestjs"} {
			b.Run(fmt.Sprintf("%s/%d", who, flight), func(b *testing.B) {
				broker := testenv.PrivateRedis(b)
				pid := startProcess(b, who, broker.URL)
				c := client(b, broker.URL)
				load(b, c, flight, max(b.N/10, 100))
				before, own, redis := cpu(b, pid), cpu(b, os.Getpid()), cpu(b, brokerPid(b, broker.Addr))
				b.ResetTimer()
				load(b, c, flight, b.N)
				b.StopTimer()
				b.ReportMetric(float64((cpu(b, os.Getpid())-own).Microseconds())/float64(b.N), "client-µs/op")
				b.ReportMetric(float64((cpu(b, pid)-before).Microseconds())/float64(b.N), "server-µs/op")
				b.ReportMetric(float64((cpu(b, brokerPid(b, broker.Addr))-redis).Microseconds())/float64(b.N), "redis-µs/op")
			})
		}
	}
}

// load makes n calls, with flight calls in flight.
func load(b *testing.B, c *micro.Client, flight, n int) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	data := anItem()
	for range flight {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := micro.Call[item](b.Context(), c, echo, data); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// startProcess starts a service process and returns its process ID when it is ready.
func startProcess(b *testing.B, who, url string) int {
	b.Helper()
	var cmd *exec.Cmd
	if who == "nestjs" {
		testenv.NeedNest(b, testenv.Nest12)
		dir := filepath.Join(testenv.Root(), "testdata", "nest")
		port := url[strings.LastIndexByte(url, ':')+1:]
		cmd = exec.Command("node", "bench-server.mjs", "--transport", "redis", "--port", port)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "NEST_DIR="+filepath.Join(dir, "v12"), "NODE_ENV=production")
	} else {
		self, err := os.Executable()
		if err != nil {
			b.Fatal(err)
		}
		cmd = exec.Command(self)
		cmd.Env = append(os.Environ(), serviceEnv+"="+url, "GOGC=400")
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
	})
	if !bufio.NewScanner(stdout).Scan() {
		b.Fatalf("the %s server ended", who)
	}
	return cmd.Process.Pid
}

// cpu returns the CPU time that a process has used. Linux counts it in ticks.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// brokerPid returns the process ID of the broker that listens on an address.
func brokerPid(b *testing.B, addr string) int {
	b.Helper()
	out, err := exec.Command("pgrep", "-f", "redis-server.*"+addr[strings.LastIndexByte(addr, ':'):]).Output()
	if err != nil {
		b.Skip(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(out))[0])
	if err != nil {
		b.Fatal(err)
	}
	return pid
}
