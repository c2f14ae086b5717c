package fault

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// parcel is bytes to be delivered: complete frames or, with Raw, a chunk.
type parcel struct {
	bytes []byte
	due   time.Time
	cut   bool      // close the connection in the middle of it
	by    *active   // the Stall or Bandwidth that holds it until due, or nil
	free  time.Time // when it would be due without Reorder

	seq   uint64 // orders parcels that are due at the same time
	place int    // index in the heap, or -1
}

const (
	maxHeldBytes   = 16 << 20
	maxHeldParcels = 1 << 16
	maxWritten     = 64 << 10 // parcels that are due are written together
)

// queue holds parcels until they are due and then writes them. Its goroutine, the
// scheduler, starts with the first parcel and ends with close.
type queue struct {
	dst  net.Conn
	end  func(hard bool) // ends the connection; called without mu
	fail func(error)     // receives why writing failed; called without mu

	held atomic.Int64 // parcels in the heap and in the current write

	mu      sync.Mutex // guards what follows
	change  sync.Cond  // signaled when parcels have left, or on close
	heap    []*parcel
	bytes   int
	seq     uint64
	writing bool
	started bool
	closed  bool
	wake    chan struct{} // receives when the first parcel changes, or on close
	wg      sync.WaitGroup
}

func newQueue(dst net.Conn, end func(hard bool), fail func(error)) *queue {
	q := &queue{dst: dst, end: end, fail: fail, wake: make(chan struct{}, 1)}
	q.change.L = &q.mu
	return q
}

// clear reports whether no parcel is due, so that a message without a delay can be
// written directly: it overtakes only messages that are delayed.
func (q *queue) clear() bool {
	if q.held.Load() == 0 {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.writing && (len(q.heap) == 0 || q.heap[0].due.After(time.Now()))
}

// empty reports whether no parcel waits.
func (q *queue) empty() bool { return q.held.Load() == 0 }

// push holds a parcel. It blocks while too much is held.
func (q *queue) push(p *parcel) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && len(q.heap) > 0 && (q.bytes+len(p.bytes) > maxHeldBytes || len(q.heap) >= maxHeldParcels) {
		q.change.Wait()
	}
	p.place = -1
	if q.closed {
		return
	}
	if !q.started {
		q.started = true
		q.wg.Go(q.run)
	}
	q.seq++
	p.seq = q.seq
	q.held.Add(1)
	q.bytes += len(p.bytes)
	p.place = len(q.heap)
	q.heap = append(q.heap, p)
	q.up(p.place)
	if q.heap[0] == p {
		q.ring()
	}
}

// hasten makes a parcel due earlier if it is still held.
func (q *queue) hasten(p *parcel, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.place < 0 || !due.Before(p.due) {
		return
	}
	p.due = due
	q.up(p.place)
	if q.heap[0] == p {
		q.ring()
	}
}

// release makes the parcels held by removed faults due now.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, p := range q.heap {
		if p.by != nil && p.by.gone.Load() && p.due.After(now) {
			p.due = now // the same for all of them, so that they keep their order
		}
	}
	for i := len(q.heap)/2 - 1; i >= 0; i-- {
		q.down(i)
	}
	q.ring()
}

func (q *queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// drain waits until everything has been written or the queue is closed.
func (q *queue) drain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && (q.writing || len(q.heap) > 0) {
		q.change.Wait()
	}
}

// close discards all parcels and ends the scheduler.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.heap, q.bytes = nil, 0
	q.change.Broadcast()
	q.ring()
}

// run is the scheduler: it writes the parcels that are due and waits for the next.
func (q *queue) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var b batch
	for q.take(&b) {
		if !b.some {
			timer.Reset(b.wait)
			select {
			case <-timer.C:
			case <-q.wake:
			}
			continue
		}
		_, err := q.dst.Write(b.out)
		q.written()
		switch {
		case b.cut:
			q.end(false)
			return
		case err != nil:
			q.fail(err)
			return
		}
		if cap(b.out) > 4*maxWritten {
			b.out = nil
		}
	}
}

// batch is the next step of the scheduler.
type batch struct {
	out  []byte // to be written
	some bool   // there is something to write, which may be empty
	cut  bool   // close the connection after it
	wait time.Duration
}

// take removes the parcels that are due, or sets how long to wait for the next. It
// returns false if the queue is closed.
func (q *queue) take(b *batch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	*b = batch{out: b.out[:0], wait: maxDuration}
	now := time.Now()
	for len(q.heap) > 0 && len(b.out) < maxWritten && !b.cut {
		first := q.heap[0]
		if b.wait = first.due.Sub(now); b.wait > 0 {
			break
		}
		q.pop()
		q.bytes -= len(first.bytes)
		if first.cut {
			first.bytes = first.bytes[:len(first.bytes)/2]
		}
		b.out = append(b.out, first.bytes...)
		b.some, b.cut = true, first.cut
	}
	q.writing = b.some
	return !q.closed
}

// written marks the batch that was taken as written.
func (q *queue) written() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = false
	q.held.Store(int64(len(q.heap)))
	q.change.Broadcast()
}

// pop removes the first parcel from the heap.
func (q *queue) pop() {
	first, last := q.heap[0], len(q.heap)-1
	q.swap(0, last)
	q.heap[last] = nil
	q.heap = q.heap[:last]
	q.down(0)
	first.place = -1
}

func (q *queue) less(i, j int) bool {
	a, b := q.heap[i], q.heap[j]
	return a.due.Before(b.due) || a.due.Equal(b.due) && a.seq < b.seq
}

func (q *queue) swap(i, j int) {
	q.heap[i], q.heap[j] = q.heap[j], q.heap[i]
	q.heap[i].place, q.heap[j].place = i, j
}

func (q *queue) up(i int) {
	for i > 0 && q.less(i, (i-1)/2) {
		q.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (q *queue) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q.heap); child++ {
			if q.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		q.swap(i, least)
		i = least
	}
}
