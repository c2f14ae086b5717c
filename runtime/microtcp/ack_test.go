package microtcp

import (
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// counted is a connection that counts how often it is controlled.
type counted struct {
	syscall.RawConn
	n atomic.Int64
}

func (c *counted) Control(func(uintptr)) error {
	c.n.Add(1)
	return nil
}

// TestWhenToAcknowledge checks that an acknowledgment is asked for while calls are
// pending: at once if they are few and reads are rare, and otherwise once in a while.
func TestWhenToAcknowledge(t *testing.T) {
	tests := []struct {
		name    string
		pending []int // at each read
		every   time.Duration
		want    []int64 // how often it has been asked for by the time of each read, and long after
	}{
		{"nothing is pending", []int{0, 0, 0}, time.Millisecond, []int64{0, 0, 0, 0}},
		{"one is", []int{1, 1, 1}, time.Millisecond, []int64{1, 2, 3, 3}},
		{"few are", []int{fewCalls, 2, 0}, time.Millisecond, []int64{1, 2, 2, 2}},
		{"many are", []int{64, 63, 62, 61}, time.Millisecond, []int64{0, 0, 1, 1, 2}},
		{"reads are quick", []int{2, 2, 2, 2}, quickRead / 2, []int64{1, 1, 1, 1, 2}},
		{"reads are quick and many are pending", []int{64, 63, 62, 61}, quickRead / 2, []int64{0, 0, 0, 0, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var conn counted
				a := acker{conn: &conn}
				var asked []int64
				for _, n := range tt.pending {
					a.read(n)
					asked = append(asked, conn.n.Load())
					<-time.After(tt.every)
					synctest.Wait()
				}
				<-time.After(time.Second)
				if asked = append(asked, conn.n.Load()); !slices.Equal(asked, tt.want) {
					t.Errorf("asked %d times by the time of each read, want %d", asked, tt.want)
				}
				a.stop()
			})
		})
	}
}
