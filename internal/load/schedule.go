package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// schedule is when each request of an open model is due, as offsets from the
// start of the run. It depends on the rate alone, never on how late the run is.
type schedule struct {
	curve  curve
	gap    func() float64 // between two requests, in requests of an even rate
	origin time.Duration  // when the curve's time 0 is
	hits   float64        // of the curve, when the next request is due
	next   time.Duration  // when that is
}

func newSchedule(c curve, arrivals Arrivals, seed uint64) *schedule {
	s := &schedule{curve: c, gap: func() float64 { return 1 }}
	if arrivals == Poisson {
		// An even rate of one, stretched by the curve, stays a Poisson process.
		s.gap = rand.New(rand.NewPCG(seed, 0x61727269766c)).ExpFloat64
		s.hits = s.gap()
	}
	s.find()
	return s
}

// never is a due time that no run reaches.
const never = time.Duration(math.MaxInt64 / 4)

// find works out when the curve comes to hits.
func (s *schedule) find() {
	due := s.curve.when(s.hits) * float64(time.Second)
	if !(due < float64(never)) {
		s.next = never
		return
	}
	s.next = s.origin + time.Duration(math.Round(due))
}

// advance goes on to the request after next.
func (s *schedule) advance() {
	s.hits += s.gap()
	s.find()
}

// change follows another curve from now on. The next request is due one interval
// of the new rate after now, or when it was due if that is sooner.
func (s *schedule) change(c curve, now time.Duration) {
	due := s.next
	s.curve, s.origin, s.hits, s.next = c, now, 0, now
	s.advance()
	if due > now && due < s.next {
		s.origin -= s.next - due
		s.next = due
	}
}
