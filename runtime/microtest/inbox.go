package microtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// inbox is the Responder of one exchange. It keeps the packets of the reply until the
// caller takes them.
type inbox struct {
	news chan struct{} // holds a token while there are packets

	mu      sync.Mutex // guards what follows
	packets [][]byte
	left    bool                  // the caller has gone
	late    func(micro.LateReply) // called for a reply that ends after that, unless nil
	leftAt  time.Time
}

var errLeft = errors.New("the caller is gone")

// Respond keeps one packet of the reply.
func (in *inbox) Respond(_ context.Context, p wire.Reply) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.left {
		return in.respondLate(p)
	}
	in.packets = append(in.packets, p.Append(nil))
	select {
	case in.news <- struct{}{}:
	default:
	}
	return nil
}

// respondLate handles a packet that arrives after the caller has gone.
func (in *inbox) respondLate(p wire.Reply) error {
	tell := in.late
	if tell == nil {
		return errLeft
	}
	if !p.Disposed && p.Err == nil && !p.NoHandler {
		return nil
	}
	late := micro.LateReply{By: time.Since(in.leftAt)}
	if p.Err != nil {
		late.Err = micro.RemoteError(append([]byte(nil), p.Err...))
	}
	in.late = nil
	tell(late)
	return nil
}

// take returns the packets that have arrived since the last call.
func (in *inbox) take() [][]byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	packets := in.packets
	in.packets = nil
	return packets
}

// leave makes further packets fail.
func (in *inbox) leave() { in.giveUp(nil) }

// giveUp is leave for a caller that timed out: trace may be notified of the end of the
// reply.
func (in *inbox) giveUp(trace *micro.Trace) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.left, in.leftAt = true, time.Now()
	if trace != nil {
		in.late = trace.Late
	}
}

// discard is the Responder of events, which get no reply.
type discard struct{}

func (discard) Respond(context.Context, wire.Reply) error { return nil }
