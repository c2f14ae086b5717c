package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// schedule computes when each request of an open load is due, as an offset from the
// start of the run. It depends only on the rate, never on how late the run is.
type schedule struct {
	curve  curve
	gap    func() float64 // to the next request, in hits
	origin time.Duration  // time 0 of the curve
	hits   float64        // of the curve when the next request is due
	next   time.Duration  // when the next request is due
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

// change switches to another curve. The next request is due one interval of the new
// rate after now, or at its previous due time if that is sooner.
func (s *schedule) change(c curve, now time.Duration) {
	due := s.next
	s.curve, s.origin, s.hits, s.next = c, now, 0, now
	s.advance()
	if due > now && due < s.next {
		s.origin -= s.next - due
		s.next = due
	}
}
