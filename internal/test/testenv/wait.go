package testenv

import (
	"testing"
	"time"
)

// Poll calls ok about once a millisecond until it returns true, at most for limit. It reports whether it did.
func Poll(limit time.Duration, ok func() bool) bool {
	every := time.NewTicker(time.Millisecond)
	defer every.Stop()
	deadline := time.After(limit)
	for !ok() {
		select {
		case <-every.C:
		case <-deadline:
			return ok()
		}
	}
	return true
}

// Eventually ends the test if ok does not return true within limit. what states the condition.
func Eventually(tb testing.TB, limit time.Duration, what string, ok func() bool) {
	tb.Helper()
	if !Poll(limit, ok) {
		tb.Fatalf("not within %s: %s", limit, what)
	}
}

// Within ends the test if f takes longer than limit. what names f.
func Within(tb testing.TB, limit time.Duration, what string, f func()) {
	tb.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		tb.Fatalf("takes longer than %s: %s", limit, what)
	}
}
