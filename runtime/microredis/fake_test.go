package microredis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// fake is a Redis for tests.
type fake struct {
	pong      string                                    // the answer to PING; "" for that of Redis
	published func(conn net.Conn, channel, body string) // called for each PUBLISH; it answers

	mu  sync.Mutex // guards sub
	sub net.Conn   // has subscribed last
}

func (f *fake) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		words, err := readCommand(in)
		if err != nil {
			return
		}
		switch strings.ToLower(words[0]) {
		case "ping":
			answer := f.pong
			if answer == "" {
				answer = "+PONG"
			}
			_, _ = io.WriteString(conn, answer+"\r\n")
		case "subscribe":
			f.mu.Lock()
			f.sub = conn
			f.mu.Unlock()
			for i, name := range words[1:] {
				fmt.Fprintf(conn, "*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:%d\r\n", len(name), name, i+1)
			}
		case "unsubscribe":
			for _, name := range words[1:] {
				fmt.Fprintf(conn, "*3\r\n$11\r\nunsubscribe\r\n$%d\r\n%s\r\n:0\r\n", len(name), name)
			}
		case "publish":
			f.published(conn, words[1], words[2])
		default:
			_, _ = io.WriteString(conn, "-ERR unknown command\r\n")
		}
	}
}

// subscriber returns the connection that has subscribed last.
func (f *fake) subscriber() net.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sub
}

// send sends a message to the subscriber.
func (f *fake) send(channel, body string) error {
	_, err := fmt.Fprintf(f.subscriber(), "*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(body), body)
	return err
}

// echo answers a request with "x".
func (f *fake) echo(conn net.Conn, channel, body string) {
	p, _ := wire.Parse([]byte(body))
	_ = f.send(channel+replySuffix, string(wire.Reply{ID: p.ID, Response: []byte(`"x"`), Disposed: true}.Append(nil)))
	_, _ = io.WriteString(conn, ":1\r\n")
}

// readCommand reads an array of bulk strings.
func readCommand(in *bufio.Reader) (words []string, err error) {
	var n int
	if _, err := fmt.Fscanf(in, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	for range n {
		var size int
		if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		word := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	return words, nil
}

// TestReplyBeforeTheEnd checks that a reply is delivered although Redis closes the
// connections right behind it, the one for publishing first and without the number of
// receivers.
func TestReplyBeforeTheEnd(t *testing.T) {
	f := &fake{}
	f.published = func(conn net.Conn, channel, body string) {
		sub := f.subscriber()
		f.echo(discard{}, channel, body)
		_ = conn.Close()
		_ = sub.(*net.TCPConn).CloseWrite()
	}
	url := "redis://" + testenv.ServeEach(t, f.serve)
	for i := range 100 {
		c := client(t, url)
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
			t.Fatalf("call %d: %q, %v", i, got, err)
		}
		_ = c.Close()
	}
}

// discard is a connection that takes everything.
type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// TestPassingErrors checks that what Redis rejects for a while only is a sign of life when
// signing in, and that a message that it rejects for that reason was not sent.
func TestPassingErrors(t *testing.T) {
	for _, passing := range []string{
		"LOADING Redis is loading the dataset in memory",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"CLUSTERDOWN The cluster is down",
	} {
		rejects := 1 // messages
		f := &fake{pong: "-" + passing}
		f.published = func(conn net.Conn, channel, body string) {
			if rejects > 0 {
				rejects--
				_, _ = io.WriteString(conn, "-"+passing+"\r\n")
				return
			}
			f.echo(conn, channel, body)
		}
		c := client(t, "redis://"+testenv.ServeEach(t, f.serve))
		if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrUnreachable) || errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), passing) {
			t.Errorf("the first call: %v", err)
		}
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
			t.Errorf("after it has passed: %q, %v", got, err)
		}
	}
}

// TestProtectedMode checks that the reason with which Redis closes a new connection is
// reported.
func TestProtectedMode(t *testing.T) {
	const reason = "DENIED Redis is running in protected mode"
	addr := testenv.ServeEach(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "-"+reason+"\r\n")
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
	for _, url := range []string{"redis://" + addr, "redis://:" + secret + "@" + addr} {
		if _, err := micro.Call[string](t.Context(), client(t, url), echo, "x"); !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), reason) {
			t.Errorf("a call: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
		if err := s.Serve(ctx, Listen(url)); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("a server: %v", err)
		}
	}
}
