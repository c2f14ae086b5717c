package load

import (
	"sync"
	"testing"
)

// TestWorkersOfABatch checks that the calls of a batch do not wait for each other, and that
// no call is made twice: each ends only when all have begun.
func TestWorkersOfABatch(t *testing.T) {
	const calls, batches = 100, 20
	var begun [batches]sync.WaitGroup // by the sequence number of the calls
	var mu sync.Mutex
	made := map[*call]int{}
	w := workers{handle: func(c *call) {
		mu.Lock()
		made[c]++
		mu.Unlock()
		begun[c.seq].Done()
		begun[c.seq].Wait()
	}}
	for n := range begun {
		batch := make([]*call, calls)
		for i := range batch {
			batch[i] = &call{seq: uint64(n)}
		}
		begun[n].Add(calls)
		w.run(batch)
		begun[n].Wait()
	}
	w.close()
	if len(made) != calls*batches {
		t.Errorf("%d calls were made, want %d", len(made), calls*batches)
	}
	for _, n := range made {
		if n != 1 {
			t.Errorf("a call was made %d times", n)
		}
	}
}
