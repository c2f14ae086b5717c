package load

import (
	"errors"
	"math"
	"net"
	"runtime"
	"runtime/metrics"
	"syscall"
	"time"
)

// A load generator that lacks CPU time, or that its own garbage collection pauses,
// measures itself rather than the service. So the run also measures the generator.

const pauses = "/sched/pauses/total/gc:seconds"

// selfMeasurement is what the generator measured about itself in one second: its share
// of the processors, its longest pause for garbage collection, and how far the wall clock
// moved away from the monotonic one.
type selfMeasurement struct {
	cpu  float64
	gc   time.Duration
	jump time.Duration
}

// watchSelf measures the generator once per second, until no more requests are offered.
func (r *Run) watchSelf() {
	sample := []metrics.Sample{{Name: pauses}}
	metrics.Read(sample)
	before := counts(sample[0])
	used, at := processTime(), time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.over:
			return
		}
		metrics.Read(sample)
		now, usedNow := time.Now(), processTime()
		all := now.Sub(at) * time.Duration(runtime.GOMAXPROCS(0))
		m := selfMeasurement{float64(usedNow-used) / float64(max(all, 1)), longest(sample[0], before), clockJump(now.Round(0).Sub(at.Round(0)), now.Sub(at))}
		r.rec.self(r.now(), m)
		if r.rec.shared && now.Sub(at) > time.Second+maxStall {
			r.rec.stalled(at.Sub(r.start)+time.Second, r.now())
		}
		if m.jump != 0 {
			r.rec.mark(r.now(), "clock jumped by "+m.jump.Round(time.Second).String())
		}
		used, at, before = usedNow, now, counts(sample[0])
	}
}

// clockJump returns how far the wall clock moved away from the monotonic clock between
// two readings; 0 if that is less than a second. The monotonic clock of most systems stops
// while the machine is suspended.
func clockJump(wall, monotonic time.Duration) time.Duration {
	if jump := wall - monotonic; jump.Abs() >= leastJump {
		return jump
	}
	return 0
}

// leastJump is the shortest jump that is not a correction of the clock.
const leastJump = time.Second

// ownFault reports whether an error is a limit of this machine rather than a fault of the
// target: it has no file descriptors, ports, or buffers left.
func ownFault(err error) bool {
	var number syscall.Errno
	if !errors.As(err, &number) || lacksIPv6(err) {
		return false
	}
	const wsaTooManyFiles, wsaNoBuffers, wsaNoAddress = 10024, 10055, 10049 // on Windows
	switch number {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.EADDRNOTAVAIL, wsaTooManyFiles, wsaNoBuffers, wsaNoAddress:
		return true
	}
	return false
}

// lacksIPv6 reports whether an error is that of the IPv6 address of localhost on a machine
// without IPv6, which has the number of a machine that has no ports left.
func lacksIPv6(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) {
		return false
	}
	to, ok := op.Addr.(*net.TCPAddr)
	return ok && to.IP.Equal(net.IPv6loopback)
}

// counts copies the counts of a sampled histogram.
func counts(s metrics.Sample) []uint64 {
	if s.Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return append([]uint64(nil), s.Value.Float64Histogram().Counts...)
}

// longest returns the lower end of the highest bucket whose count has grown since
// before: the longest pause was at least that long.
func longest(s metrics.Sample, before []uint64) time.Duration {
	if s.Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h := s.Value.Float64Histogram()
	for i := len(h.Counts) - 1; i >= 0 && i < len(before); i-- {
		if h.Counts[i] > before[i] && !math.IsInf(h.Buckets[i], -1) {
			return time.Duration(h.Buckets[i] * float64(time.Second))
		}
	}
	return 0
}
