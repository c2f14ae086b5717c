package microredis

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// outlet is the connection on which a session publishes. The driver signs in on it;
// after that, this package writes and reads it. Many messages can thus be in flight at
// once, their receivers are counted as the replies arrive, and a lost connection is
// noticed at once instead of by the next message.
type outlet struct {
	*socket
	written time.Time // the write deadline; used only by write

	mu    sync.Mutex // guards the fields below
	sent  []message  // sent[first:] has been written but not answered
	first int
	over  bool
}

const (
	oneWrite  = 256 << 10 // the maximum number of bytes per write and deadline
	longReply = 4 << 10   // bytes; longer than any reply
)

// publish writes commands. If it returns an error, none of them has been written.
func (s *session) publish(all []message, text []byte) error {
	o := s.outlet
	o.mu.Lock()
	if o.over || s.over() {
		o.mu.Unlock()
		return errUnsent
	}
	if o.first > len(o.sent)/2 {
		rest := copy(o.sent, o.sent[o.first:])
		clear(o.sent[rest:])
		o.sent, o.first = o.sent[:rest], 0
	}
	o.sent = append(o.sent, all...)
	o.mu.Unlock()
	var at time.Time
	for i := range all {
		if trace := all[i].trace; trace != nil && trace.Wrote != nil {
			if at.IsZero() {
				at = time.Now()
			}
			trace.Wrote(at, text[all[i].body:all[i].end-len("\r\n")])
		}
	}
	if err := o.write(text); err != nil {
		s.end(err) // count then fails the unanswered messages
	}
	return nil
}

// write writes text. One goroutine at a time calls it.
func (o *outlet) write(text []byte) error {
	for len(text) > 0 {
		if now := time.Now(); o.written.Sub(now) < answerTimeout {
			o.written = now.Add(answerTimeout + time.Second) // a second ahead, so not for every write
			if err := o.SetWriteDeadline(o.written); err != nil {
				return err
			}
		}
		n := min(len(text), oneWrite)
		if _, err := o.Write(text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// count reads Redis's replies until the connection ends.
func (s *session) count() {
	defer s.readers.Done()
	lines := bufio.NewReaderSize(s.outlet, longReply)
	for {
		line, err := lines.ReadSlice('\n')
		if err == nil {
			err = s.outlet.answered(line)
		}
		if err != nil {
			s.end(err)
			s.outlet.end(err)
			s.finished(err)
			return
		}
		s.link.out.confirmed()
	}
}

// answered passes a reply of Redis to the receipt of the oldest unanswered message.
func (o *outlet) answered(line []byte) error {
	m, asked := o.oldest()
	line = bytes.TrimRight(line, "\r\n")
	if !asked || len(line) == 0 {
		return fmt.Errorf("unexpected reply from Redis: %.100q", line)
	}
	var receivers int64
	var err error
	switch kind, rest := line[0], string(line[1:]); kind {
	case ':':
		if receivers, err = strconv.ParseInt(rest, 10, 64); err != nil {
			return fmt.Errorf("invalid number of receivers: %w", err)
		}
	case '-':
		err = answerError(rest)
		if isForbidden(err) {
			err = fmt.Errorf("%w: %w", micro.ErrForbidden, denied(err, "publish", m.channel))
		} else {
			err = fmt.Errorf("%w: publish on %s: %w", refusal(err), m.channel, err)
		}
	case '+': // the reply to a PING
	default:
		return fmt.Errorf("invalid reply to PUBLISH: %.100q", line)
	}
	if m.receipt != nil {
		m.receipt.published(receivers, err)
	}
	return nil
}

func (o *outlet) oldest() (m message, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.first == len(o.sent) {
		return m, false
	}
	m = o.sent[o.first]
	o.sent[o.first] = message{}
	o.first++
	return m, true
}

// idle reports whether Redis has answered everything.
func (o *outlet) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.first == len(o.sent)
}

// end fails the unanswered messages with micro.ErrConnectionLost, since they may or may
// not have been published.
func (o *outlet) end(reason error) {
	o.mu.Lock()
	o.over = true
	unanswered := o.sent[o.first:]
	o.sent, o.first = nil, 0
	o.mu.Unlock()
	tell(unanswered, fmt.Errorf("%w: %w", micro.ErrConnectionLost, reason))
}

// answerError is an error reply of Redis.
type answerError string

func (e answerError) Error() string { return string(e) }

// RedisError implements redis.Error.
func (e answerError) RedisError() {}
