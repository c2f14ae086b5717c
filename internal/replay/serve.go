package replay

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Mock replies as recorded. Create it with [NewMock]. It is safe for concurrent use.
type Mock struct {
	Quick bool // do not take the time that the service took

	mu      sync.Mutex // guards what follows
	matcher *Matcher
	stats   Stats
}

// Stats counts what a [Mock] has done.
type Stats struct {
	Replied int // as recorded
	Filled  int // of these, with the reply to other data
	Unknown int // messages that are not in the recording
}

// NewMock returns a mock of a recording. With nearest, data that is not in the recording gets the reply
// to that which differs the least.
func NewMock(r *Recording, nearest bool) *Mock { return &Mock{matcher: NewMatcher(r, nearest)} }

// Stats returns the counts so far.
func (m *Mock) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Server returns a server that replies to the patterns of the recording.
func (m *Mock) Server(name string, log *slog.Logger, patterns []micro.Pattern) *micro.Server {
	s := micro.NewServer(micro.WithName(name, ""), micro.WithLogger(log), micro.WithDrainTimeout(time.Second))
	for _, p := range patterns {
		micro.HandleFunc(s, p, m.handle)
	}
	return s
}

// match finds the exchange for a message, and counts it.
func (m *Mock) match(req *micro.Request) *Exchange {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.matcher.Match(req.Pattern, req.Data)
	if x == nil {
		m.stats.Unknown++
		return nil
	}
	m.stats.Replied++
	if value, err := decode(req.Data); err != nil || distance(x.data, value) > 0 {
		m.stats.Filled++
	}
	return x
}

func (m *Mock) handle(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	x := m.match(req)
	if x == nil {
		return micro.Errorf(404, "the recording has no message %s with this data", req.Pattern)
	}
	if !m.Quick && x.Took > 0 {
		timer := time.NewTimer(x.Took)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if x.Error != nil {
		return Payload(x.Error, x.Reply)
	}
	if len(x.Reply) == 0 {
		return nil
	}
	return reply.Send(micro.Value{Raw: x.Fill(req.Data), Last: true})
}
