package network

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
)

// TestSuspend stops a service, its client, and their broker, as a laptop that is suspended does, and lets all of them continue. It
// prints how long it takes until calls are answered. With MSCTL_TEST_ALL, they are stopped for longer than any timeout.
func TestSuspend(t *testing.T) {
	pause := time.Second
	if os.Getenv("MSCTL_TEST_ALL") != "" {
		pause = time.Minute
	}
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			if tr.name == "rabbitmq" && os.Getenv("MSCTL_TEST_ALL") == "" {
				t.Skip("set MSCTL_TEST_ALL to run it")
			}
			t.Parallel()
			stop, resume := func() {}, func() {}
			address := freeAddress(t)
			if tr.broker != nil {
				broker := tr.broker(t)
				address, stop, resume = broker.Addr, broker.Pause, broker.Resume
			}
			all := []*process{startService(t, tr.name, address), startProcess(t, "client", tr.name, address)}
			client := all[1]
			client.awaitAnswers(t, time.Now())
			for _, p := range all {
				p.signal(syscall.SIGSTOP)
				testenv.AwaitStopped(t, p.cmd.Process.Pid)
			}
			stop()
			<-time.After(pause)
			resumed := time.Now()
			resume()
			for _, p := range all {
				p.signal(syscall.SIGCONT)
			}
			first, failed := client.awaitAnswers(t, resumed)
			t.Logf("suspended for %v: the first call is answered after %v, and %d calls fail", pause, first.Round(time.Millisecond), failed)
			if first > longest {
				t.Errorf("the first call is answered after %v, want at most %v", first, longest)
			}
		})
	}
}

// awaitAnswers waits until many of a client's calls in a row that began after a time are answered. It returns how long the first
// answer took, and how many calls failed until then.
func (p *process) awaitAnswers(t *testing.T, after time.Time) (first time.Duration, failed int) {
	t.Helper()
	giveUp := time.After(2 * limit)
	for answered := 0; answered < enough; {
		select {
		case line, ok := <-p.lines:
			var started, ended int64
			if _, err := fmt.Sscan(line, &started, &ended); !ok || err != nil {
				t.Fatalf("the client printed %q", line)
			}
			switch _, text, _ := strings.Cut(line[strings.IndexByte(line, ' ')+1:], " "); {
			case text != "":
				failed++
				answered = 0
			case time.UnixMicro(started).After(after):
				if at := time.UnixMicro(ended).Sub(after); first == 0 || at < first {
					first = at
				}
				answered++
			}
		case <-giveUp:
			t.Fatalf("calls are not answered; %d failed", failed)
		}
	}
	return first, failed
}
