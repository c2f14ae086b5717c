package load

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestDoubtful checks what makes the figures of a second doubtful.
func TestDoubtful(t *testing.T) {
	for _, c := range []struct {
		point Point
		want  bool
	}{
		{Point{}, false},
		{Point{Lag: fellBehind, GC: fellBehind, CPU: maxCPU}, false},
		{Point{Lag: fellBehind + 1}, true},
		{Point{Lag: fellBehind + time.Second, Chosen: time.Second}, false},
		{Point{Lag: fellBehind + time.Second + 1, Chosen: time.Second}, true},
		{Point{GC: fellBehind + 1}, true},
		{Point{CPU: maxCPU + 0.001}, true},
		{Point{Starved: 1}, true},
		{Point{Jump: -time.Hour}, true},
		{Point{InFlight: 1e6, Max: time.Hour, Late: 1e6}, false}, // caused by the service
	} {
		if got := c.point.Doubtful(); got != c.want {
			t.Errorf("%+v: %t", c.point, got)
		}
	}
}

// TestSelfCheckIsOfTheSecondBefore checks that measurements are stored in the second
// they are of, not in the one that has just started.
func TestSelfCheckIsOfTheSecondBefore(t *testing.T) {
	r := newRecorder()
	r.self(time.Second, selfMeasurement{cpu: 0.5, gc: 2 * time.Millisecond})
	r.self(2100*time.Millisecond, selfMeasurement{cpu: 0.95})
	var got []Point
	for _, p := range r.coarse.copy(0, 0) {
		got = append(got, Point{At: p.At, CPU: p.CPU, GC: p.GC})
	}
	want := []Point{{CPU: 0.5, GC: 2 * time.Millisecond}, {At: time.Second, CPU: 0.95}, {At: 2 * time.Second}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestClockJump checks that a suspended machine, or a clock that was set, is recorded, but
// not the usual corrections of a clock.
func TestClockJump(t *testing.T) {
	for _, c := range []struct{ wall, monotonic, want time.Duration }{
		{time.Second, time.Second, 0},
		{time.Second + 900*time.Millisecond, time.Second, 0},
		{time.Hour, time.Second, time.Hour - time.Second},
		{-time.Minute, time.Second, -time.Minute - time.Second},
	} {
		if got := clockJump(c.wall, c.monotonic); got != c.want {
			t.Errorf("%s of wall and %s of monotonic time is a jump of %s, want %s", c.wall, c.monotonic, got, c.want)
		}
	}
	r := newRecorder()
	r.self(time.Second, selfMeasurement{jump: time.Hour})
	if p := r.coarse.last(); p.Jump != time.Hour || !p.Doubtful() {
		t.Errorf("the second is %+v: want one that is doubtful because of the jump", p)
	}
}

// TestOwnFault checks which errors are the generator's own, and that they are not
// counted as the target's.
func TestOwnFault(t *testing.T) {
	dial := func(ip string, number syscall.Errno) error {
		cause := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}, Err: os.NewSyscallError("socket", number)}
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, cause)
	}
	for _, c := range []struct {
		err  error
		want Outcome
	}{
		{dial("127.0.0.1", syscall.EMFILE), Shed},
		{dial("127.0.0.1", syscall.ENFILE), Shed},
		{dial("10.0.0.1", syscall.EADDRNOTAVAIL), Shed},
		{dial("::1", syscall.EADDRNOTAVAIL), Unreachable}, // no IPv6
		{dial("127.0.0.1", syscall.ECONNREFUSED), Unreachable},
		{micro.ErrUnreachable, Unreachable},
	} {
		if got, _ := classify(c.err); got != c.want || ownFault(c.err) != (c.want == Shed) {
			t.Errorf("%v is %s, want %s", c.err, got, c.want)
		}
	}
	r := newRecorder(&message{})
	r.attemptEnded(&call{message: &message{}, counted: true}, policy.Attempt{Err: dial("10.0.0.1", syscall.EMFILE)}, time.Second/2)
	if p := r.coarse.copy(0, 0)[0]; p.Starved != 1 || !p.Doubtful() {
		t.Errorf("the second is %+v: want one that is doubtful because of the attempt", p)
	}
}

// TestWatchSelf checks that a process that computes and collects garbage measures it.
func TestWatchSelf(t *testing.T) {
	r := &Run{rec: newRecorder(), start: time.Now(), over: make(chan struct{})}
	r.aside.Go(r.watchSelf)
	var list [][]byte
	last := Point{}
	// A second in which a busy machine hardly runs the process may have no collection.
	for begin := time.Now(); (last.CPU == 0 || last.GC == 0) && time.Since(begin) < time.Minute; {
		list = append(list[:len(list)%100], make([]byte, 1<<16))
		runtime.GC()
		last = r.rec.snapshot(r.now(), 1).Last
	}
	close(r.over)
	r.aside.Wait()
	if last.CPU <= 0 || last.CPU > 1 || last.GC <= 0 || last.GC > time.Second {
		t.Errorf("a second of computing and collecting has CPU %g and GC %s", last.CPU, last.GC)
	}
	if list == nil || processTime() <= 0 {
		t.Errorf("the process has used %s", processTime())
	}
}
