package fault

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// parcel is bytes that wait to be delivered: whole frames, or with Raw a chunk.
type parcel struct {
	bytes []byte
	due   time.Time
	cut   bool      // the connection ends in the middle of it
	by    *active   // the Stall or Bandwidth that holds it until due; nil for none
	free  time.Time // when it would be due if Reorder did not hold it

	seq   uint64 // tells which of several that are due came first
	place int    // in the heap; -1 when it is not
}

const (
	maxHeldBytes   = 16 << 20
	maxHeldParcels = 1 << 16
	mostWritten    = 64 << 10 // parcels that are due are written together
)

// queue holds parcels back until they are due and then writes them. Its
// goroutine, the scheduler, starts with the first parcel and ends with close.
type queue struct {
	dst net.Conn
	end func(hard bool) // ends the connection; called without mu

	held atomic.Int64 // parcels in the heap and in the write under way

	mu      sync.Mutex // guards what follows
	change  sync.Cond  // parcels have left, or it is closed
	heap    []*parcel
	bytes   int
	seq     uint64
	writing bool
	started bool
	closed  bool
	wake    chan struct{} // the first parcel is another one, or it is closed
	wg      sync.WaitGroup
}

func newQueue(dst net.Conn, end func(hard bool)) *queue {
	q := &queue{dst: dst, end: end, wake: make(chan struct{}, 1)}
	q.change.L = &q.mu
	return q
}

// clear reports whether nothing that is due waits: then a message that is not
// held back overtakes only what is.
func (q *queue) clear() bool {
	if q.held.Load() == 0 {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.writing && (len(q.heap) == 0 || q.heap[0].due.After(time.Now()))
}

// empty reports whether nothing waits at all.
func (q *queue) empty() bool { return q.held.Load() == 0 }

// push holds a parcel. It waits while too much is held already.
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

// hasten makes a parcel due earlier, if it is still held.
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

// let makes due what faults hold that have been removed.
func (q *queue) let() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, p := range q.heap {
		if p.by != nil && p.by.gone.Load() && p.due.After(now) {
			p.due = now // as all others of the fault, which keep their order so
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

// drain waits until everything has been written, or the queue is closed.
func (q *queue) drain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && (q.writing || len(q.heap) > 0) {
		q.change.Wait()
	}
}

// close drops what is held and ends the scheduler.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.heap, q.bytes = nil, 0
	q.change.Broadcast()
	q.ring()
}

// run is the scheduler: it writes what is due and waits for the next.
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
		if err != nil || b.cut {
			q.end(false)
			return
		}
		if cap(b.out) > 4*mostWritten {
			b.out = nil
		}
	}
}

// batch is what the scheduler does next.
type batch struct {
	out  []byte // to be written
	some bool   // there is something, though perhaps of no length
	cut  bool   // the connection ends behind it
	wait time.Duration
}

// take takes out the parcels that are due, or tells how long to wait for the
// next. It returns false when the queue is closed.
func (q *queue) take(b *batch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	*b = batch{out: b.out[:0], wait: longest}
	now := time.Now()
	for len(q.heap) > 0 && len(b.out) < mostWritten && !b.cut {
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

// written tells that what was taken has been written.
func (q *queue) written() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = false
	q.held.Store(int64(len(q.heap)))
	q.change.Broadcast()
}

// pop takes the first parcel off the heap.
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
