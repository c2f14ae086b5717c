package microtest

import (
	"context"
	"errors"
	"sync"

	"github.com/msctl/msctl/runtime/micro"
)

// inbox is the Responder of one exchange: it keeps the packets of the answer
// until the caller takes them.
type inbox struct {
	news chan struct{} // holds a token while there is something to take

	mu      sync.Mutex // guards what follows
	packets [][]byte
	left    bool // the caller has gone
}

var errLeft = errors.New("the caller is gone")

// Respond keeps one packet of the answer.
func (in *inbox) Respond(_ context.Context, p micro.ReplyPacket) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.left {
		return errLeft
	}
	in.packets = append(in.packets, p.Append(nil))
	select {
	case in.news <- struct{}{}:
	default:
	}
	return nil
}

// take returns the packets that have come since it was called last.
func (in *inbox) take() [][]byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	packets := in.packets
	in.packets = nil
	return packets
}

// leave makes further packets fail.
func (in *inbox) leave() {
	in.mu.Lock()
	in.left = true
	in.mu.Unlock()
}

// nobody is the Responder of events, which get no answer.
type nobody struct{}

func (nobody) Respond(context.Context, micro.ReplyPacket) error { return nil }
