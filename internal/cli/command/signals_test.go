package command

import (
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestSignalCount checks that signals within half a second count as one.
func TestSignalCount(t *testing.T) {
	var count SignalCount
	begin := time.Unix(0, 0)
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {5 * time.Millisecond, false}, {50 * time.Millisecond, false}, {sameSignal, true}, {time.Hour, true}} {
		if got := count.Second(begin.Add(tt.after)); got != tt.want {
			t.Errorf("a signal %v after the first: second is %v, want %v", tt.after, got, tt.want)
		}
	}
}

// TestIgnoreSignals checks that the signals that count as the first one are received, and
// that the end of the program is not delayed.
func TestIgnoreSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 1)
		begin := time.Now()
		go func() {
			for range 3 {
				<-time.After(100 * time.Millisecond)
				signals <- os.Interrupt // blocks unless it is received
			}
		}()
		ignore(signals, nil)
		if took := time.Since(begin); took != sameSignal {
			t.Errorf("signals are ignored for %v, want %v", took, sameSignal)
		}
		stopped := make(chan struct{})
		close(stopped)
		begin = time.Now()
		ignore(signals, stopped)
		if took := time.Since(begin); took != 0 {
			t.Errorf("a command that has ended is delayed by %v", took)
		}
	})
}
