package capacity

import (
	"container/heap"
	"context"
	"time"
)

// verdict is what becomes of a request.
type verdict uint8

const (
	done    verdict = iota
	refused         // there was no room
	expired         // its caller had given up before a worker took it up
	closed          // the service is no more
)

// job is one request from its arrival to its verdict.
type job struct {
	ctx    context.Context // ends when the caller gives up
	due    time.Duration   // when the work on it ends; set when that begins
	result chan verdict    // has room for one
}

// queue is the queue and its workers, on a clock that is told to it. Every event
// happens at the time it was due, however late the queue is told that this time
// has come: that keeps the capacity exact. Times are since any one moment, and
// what is told as now never goes back. It is not safe for concurrent use.
type queue struct {
	workers     int
	room        int // most that wait; 0: MaxWaiting
	dropExpired bool
	draw        func() time.Duration // the next service time

	waiting  fifo
	busy     agenda
	stalled  bool
	stallEnd time.Duration
	tally    Stats // without Waiting and Busy
}

// arrive takes a job in.
func (q *queue) arrive(now time.Duration, j *job) {
	q.advance(now)
	q.tally.Arrived++
	if q.waiting.len() >= MaxWaiting || !q.stalled && q.full() {
		q.refuse(j)
		return
	}
	q.waiting.push(j)
	if !q.stalled {
		q.begin(now)
		q.advance(now) // for work that takes no time
	}
}

// full reports whether another job would neither be worked on nor have a place.
func (q *queue) full() bool {
	return q.room > 0 && len(q.busy) >= q.workers && q.waiting.len() >= q.room
}

func (q *queue) refuse(j *job) {
	q.tally.Refused++
	j.result <- refused
}

// advance does everything that was due by now.
func (q *queue) advance(now time.Duration) {
	for {
		switch {
		case q.stalled && q.stallEnd <= now:
			q.stalled = false
			q.begin(q.stallEnd)
			q.trim()
		case !q.stalled && len(q.busy) > 0 && q.busy[0].due <= now:
			j := heap.Pop(&q.busy).(*job)
			q.finish(j)
			q.begin(j.due)
		default:
			return
		}
	}
}

// next is when advance has something to do again; ok is false if never.
func (q *queue) next() (at time.Duration, ok bool) {
	switch {
	case q.stalled:
		return q.stallEnd, true
	case len(q.busy) > 0:
		return q.busy[0].due, true
	}
	return 0, false
}

// begin gives waiting jobs to the workers that have been free since at.
func (q *queue) begin(at time.Duration) {
	for len(q.busy) < q.workers && q.waiting.len() > 0 {
		j := q.waiting.pop()
		if q.dropExpired && j.ctx.Err() != nil {
			q.tally.Expired++
			j.result <- expired
			continue
		}
		j.due = at + q.draw()
		heap.Push(&q.busy, j)
	}
}

func (q *queue) finish(j *job) {
	q.tally.Done++
	if j.ctx.Err() != nil {
		q.tally.Wasted++
	}
	j.result <- done
}

// trim refuses those that came while nobody was there to refuse them: the last.
func (q *queue) trim() {
	for q.room > 0 && q.waiting.len() > q.room {
		q.refuse(q.waiting.popLast())
	}
}

// stall has nothing begin or end for d from now on. Stalls that overlap are one.
func (q *queue) stall(now, d time.Duration) {
	q.advance(now)
	from := now
	if q.stalled {
		from = q.stallEnd
	}
	if now+d <= from {
		return
	}
	q.stalled, q.stallEnd = true, now+d
	for _, j := range q.busy { // all by as much, so the order stays
		j.due += q.stallEnd - from
	}
}

// close gives every job its verdict.
func (q *queue) close() {
	for q.waiting.len() > 0 {
		q.waiting.pop().result <- closed
	}
	for _, j := range q.busy {
		j.result <- closed
	}
	q.busy, q.stalled = nil, false
}

// stats counts at the moment it was last told of.
func (q *queue) stats() Stats {
	s := q.tally
	s.Waiting, s.Busy = q.waiting.len(), len(q.busy)
	return s
}

// agenda is a heap of what is worked on, the first to end on top.
type agenda []*job

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].due < a[j].due }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(*job)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	j := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	return j
}

// fifo is a line: first in, first out. The zero value is empty.
type fifo struct {
	jobs []*job
	head int
}

func (f *fifo) len() int { return len(f.jobs) - f.head }

func (f *fifo) push(j *job) { f.jobs = append(f.jobs, j) }

func (f *fifo) pop() *job {
	j := f.jobs[f.head]
	f.jobs[f.head] = nil
	f.head++
	if f.head > len(f.jobs)/2 { // each job is moved once at most on average
		n := copy(f.jobs, f.jobs[f.head:])
		clear(f.jobs[n:])
		f.jobs, f.head = f.jobs[:n], 0
	}
	return j
}

func (f *fifo) popLast() *job {
	last := len(f.jobs) - 1
	j := f.jobs[last]
	f.jobs[last] = nil
	f.jobs = f.jobs[:last]
	return j
}
