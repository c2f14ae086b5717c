package microtcp

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// counted is a connection that counts how often it is controlled.
type counted struct {
	syscall.RawConn
	n int
}

func (c *counted) Control(func(uintptr)) error {
	c.n++
	return nil
}

// TestWhenToAcknowledge checks that an acknowledgment is asked for while calls are
// pending: at once if they are few, and otherwise once in a while.
func TestWhenToAcknowledge(t *testing.T) {
	tests := []struct {
		name    string
		pending []int // at each read
		wait    time.Duration
		want    int
	}{
		{"nothing is pending", []int{0, 0, 0}, time.Second, 0},
		{"one is", []int{1, 1, 1}, 0, 3},
		{"few are", []int{fewCalls, 2, 0}, 0, 2},
		{"many are", []int{64, 63, 62, 61}, 0, 0},
		{"many are for a while", []int{64, 63, 62, 61}, time.Second, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var conn counted
				a := acker{conn: &conn}
				for _, n := range tt.pending {
					a.read(n)
				}
				<-time.After(tt.wait)
				synctest.Wait()
				if conn.n != tt.want {
					t.Errorf("asked %d times, want %d", conn.n, tt.want)
				}
				a.stop()
			})
		})
	}
}
