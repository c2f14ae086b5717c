package microredis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/micro"
)

// batch is what the publisher's goroutine has taken on: it publishes it in one
// pipeline after another. It keeps the memory for the next.
type batch struct {
	messages []message // not yet published
	text     []byte    // their bodies
	start    int       // of the first one's body in text
	spare    []message // the memory that messages is a part of
	slots    []*slot
}

// slot is the memory of one PUBLISH, used again and again.
type slot struct {
	body []byte
	args [3]any
	cmd  *redis.IntCmd
}

// MarshalBinary gives the driver the body, without an allocation.
func (s *slot) MarshalBinary() ([]byte, error) { return s.body, nil }

const (
	pipeBytes = 256 << 10 // in one pipeline, unless one message alone is more
	pipeCount = 1024
	maxKept   = 1 << 20 // bytes of memory kept for the next batch
)

// publish publishes the next messages in one pipeline, and tells who added them.
func (b *batch) publish(s *session) {
	ctx := context.Background()
	pipe := s.pub.Pipeline()
	var at time.Time
	n, size, now := 0, 0, clock()
	for ; n < len(b.messages) && n < pipeCount; n++ {
		m := &b.messages[n]
		body := b.text[b.start:m.end]
		if size += len(body); n > 0 && size > pipeBytes {
			break
		}
		b.start = m.end
		c := b.slot(ctx, n, m, body)
		if m.expires != 0 && m.expires < now {
			c.cmd.SetErr(errStale)
			continue
		}
		if m.trace != nil && m.trace.Wrote != nil {
			if at.IsZero() {
				at = time.Now()
			}
			m.trace.Wrote(at, body)
		}
		_ = pipe.Process(ctx, c.cmd) // a pipeline only keeps it
	}
	if _, err := pipe.Exec(ctx); err != nil && !isAnswer(err) {
		s.fail(err)
	}
	for i := range n {
		b.tell(i)
	}
	b.messages = b.messages[n:]
	if len(b.messages) == 0 {
		b.reset()
	}
}

// slot puts a message into slot i.
func (b *batch) slot(ctx context.Context, i int, m *message, body []byte) *slot {
	if i == len(b.slots) {
		s := &slot{}
		s.args[0] = "publish"
		s.args[2] = s
		s.cmd = redis.NewIntCmd(ctx, s.args[:]...)
		b.slots = append(b.slots, s)
	}
	s := b.slots[i]
	s.body, s.args[1] = body, m.channel
	s.cmd.SetErr(nil)
	s.cmd.SetVal(0)
	return s
}

// tell tells who added message i what became of it.
func (b *batch) tell(i int) {
	m := &b.messages[i]
	b.slots[i].body = nil
	if m.receipt == nil {
		return
	}
	n, err := b.slots[i].cmd.Result()
	switch {
	case err == nil, errors.Is(err, errStale):
	case isAnswer(err):
		err = fmt.Errorf("%w: publish on %s: %w", micro.ErrRefused, m.channel, err)
	default:
		err = fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
	}
	m.receipt.published(n, err)
}

// reset makes the batch empty.
func (b *batch) reset() {
	clear(b.spare)
	b.messages, b.start = nil, 0
	if cap(b.text) > maxKept {
		b.text = nil
	}
	b.text = b.text[:0]
	if len(b.slots) > pipeCount/4 {
		b.slots = b.slots[:pipeCount/4]
	}
}

// isAnswer reports whether err is an error that Redis answered a command with.
func isAnswer(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}
