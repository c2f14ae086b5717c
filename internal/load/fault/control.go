package fault

import (
	"slices"
	"time"
)

// Begin sets the time 0 of the windows. Before it is called, only faults without a
// window are active.
func (p *Proxy) Begin(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := *p.faults.Load()
	next.begin = t
	p.faults.Store(&next)
}

// Add adds a fault after the existing ones and returns its ID. If the proxy cannot
// inject the fault, the error is a *RefusedError.
func (p *Proxy) Add(f Fault) (id int, err error) {
	if err := f.Check(p.options.Raw); err != nil {
		return 0, err
	}
	f = f.normal()
	p.mu.Lock()
	defer p.mu.Unlock()
	twin := p.twins[f.identity()]
	p.twins[f.identity()]++
	p.last++
	traits, _ := f.Kind.traits()
	set := p.faults.Load()
	a := &active{id: p.last, fault: f, traits: traits, draws: newDraws(p.options.Seed, f, twin)}
	p.faults.Store(set.with(append(slices.Clone(set.list), a)))
	return a.id, nil
}

// Remove removes a fault. Messages held by a Stall or Bandwidth are delivered at
// once; other messages keep their delays. It returns false if there is no such fault.
func (p *Proxy) Remove(id int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := p.faults.Load()
	i := slices.IndexFunc(set.list, func(a *active) bool { return a.id == id })
	if i < 0 {
		return false
	}
	p.faults.Store(set.with(slices.Delete(slices.Clone(set.list), i, i+1)))
	p.retire(set.list[i : i+1])
	return true
}

// Clear removes all faults.
func (p *Proxy) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := p.faults.Load()
	p.faults.Store(set.with(nil))
	p.retire(set.list)
}

// maxRemoved is the number of removed faults whose counts are kept.
const maxRemoved = 256

// retire marks faults as removed and releases what they hold. mu must be held.
func (p *Proxy) retire(list []*active) {
	for _, a := range list {
		a.gone.Store(true)
	}
	p.removed = append(p.removed, list...)
	p.removed = slices.Clone(p.removed[max(0, len(p.removed)-maxRemoved):])
	for c := range p.conns {
		c.up.queue.release()
		c.down.queue.release()
	}
}

// Faults returns the faults that have not been removed, in the order in which they
// were added.
func (p *Proxy) Faults() []Active {
	set := p.faults.Load()
	return snapshots(nil, set.list, set.begin)
}

func snapshots(to []Active, list []*active, begin time.Time) []Active {
	now := time.Now()
	for _, a := range list {
		to = append(to, a.snapshot(now, begin))
	}
	return to
}

// Stats are the counts of a proxy.
type Stats struct {
	// Messages counts the requests and events from clients, and Replies the packets
	// from the service. With Raw, both count reads.
	Messages, Replies uint64
	// Connections counts the connections of clients, and Open those that are open.
	// Unreachable counts those rejected because no target could be reached.
	Connections, Unreachable uint64
	Open                     int
	// Faults are all faults, including removed ones, by ID.
	Faults []Active
}

// Stats returns the current counts. They are not a consistent snapshot while messages
// pass.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := p.faults.Load()
	s := Stats{
		Messages: p.counts.messages.Load(), Replies: p.counts.replies.Load(),
		Connections: p.counts.connections.Load(), Unreachable: p.counts.unreachable.Load(),
		Open:   len(p.conns),
		Faults: snapshots(snapshots(nil, p.removed, set.begin), set.list, set.begin),
	}
	slices.SortFunc(s.Faults, func(a, b Active) int { return a.ID - b.ID })
	return s
}

// Journal returns the most recent effects on messages from clients, at most 16384,
// the oldest first. It does not record Bandwidth, which affects every message.
func (p *Proxy) Journal() []Event { return p.journal.all() }
