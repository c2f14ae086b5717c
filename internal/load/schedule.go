package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// schedule computes when each request of an open load is due, as an offset from the
// start of the run. It depends only on the rate, never on how late the run is.
type schedule struct {
	curve  curve
	gap    func() float64  // to the next request, in hits
	origin time.Duration   // time 0 of the curve
	hits   float64         // of the curve when the next request is due
	next   time.Duration   // when the next request is due
	batch  []time.Duration // when the requests are due that were gathered and not yet taken; all before next
	taken  time.Duration   // when the latest request was due that was taken or passed over
}

func newSchedule(c curve, arrivals Arrivals, seed uint64) *schedule {
	s := &schedule{curve: c, gap: func() float64 { return 1 }}
	if arrivals == Poisson {
		// A Poisson process of rate 1, stretched by the curve, is a Poisson process
		// of the curve's rate.
		s.gap = rand.New(rand.NewPCG(seed, 0x61727269766c)).ExpFloat64
		s.hits = s.gap()
	}
	s.find()
	return s
}

// never is a due time that no run reaches.
const never = time.Duration(math.MaxInt64 / 4)

// find computes when the curve reaches hits.
func (s *schedule) find() {
	due := s.curve.when(s.hits) * float64(time.Second)
	if !(due < float64(never)) {
		s.next = never
		return
	}
	s.next = s.origin + time.Duration(math.Round(due))
}

// advance moves on to the request after the next one.
func (s *schedule) advance() {
	s.hits += s.gap()
	s.find()
}

// first returns when the next request that was not taken is due.
func (s *schedule) first() time.Duration {
	if len(s.batch) > 0 {
		return s.batch[0]
	}
	return s.next
}

// gather adds the requests that are due until a time to the batch, up to most, and returns
// when the last of the batch is due.
func (s *schedule) gather(until time.Duration, most int) (last time.Duration) {
	for s.next <= until && len(s.batch) < most {
		s.batch = append(s.batch, s.next)
		s.advance()
	}
	if n := len(s.batch); n > 0 {
		return s.batch[n-1]
	}
	return s.next
}

// skip passes over the first request that was not taken.
func (s *schedule) skip() {
	if len(s.batch) > 0 {
		s.take(1)
	} else {
		s.taken = s.next
		s.advance()
	}
}

// take removes the first n requests from the batch.
func (s *schedule) take(n int) {
	if n > 0 {
		s.taken = s.batch[n-1]
	}
	s.batch = append(s.batch[:0], s.batch[n:]...)
}

// change switches to another curve. Requests that are already due stay in the batch. The
// one after them is due one interval of the new rate after now, or at its previous due time
// if that is sooner.
func (s *schedule) change(c curve, now time.Duration) {
	s.gather(now, math.MaxInt)
	due := s.next
	if i, _ := slices.BinarySearch(s.batch, now+1); i < len(s.batch) {
		due, s.batch = s.batch[i], s.batch[:i]
	}
	s.curve, s.origin, s.hits, s.next = c, now, 0, now
	s.advance()
	if due < s.next {
		s.origin -= s.next - due
		s.next = due
	}
}
