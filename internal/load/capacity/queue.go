package capacity

import (
	"container/heap"
	"context"
	"time"
)

// verdict is the result of a request.
type verdict uint8

const (
	done    verdict = iota
	refused         // the queue was full
	expired         // its caller had given up before a worker started it
	closed          // the service was closed
)

// job is one request from its arrival to its verdict.
type job struct {
	ctx    context.Context // ends when the caller gives up
	due    time.Duration   // when the work on it ends; set when the work starts
	result chan verdict    // with a buffer of one
}

// queue is the queue and its workers. Its methods take the current time, as the
// duration since some fixed moment, which must never decrease.
//
// Subtle: every event takes effect at the time it was due, however late the queue
// learns of that time. That keeps the capacity exact with late timers.
//
// It is not safe for concurrent use.
type queue struct {
	workers     int
	room        int // how many may wait; 0 means MaxWaiting
	dropExpired bool
	draw        func() time.Duration // the next service time

	waiting  fifo
	busy     agenda
	stalled  bool
	stallEnd time.Duration
	tally    Stats // without Waiting and Busy
}

// arrive adds a job.
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
		q.advance(now) // in case the service time is 0
	}
}

// full reports whether another job would find neither a free worker nor room to wait.
func (q *queue) full() bool {
	return q.room > 0 && len(q.busy) >= q.workers && q.waiting.len() >= q.room
}

func (q *queue) refuse(j *job) {
	q.tally.Refused++
	j.result <- refused
}

// advance processes every event that was due by now.
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

// next returns the time of the next event; ok is false if there is none.
func (q *queue) next() (at time.Duration, ok bool) {
	switch {
	case q.stalled:
		return q.stallEnd, true
	case len(q.busy) > 0:
		return q.busy[0].due, true
	}
	return 0, false
}

// begin starts waiting jobs on the workers that have been free since at.
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

// trim refuses the last jobs that arrived during a stall and exceed the queue.
func (q *queue) trim() {
	for q.room > 0 && q.waiting.len() > q.room {
		q.refuse(q.waiting.popLast())
	}
}

// stall lets no job start or end for d from now on. Overlapping stalls are one.
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
	for _, j := range q.busy { // all by the same time, which keeps the order
		j.due += q.stallEnd - from
	}
}

// close ends every job.
func (q *queue) close() {
	for q.waiting.len() > 0 {
		q.waiting.pop().result <- closed
	}
	for _, j := range q.busy {
		j.result <- closed
	}
	q.busy, q.stalled = nil, false
}

// stats returns the counts at the time of the last advance.
func (q *queue) stats() Stats {
	s := q.tally
	s.Waiting, s.Busy = q.waiting.len(), len(q.busy)
	return s
}

// agenda is a heap of the jobs in progress, the first to end on top.
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

// fifo is a first-in, first-out queue. The zero value is empty.
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
	if f.head > len(f.jobs)/2 { // so that on average each job moves at most once
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
