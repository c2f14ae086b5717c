package fault

import (
	"slices"
	"time"
)

// chunkSize is the maximum size of one read.
const chunkSize = 32 << 10

// pumpBytes passes on bytes until the stream ends. They keep their order, whatever
// their delays.
func (p *pipe) pumpBytes() error {
	buf := make([]byte, chunkSize)
	var last time.Time // when the previous chunk is due
	observer := p.conn.observer
	if observer != nil {
		defer observer.End(p.to == toService)
	}
	for {
		n, err := p.src.Read(buf)
		if n > 0 {
			if observer != nil {
				observer.Bytes(p.to == toService, buf[:n])
			}
			if problem := p.chunk(buf[:n], &last); problem != nil {
				return problem
			}
		}
		if err != nil {
			return err
		}
	}
}

// chunk handles the result of one read.
func (p *pipe) chunk(b []byte, last *time.Time) error {
	proxy := p.conn.proxy
	set := proxy.faults.Load()
	var one parcel
	var swallow bool
	if p.to == toService {
		proxy.counts.messages.Add(1)
		v := proxy.judge(set, &message{pipe: p, size: len(b)})
		if v.reset {
			p.conn.end(true)
			return errEnded
		}
		swallow, one.due, one.by = v.swallow, v.due, v.by
	} else {
		proxy.counts.replies.Add(1)
		swallow, one = proxy.judgeReply(set, "", len(b))
		one.cut = proxy.cuts(set)
	}
	if swallow {
		return nil
	}
	if one.due.IsZero() && !one.cut && p.queue.empty() {
		if _, err := p.dst.Write(b); err != nil {
			return &writeError{err}
		}
		return nil
	}
	one.due = later(later(one.due, time.Now()), *last)
	*last = one.due
	one.bytes = slices.Clone(b)
	return p.send(&one)
}

// cuts decides whether to cut a chunk from the service: in a stream of bytes, Cut is
// drawn for those.
func (p *Proxy) cuts(set *faultSet) bool {
	for _, a := range set.list {
		if a.fault.Kind != Cut {
			continue
		}
		open, _ := a.window(time.Now(), set.begin)
		n, hit := a.hits(open)
		if !hit {
			continue
		}
		a.hit.Add(1)
		p.journal.add(Event{Fault: a.id, Kind: Cut, Number: n})
		return true
	}
	return false
}
