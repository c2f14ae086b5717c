package load

import (
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		{Point{GC: fellBehind + 1}, true},
		{Point{CPU: maxCPU + 0.001}, true},
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
	r.self(time.Second, 0.5, 2*time.Millisecond)
	r.self(2100*time.Millisecond, 0.95, 0)
	var got []Point
	for _, p := range r.coarse.copy(0, 0) {
		got = append(got, Point{At: p.At, CPU: p.CPU, GC: p.GC})
	}
	want := []Point{{CPU: 0.5, GC: 2 * time.Millisecond}, {At: time.Second, CPU: 0.95}, {At: 2 * time.Second}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
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
