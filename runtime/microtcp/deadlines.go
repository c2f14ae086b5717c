package microtcp

import (
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// deadlines are the calls of one connection by deadline, a heap with the earliest
// first, under one timer: a timer for each call would cost more than the rest of
// the call's bookkeeping. The connection's mu guards it. The zero value with a
// timer that is stopped is ready.
type deadlines struct {
	heap  []*call
	timer *time.Timer
	rings time.Time // when the timer fires; zero: it is not set
}

// add takes a call in and sets the timer if it is the first to end. Most calls
// end after those before them and go no further than the heap's end.
func (d *deadlines) add(k *call) {
	k.place = len(d.heap)
	d.heap = append(d.heap, k)
	d.up(k.place)
	if d.rings.IsZero() || k.deadline.Before(d.rings) {
		d.set(k.deadline)
	}
}

// set sets the timer.
func (d *deadlines) set(at time.Time) {
	d.rings = at
	d.timer.Reset(time.Until(at))
}

// remove takes a call out. The timer is left: it finds out when it fires.
func (d *deadlines) remove(k *call) {
	i, last := k.place, len(d.heap)-1
	if i < 0 {
		return
	}
	d.swap(i, last)
	d.heap[last] = nil
	d.heap = d.heap[:last]
	k.place = -1
	if i < last {
		d.down(i)
		d.up(i)
	}
}

// first returns the call that ends first; nil when there is none.
func (d *deadlines) first() *call {
	if len(d.heap) == 0 {
		return nil
	}
	return d.heap[0]
}

func (d *deadlines) swap(i, j int) {
	d.heap[i], d.heap[j] = d.heap[j], d.heap[i]
	d.heap[i].place, d.heap[j].place = i, j
}

func (d *deadlines) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !d.heap[i].deadline.Before(d.heap[parent].deadline) {
			return
		}
		d.swap(i, parent)
		i = parent
	}
}

func (d *deadlines) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(d.heap); child++ {
			if d.heap[child].deadline.Before(d.heap[least].deadline) {
				least = child
			}
		}
		if least == i {
			return
		}
		d.swap(i, least)
		i = least
	}
}

// expire ends the calls whose deadline has come. The timer runs it.
func (c *clientConn) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadlines.rings = time.Time{}
	now := time.Now()
	for k := c.deadlines.first(); k != nil; k = c.deadlines.first() {
		if now.Before(k.deadline) {
			c.deadlines.set(k.deadline)
			break
		}
		c.missLocked(k)
		k.end(micro.ErrTimeout)
	}
	c.leaveIdle()
}
