package stagger

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestMemory tries targets as TestFirst does, several times.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Memory
		try := func(targets, want string, after time.Duration) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			conn, err := First(ctx, m.Order(strings.Fields(targets)), Noting(&m, pretend))
			took := time.Since(began)
			synctest.Wait()
			clear(open)
			got := ""
			if err == nil {
				got = conn.(connTo).target
			}
			if got != want || took != after {
				t.Errorf("%s: %q after %v, want %q after %v", targets, got, took, want, after)
			}
		}
		const good = "accept@10ms"
		try("silent "+good, good, Delay+10*time.Millisecond)
		try("silent "+good, good, 10*time.Millisecond)
		<-time.After(Avoid)
		try("silent "+good, good, Delay+10*time.Millisecond)
		try("silent", "", time.Second) // there is no other
		try("refuse@10ms "+good, good, 20*time.Millisecond)
		try("refuse@10ms "+good, good, 20*time.Millisecond) // a refusal costs nothing
		try("accept@300ms", "accept@300ms", 300*time.Millisecond)
		if got := m.Order([]string{"silent", "a", "silent", "b", "accept@300ms"}); !slices.Equal(got, []string{"a", "b", "accept@300ms", "silent", "silent"}) {
			t.Errorf("the order is %q", got)
		}
		<-time.After(2 * Avoid)
		m.Note("new", time.Now().Add(-time.Second), net.ErrClosed)
		if len(m.until) != 1 {
			t.Errorf("%d targets are remembered", len(m.until))
		}
	})
}
