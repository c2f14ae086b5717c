package network

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// processEnv makes the test binary a service or a client: "service TRANSPORT ADDRESS" or "client TRANSPORT ADDRESS".
const processEnv = "MSCTL_TEST_NETWORK_PROCESS"

// runProcess runs until SIGTERM. A service prints "ready". A client makes a call every 20 ms, and prints for each when it began
// and ended, and its error, if any.
func runProcess(mode string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var name, which, address string
	if _, err := fmt.Sscan(mode, &name, &which, &address); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, tr := range transports() {
		switch {
		case tr.name != which:
		case name == "client":
			runClient(ctx, tr.dial(address, nil))
			return 0
		default:
			return runService(ctx, tr.listen(address, nil, 0))
		}
	}
	return 1
}

func runService(ctx context.Context, l micro.Listener) int {
	c := counts{requests: map[int]int{}, events: map[int]int{}}
	go func() {
		if l.(interface{ Ready(context.Context) error }).Ready(ctx) == nil {
			fmt.Println("ready")
		}
	}()
	if err := c.server(micro.WithLogger(slog.New(slog.DiscardHandler))).Serve(ctx, l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runClient(ctx context.Context, conn micro.Conn) {
	c := micro.NewClient(conn, micro.WithTimeout(timeout))
	defer func() { _ = c.Close() }()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
			calls.Go(func() {
				started, text := time.Now().UnixMicro(), ""
				if _, err := micro.Call[int](ctx, c, echo, n); err != nil {
					text = err.Error()
				}
				fmt.Printf("%d %d %s\n", started, time.Now().UnixMicro(), text)
			})
		case <-ctx.Done():
			return
		}
	}
}

// process is a service or a client in a process of its own.
type process struct {
	testing.TB
	cmd   *exec.Cmd
	lines chan string // of its output
	end   sync.Once
}

func startProcess(tb testing.TB, name, transport, address string) *process {
	tb.Helper()
	p := &process{TB: tb, cmd: exec.CommandContext(tb.Context(), os.Args[0]), lines: make(chan string, 1<<16)} //nolint:gosec // this program
	p.cmd.Env = append(os.Environ(), processEnv+"="+name+" "+transport+" "+address)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for text := bufio.NewScanner(out); text.Scan(); {
			p.lines <- text.Text()
		}
	}()
	tb.Cleanup(func() {
		p.kill()
		<-read
	})
	return p
}

// startService starts a service, and waits until it is ready.
func startService(tb testing.TB, transport, address string) *process {
	tb.Helper()
	p := startProcess(tb, "service", transport, address)
	if line := <-p.lines; line != "ready" {
		tb.Fatalf("the service is not ready: %q", line)
	}
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

func (p *process) kill() {
	p.end.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}

// cpu returns the processor time that the process has used.
func (p *process) cpu() time.Duration {
	p.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		p.Fatal(err)
	}
	const user, system, perSecond = 11, 12, 100 // fields behind the name, in ticks
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	var ticks int
	for _, field := range []int{user, system} {
		n, err := strconv.Atoi(fields[field])
		if err != nil {
			p.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / perSecond
}
