package calls

import "time"

// deadlines orders the pending calls of a table by deadline, in a heap with the
// earliest one first, under a single timer. A timer for each call would cost more
// than everything else that is done for the call. The table's mu guards it. Only
// init and stop may be called on the zero value.
type deadlines struct {
	heap  []*Call
	timer *time.Timer
	fires time.Time // zero if the timer is not set
}

// init makes the timer, which runs expire.
func (d *deadlines) init(expire func()) {
	d.timer = time.AfterFunc(time.Hour, expire)
	d.timer.Stop()
}

// add adds a call, and sets the timer if the call is the first one to end. Most calls
// end after those before them and stay at the end of the heap.
func (d *deadlines) add(c *Call) {
	c.place = len(d.heap)
	d.heap = append(d.heap, c)
	d.up(c.place)
	if d.fires.IsZero() || c.deadline.Before(d.fires) {
		d.set(c.deadline)
	}
}

func (d *deadlines) set(at time.Time) {
	d.fires = at
	d.timer.Reset(time.Until(at))
}

// stop stops the timer.
func (d *deadlines) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

// fired calls end, which must remove the call, for each call whose deadline has come,
// and sets the timer for the next one.
func (d *deadlines) fired(end func(*Call)) {
	d.fires = time.Time{}
	now := time.Now()
	for len(d.heap) > 0 {
		first := d.heap[0]
		if now.Before(first.deadline) {
			d.set(first.deadline)
			return
		}
		end(first)
	}
}

// remove removes a call. The timer stays as it is: that nothing has expired yet is
// found out when it fires, which is cheaper than to reset it for every reply.
func (d *deadlines) remove(c *Call) {
	i, last := c.place, len(d.heap)-1
	d.swap(i, last)
	d.heap[last] = nil
	d.heap = d.heap[:last]
	if i < last {
		d.down(i)
		d.up(i)
	}
}

func (d *deadlines) swap(i, j int) {
	d.heap[i], d.heap[j] = d.heap[j], d.heap[i]
	d.heap[i].place, d.heap[j].place = i, j
}

func (d *deadlines) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !d.earlier(i, parent) {
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
			if d.earlier(child, least) {
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

func (d *deadlines) earlier(i, j int) bool {
	return d.heap[i].deadline.Before(d.heap[j].deadline)
}
