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

// Delivery is how a message came: NestJS's RedisContext. It must not be changed.
type Delivery struct {
	// Channel is the channel that the message was published to.
	Channel string
	// Pattern is the glob that matched it, with WithWildcards; empty without.
	Pattern string
}

// DeliveryFromContext returns how the message came that the handler running under
// ctx was given, or nil when it did not come over Redis.
func DeliveryFromContext(ctx context.Context) *Delivery {
	req := micro.RequestFromContext(ctx)
	if req == nil {
		return nil
	}
	d, _ := req.Details.(*Delivery)
	return d
}

// replySuffix makes a reply channel of a channel.
const replySuffix = ".reply"

// channelName returns the channel of a route. Half a surrogate pair, which has no
// UTF-8, is U+FFFD there, as in Node.
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

// answer publishes the packets of the answer to one message.
type answer struct {
	listener *Listener
	channel  string
	unheard  atomic.Int64 // clock since when nobody has received them; 0: somebody has
	holed    atomic.Bool  // one of them is lost
}

// defaultGoneAfter is for how long nobody may have received the values of a stream
// until it is stopped: a caller that has lost its connection may come back.
const defaultGoneAfter = 10 * time.Second

var errGone = errors.New("no subscriber receives the reply any more")

// partLost ends an answer of which the caller may lack a value: without it he would
// take what he has for all.
const partLost = `{"status":"error","message":"the connection was lost, and part of the reply with it"}`

// Respond publishes a packet. It waits while far too much is to be published.
func (a *answer) Respond(ctx context.Context, p wire.Reply) error {
	more := !p.Disposed && p.Err == nil && !p.NoHandler
	since := a.unheard.Load()
	switch holed := a.holed.Load(); {
	case more && (holed || since != 0 && clock()-since > int64(a.listener.goneAfter)):
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

// published is told what became of a packet.
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
	a.listener.server.LogPeer(slog.LevelWarn, "answer lost", "channel", a.channel, "error", err)
}
