package microredis

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Delivery describes how a message was received, like NestJS's RedisContext. It must not
// be modified.
type Delivery struct {
	// Channel is the channel to which the message was published.
	Channel string
	// Pattern is the glob that matched the channel, or "" without WithWildcards.
	Pattern string
}

// DeliveryFromContext returns the Delivery of the message that the handler with the
// context ctx is handling, or nil if the message came through another transport.
func DeliveryFromContext(ctx context.Context) *Delivery {
	req := micro.RequestFromContext(ctx)
	if req == nil {
		return nil
	}
	d, _ := req.Details.(*Delivery)
	return d
}

// replySuffix is appended to the name of a channel to get its reply channel.
const replySuffix = ".reply"

// channelName returns the channel of a route. As in Node, an unpaired surrogate, which
// UTF-8 cannot encode, becomes U+FFFD.
func channelName(route string) string {
	if strings.ToValidUTF8(route, "") == route {
		return route
	}
	var b strings.Builder
	for i := 0; i < len(route); i++ {
		if route[i] == 0xED && i+2 < len(route) && route[i+1] >= 0xA0 {
			b.WriteString("\uFFFD")
			i += 2
			continue
		}
		b.WriteByte(route[i])
	}
	return b.String()
}

// answer publishes the packets of the reply to one message.
type answer struct {
	listener *Listener
	channel  string
	unheard  atomic.Int64 // the clock since when packets have had no receiver; 0 if the last had one
	holed    atomic.Bool  // a packet was lost
}

// defaultGoneAfter is how long the values of a stream may have no receiver before the
// stream is stopped. A caller that has lost its connection may reconnect within it.
const defaultGoneAfter = 10 * time.Second

// unheardLimit returns how long the values of a stream may have no receiver: not at all while
// the server is stopping.
func (l *Listener) unheardLimit() int64 {
	if l.stopping.Load() {
		return -1
	}
	return int64(l.goneAfter)
}

var errGone = errors.New("no subscriber receives the reply any more")

// partLost ends a reply of which a value may have been lost. Without it the caller would
// take the rest for the complete reply.
const partLost = `{"status":"error","message":"the connection was lost, and part of the reply with it"}`

// Respond publishes a packet. It waits while too much data is pending.
func (a *answer) Respond(ctx context.Context, p wire.Reply) error {
	more := !p.Disposed && p.Err == nil && !p.NoHandler
	since := a.unheard.Load()
	switch holed := a.holed.Load(); {
	case more && (holed || since != 0 && clock()-since > a.listener.unheardLimit()):
		return errGone
	case holed:
		p = wire.Reply{ID: p.ID, Err: []byte(partLost), Disposed: true}
	}
	err := a.listener.out.add(ctx, message{channel: a.channel, receipt: a}, p.Size(), p.Append)
	if err != nil {
		a.lost(err)
	}
	return err
}

// published handles the outcome of a packet.
func (a *answer) published(receivers int64, err error) {
	switch {
	case err != nil:
		a.lost(err)
	case receivers > 0:
		a.unheard.Store(0)
	case a.unheard.Load() == 0:
		a.unheard.Store(clock())
	}
}

func (a *answer) lost(err error) {
	a.holed.Store(true)
	a.listener.server.LogPeer(slog.LevelWarn, "reply lost", "channel", a.channel, "error", err)
}
