package load

import (
	"math/bits"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// schedule is when each request of an open model is due, as offsets from the
// start of the run. It depends on the pacer's rate alone, never on how late the
// run is: vegeta's own Pace forgets the intended time once it is late.
type schedule struct {
	pacer  vegeta.Pacer
	origin time.Duration // when pacer's time 0 is
	hits   uint64        // given out since origin
	next   time.Duration // when the next request is due
}

func newSchedule(p vegeta.Pacer) *schedule { return &schedule{pacer: p} }

// advance goes on to the request after next.
func (s *schedule) advance() {
	s.hits++
	if c, ok := s.pacer.(vegeta.ConstantPacer); ok && c.Freq > 0 && c.Per > 0 {
		high, low := bits.Mul64(s.hits, uint64(c.Per))
		n, _ := bits.Div64(high, low, uint64(c.Freq)) // no overflow for 292 years of requests
		s.next = s.origin + time.Duration(n)
		return
	}
	s.next += s.interval()
}

// stalled is how far a schedule looks ahead while its pacer's rate is nothing.
const stalled = time.Millisecond

// interval is the time to the next request where the pacer's rate varies: one
// request at the rate of the interval's middle.
func (s *schedule) interval() time.Duration {
	at := s.next - s.origin
	for range 3_600_000 { // an hour of nothing ends the search
		if rate := s.pacer.Rate(at); rate > 0 {
			step := time.Duration(float64(time.Second) / rate)
			if middle := s.pacer.Rate(at + step/2); middle > 0 {
				step = time.Duration(float64(time.Second) / middle)
			}
			return at + step - (s.next - s.origin)
		}
		at += stalled
	}
	return 1 << 61
}

// change follows another pacer from now on. The next request is due one
// interval of the new rate after now, or when it was due if that is sooner.
func (s *schedule) change(p vegeta.Pacer, now time.Duration) {
	due := s.next
	s.pacer, s.origin, s.hits, s.next = p, now, 0, now
	s.advance()
	if due > now && due < s.next {
		s.origin -= s.next - due
		s.next = due
	}
}
