package observe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// The limits of what is read from Redis.
const (
	maxBulk     = 8 << 20 // bytes of a message that are kept; of a larger one, nothing is
	maxElements = 16
	maxRedis    = 512 << 20 // the largest that Redis itself allows
)

// redisConn is a connection to Redis, in the form of the protocol that all versions have (RESP2). The
// messages of a driver would be read completely, however large they are.
type redisConn struct {
	net.Conn
	in *bufio.Reader
}

func newRedisConn(conn net.Conn) *redisConn {
	return &redisConn{conn, bufio.NewReaderSize(conn, 64<<10)}
}

// redisError is an answer that begins with a minus.
type redisError string

func (e redisError) Error() string { return string(e) }

// skipped stands for a text that is longer than maxBulk.
type skipped struct{}

var errRESP = errors.New("this is not an answer of Redis")

// send sends a command.
func (c *redisConn) send(words ...string) error {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
	}
	if err := c.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}

// ask sends a command, and returns its answer: a string, an int64, a []any of these, nil, or skipped.
func (c *redisConn) ask(ctx context.Context, words ...string) (any, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := c.send(words...); err != nil {
		return nil, err
	}
	answer, err := c.read(0)
	if err == nil {
		if refused, ok := answer.(redisError); ok {
			return nil, refused
		}
	}
	return answer, err
}

// read reads one answer, in which errors are values.
func (c *redisConn) read(depth int) (any, error) {
	line, err := c.line()
	if err != nil || line == "" {
		return nil, errors.Join(err, emptyLine(line, err))
	}
	text := line[1:]
	switch line[0] {
	case '+':
		return text, nil
	case '-':
		return redisError(text), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, errRESP
	}
	switch {
	case line[0] == ':':
		return n, nil
	case line[0] == '$' && n <= maxRedis:
		return c.bulk(int(n))
	case line[0] == '*' && n <= maxElements && depth == 0:
		list := make([]any, max(n, 0))
		for i := range list {
			if list[i], err = c.read(depth + 1); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, errRESP
}

func emptyLine(line string, err error) error {
	if line == "" && err == nil {
		return errRESP
	}
	return nil
}

// line reads a line that ends with CRLF.
func (c *redisConn) line() (string, error) {
	line, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errRESP
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

func (c *redisConn) bulk(n int) (any, error) {
	if n < 0 {
		return nil, nil //nolint:nilnil // as in the protocol
	}
	if n > maxBulk {
		_, err := io.CopyN(io.Discard, c.in, int64(n)+2)
		return skipped{}, err
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return nil, err
	}
	return string(b[:n]), nil
}
