package load

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/runtime/micro"
)

// scheduleOf returns the schedule of a pacer with even arrivals.
func scheduleOf(t *testing.T, p vegeta.Pacer) *schedule {
	t.Helper()
	c, err := curveOf(p)
	if err != nil {
		t.Fatal(err)
	}
	return newSchedule(c, Uniform, 0)
}

// TestConstantSchedule checks that the n-th request is due after exactly n intervals,
// without an accumulating error.
func TestConstantSchedule(t *testing.T) {
	for _, p := range []vegeta.ConstantPacer{
		{Freq: 3, Per: time.Second}, {Freq: 700, Per: time.Second}, {Freq: 99_999, Per: time.Second}, {Freq: 1500, Per: 1000 * time.Second},
	} {
		s := scheduleOf(t, p)
		for n := range 1_000_000 {
			want := time.Duration(float64(n) * float64(p.Per) / float64(p.Freq))
			if off := s.next - want; off < -time.Microsecond || off > time.Microsecond {
				t.Fatalf("%s: request %d is due at %s, want %s", p, n, s.next, want)
			}
			s.advance()
		}
	}
}

// TestVaryingSchedule checks that a varying rate is followed as its integral predicts.
func TestVaryingSchedule(t *testing.T) {
	linear := vegeta.LinearPacer{StartAt: vegeta.Rate{Freq: 100, Per: time.Second}, Slope: 100}
	s := scheduleOf(t, linear)
	n := 0
	for s.next < 10*time.Second {
		s.advance()
		n++
	}
	// 100 t + 100 t²/2 at 10 s.
	if want := 6000; n < want-3 || n > want+3 {
		t.Errorf("%d requests in 10 s, want %d", n, want)
	}
	sine := vegeta.SinePacer{Period: 4 * time.Second, Mean: vegeta.Rate{Freq: 500, Per: time.Second}, Amp: vegeta.Rate{Freq: 400, Per: time.Second}}
	s = scheduleOf(t, sine)
	for n = 0; s.next < 8*time.Second; n++ {
		s.advance()
	}
	if want := 4000; n < want-10 || n > want+10 {
		t.Errorf("%d requests in two periods, want %d", n, want)
	}
	ended := scheduleOf(t, vegeta.LinearPacer{StartAt: vegeta.Rate{Freq: 10, Per: time.Second}, Slope: -10})
	for n = 0; ended.next < time.Hour; n++ {
		ended.advance()
	}
	if n > 7 {
		t.Errorf("%d requests of a pacer that has stopped after a second", n)
	}
}

// TestScheduleChange checks that a new rate takes effect immediately.
func TestScheduleChange(t *testing.T) {
	s := scheduleOf(t, vegeta.ConstantPacer{Freq: 1, Per: time.Second})
	s.advance() // due at 1 s
	s.change(steady(10), 500*time.Millisecond)
	var due []time.Duration
	for range 3 {
		due = append(due, s.next)
		s.advance()
	}
	if diff := cmp.Diff([]time.Duration{600 * time.Millisecond, 700 * time.Millisecond, 800 * time.Millisecond}, due); diff != "" {
		t.Errorf("faster, -want +got\n%s", diff)
	}
	s.change(steady(1), 820*time.Millisecond)
	if s.next != 900*time.Millisecond {
		t.Errorf("slower: the next request is due at %s, want 900ms as before", s.next)
	}
	if s.advance(); s.next != 1900*time.Millisecond {
		t.Errorf("slower: the one after at %s, want 1.9s", s.next)
	}
}

func TestErrorTexts(t *testing.T) {
	n := newNormalizer()
	cases := []struct {
		err  error
		want string
	}{
		{micro.RemoteError([]byte(`{"status":404,"message":"item 4711 not found"}`)), "item # not found"},
		{micro.RemoteError([]byte(`"order 0f8fad5b-d9cb-469f-a165-70867728950e of deadbeefcafe0123 failed"`)), "order # of # failed"},
		{fmt.Errorf("%w (after 3 attempts)", micro.ErrTimeout), "no answer in time"},
		{fmt.Errorf("%w (attempt 1, not retried: the retry budget is spent)", micro.ErrUnreachable), "unreachable"},
		{fmt.Errorf("%w: read tcp 127.0.0.1:43210->127.0.0.1:3002: connection reset by peer", micro.ErrConnectionLost),
			"connection closed: read tcp 127.0.0.1:3002: connection reset by peer"},
		{errors.New("two\n  lines"), "two lines"},
	}
	for _, c := range cases {
		if got := n.text(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
	if got := n.text(errors.New(string(make([]byte, 1000)))); len(got) > maxErrorText+3 {
		t.Errorf("a text of %d bytes is kept", len(got))
	}
}

// TestErrorTextsAreBounded checks that a service whose error texts are all different
// costs no memory, and that its errors are still counted.
func TestErrorTextsAreBounded(t *testing.T) {
	r := newRecorder()
	word := func(i int) string {
		return string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
	}
	for i := range 5000 {
		r.countError(Error, 500, word(i))
	}
	s := r.snapshot(0, 1)
	var sum int64
	for _, e := range s.Errors {
		sum += e.Count
	}
	if len(s.Errors) != maxErrorTexts+1 || sum != 5000 || s.Errors[0].Text != otherErrors {
		t.Errorf("%d texts with %d errors, the first %q", len(s.Errors), sum, s.Errors[0].Text)
	}
}

// TestSeries checks that empty intervals have points, and that the points are limited.
func TestSeries(t *testing.T) {
	s := newSeries(time.Second, 3)
	s.current(0, 0).Outcomes[OK]++
	s.record(5*time.Millisecond, true)
	s.current(2500*time.Millisecond, 4).Outcomes[OK]++
	got := s.copy(0, 7)
	const five = 5 * time.Millisecond
	want := []Point{
		{
			Outcomes: [outcomes]int64{1}, InFlight: 4, P50: five, P90: five, P99: five, Max: five,
			All: Quantiles{five, five, five, five},
		},
		{At: time.Second, InFlight: 4},
		{At: 2 * time.Second, Outcomes: [outcomes]int64{1}, InFlight: 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	s.current(time.Hour, 0)
	if n := len(s.copy(0, 0)); n > 6 {
		t.Errorf("%d points are kept, want at most 6", n)
	}
	if got := s.copy(2, 0); len(got) != 2 || got[1].At != time.Hour {
		t.Errorf("the last two: %+v", got)
	}
}

// TestHistogram checks exact figures, and quantiles to three digits.
func TestHistogram(t *testing.T) {
	h := NewHistogram()
	if h.Quantile(0.99) != 0 || h.Summary() != (Latency{}) || len(h.Spread()) != 0 {
		t.Error("an empty histogram has figures")
	}
	for i := range 10_000 {
		h.Record(time.Duration(i+1) * 10 * time.Microsecond)
	}
	h.Record(2 * time.Hour)
	got := h.Summary()
	if got.Count != 10_001 || got.Min != 10*time.Microsecond || got.Max != 2*time.Hour {
		t.Errorf("%+v", got)
	}
	for q, want := range map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.9: 90 * time.Millisecond, 0.99: 99 * time.Millisecond} {
		if off := float64(h.Quantile(q)-want) / float64(want); off > 0.002 || off < -0.002 {
			t.Errorf("quantile %g is %s, want %s", q, h.Quantile(q), want)
		}
	}
	var sum int64
	spread := h.Spread()
	for _, b := range spread {
		sum += b.Count
	}
	if sum != h.Count() || spread[0] != (Bucket{20 * time.Microsecond, 2}) || spread[1] != (Bucket{50 * time.Microsecond, 3}) || spread[len(spread)-1] != (Bucket{maxLatency, 1}) {
		t.Errorf("spread %+v", spread)
	}
	h.Reset()
	if h.Count() != 0 || len(h.Spread()) != 0 {
		t.Error("a reset histogram is not empty")
	}
}

// TestSnapshotDuringTheResult checks, with the race detector, that a display may take
// snapshots while the result is put together.
func TestSnapshotDuringTheResult(t *testing.T) {
	r := newRecorder()
	var display sync.WaitGroup
	display.Go(func() {
		for second := range 100 {
			r.snapshot(time.Duration(second)*time.Second, 10)
		}
	})
	for range 100 {
		points, sketches, _, _ := r.final()
		if len(points) != len(sketches) {
			t.Fatalf("%d points, %d sketches", len(points), len(sketches))
		}
	}
	display.Wait()
}
