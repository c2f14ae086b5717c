package backoff

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestPauses checks that pauses grow up to the longest, and start again after a long session.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pauses{Longest: 2 * time.Second}
		pause := func(most time.Duration) {
			t.Helper()
			began := time.Now()
			err := p.Wait(t.Context())
			if took := time.Since(began); err != nil || took < most/2 || took > most {
				t.Errorf("a pause of %v, %v; want %v to %v", took, err, most/2, most)
			}
		}
		for _, ms := range []int{50, 100, 200, 400, 800, 1600, 2000, 2000} {
			pause(time.Duration(ms) * time.Millisecond)
		}
		p.During(func() { <-time.After(p.Longest) })
		pause(p.Longest)
		p.During(func() { <-time.After(p.Longest + 1) })
		pause(First)
		for longest, want := range map[time.Duration]time.Duration{0: time.Millisecond, -1: time.Millisecond, 20 * time.Millisecond: 20 * time.Millisecond} {
			p = Pauses{Longest: longest}
			pause(want)
			pause(want)
		}
	})
}

// TestHasten checks when a pause can be ended, and that a context ends it.
func TestHasten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pauses{Longest: time.Hour}
		p.next = time.Hour
		if p.Hasten() {
			t.Error("hastened without a pause")
		}
		began := time.Now()
		done := make(chan error, 1)
		go func() { done <- p.Wait(t.Context()) }()
		<-time.After(First)
		if p.Hasten() {
			t.Error("hastened an attempt that had just failed")
		}
		<-time.After(1)
		if !p.Hasten() || p.Hasten() {
			t.Error("a pause cannot be hastened, or more than once")
		}
		if err := <-done; err != nil || time.Since(began) != First+1 {
			t.Errorf("the pause took %v, %v", time.Since(began), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- p.Wait(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a canceled pause: %v", err)
		}
	})
}
