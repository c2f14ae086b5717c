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

// outlet is the connection that a session publishes by. The driver signs in on it;
// then it is written to and read from here, so that many messages are on their way
// at once, that their receivers are counted when Redis says so, and that its loss
// is seen at once and not by the next message.
type outlet struct {
	*socket
	written time.Time // the write deadline; of who writes

	mu    sync.Mutex // guards what follows
	sent  []message  // written, and not yet answered, from first on
	first int
	over  bool
}

const (
	oneWrite  = 256 << 10 // bytes under one deadline
	longReply = 4 << 10   // more than any answer has
)

// publish writes commands. The error says that none of them has been written.
func (s *session) publish(all []message, text []byte) error {
	o := s.outlet
	o.mu.Lock()
	if o.over {
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
		s.fail(err) // the reader tells those who wait for an answer
	}
	return nil
}

// write writes text. One goroutine at a time calls it.
func (o *outlet) write(text []byte) error {
	for len(text) > 0 {
		if now := time.Now(); o.written.Sub(now) < answerTimeout {
			o.written = now.Add(answerTimeout + time.Second) // a second ahead, so not forevery write
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

// count reads the answers until the connection ends.
func (s *session) count() {
	defer s.readers.Done()
	lines := bufio.NewReaderSize(s.outlet, longReply)
	for {
		line, err := lines.ReadSlice('\n')
		if err == nil {
			err = s.outlet.answered(line)
		}
		if err != nil {
			s.fail(err)
			s.outlet.end(s.reason())
			return
		}
	}
}

// answered tells whoever sent the oldest message what Redis says of it.
func (o *outlet) answered(line []byte) error {
	m, asked := o.oldest()
	line = bytes.TrimRight(line, "\r\n")
	if !asked || len(line) == 0 {
		return fmt.Errorf("an answer that nobody has asked for: %.100q", line)
	}
	var receivers int64
	var err error
	switch kind, rest := line[0], string(line[1:]); kind {
	case ':':
		if receivers, err = strconv.ParseInt(rest, 10, 64); err != nil {
			return fmt.Errorf("the number of receivers: %w", err)
		}
	case '-':
		err = fmt.Errorf("%w: publish on %s: %w", micro.ErrRefused, m.channel, answerError(rest))
	case '+': // to a PING
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

// end tells those whose messages have not been answered that they may or may not
// have been published.
func (o *outlet) end(reason error) {
	o.mu.Lock()
	o.over = true
	unanswered := o.sent[o.first:]
	o.sent, o.first = nil, 0
	o.mu.Unlock()
	tell(unanswered, fmt.Errorf("%w: %w", micro.ErrConnectionLost, reason))
}

// answerError is an error that Redis has answered with.
type answerError string

func (e answerError) Error() string { return string(e) }

// RedisError makes it one of the driver's errors.
func (e answerError) RedisError() {}
