package microtcp

import "time"

// arrivals records when the bytes of a stream were read, so that the time of a message
// counts from then however long it waits. The zero value is ready to use. It is not safe for
// concurrent use.
type arrivals struct {
	total int64 // bytes read so far
	reads []arrival
}

// arrival is a read, or several within arrivalGrain.
type arrival struct {
	end int64 // the total after it
	at  time.Time
}

// arrivalGrain is the precision of arrivals: that of the times that callers send.
const arrivalGrain = time.Millisecond

// add records that n bytes were read at now, while waiting bytes had not been used yet.
func (a *arrivals) add(now time.Time, n, waiting int) {
	a.total += int64(n)
	if waiting == 0 {
		a.reads = a.reads[:0]
	}
	if last := len(a.reads) - 1; last >= 0 && now.Sub(a.reads[last].at) < arrivalGrain {
		a.reads[last].end = a.total
		return
	}
	a.reads = append(a.reads, arrival{a.total, now})
}

// last returns when the byte before the last waiting bytes was read.
func (a *arrivals) last(waiting int) time.Time {
	end := a.total - int64(waiting)
	for len(a.reads) > 1 && a.reads[0].end < end {
		a.reads = a.reads[1:]
	}
	return a.reads[0].at
}
