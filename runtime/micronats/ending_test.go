package micronats

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// endingBroker answers one request of each connection with what answer returns, and ends the
// connection right behind it. message makes a message for the request's inbox.
func endingBroker(t *testing.T, unread bool, answer func(message func(body string) string, id string) string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				endingConnection(conn, unread, answer)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	return "nats://" + listener.Addr().String()
}

func endingConnection(conn net.Conn, unread bool, answer func(message func(body string) string, id string) string) {
	const info = `INFO {"max_payload":1048576,"headers":true}` + "\r\n"
	fmt.Fprint(conn, info)
	in := bufio.NewReader(conn)
	var sid string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		switch words[0] {
		case "PING":
			fmt.Fprint(conn, "PONG\r\n")
		case "SUB":
			sid = words[2]
		case "HPUB":
			inbox := words[2]
			if !unread { // otherwise, the end of the connection is a reset
				var total int
				fmt.Sscan(words[4], &total)
				_, _ = io.CopyN(io.Discard, in, int64(total)+2)
			}
			message := func(body string) string {
				return fmt.Sprintf("MSG %s %s %d\r\n%s\r\n", inbox, sid, len(body), body)
			}
			fmt.Fprint(conn, answer(message, inbox[strings.LastIndexByte(inbox, '.')+1:]))
			return
		}
	}
}

// TestReplyBeforeEnd: everything that has arrived is delivered before the end of the connection
// fails what is pending.
func TestReplyBeforeEnd(t *testing.T) {
	const values = 1000
	reply := func(message func(string) string, id string) string {
		return message(`{"response":"done","isDisposed":true,"id":"` + id + `"}`)
	}
	stream := func(message func(string) string, id string, last string) string {
		var all strings.Builder
		for n := range values {
			all.WriteString(message(fmt.Sprintf(`{"response":%d,"id":"%s"}`, n, id)))
		}
		return all.String() + last
	}
	for _, tt := range []struct {
		name   string
		unread bool
		answer func(message func(string) string, id string) string
		values int
		err    error
	}{
		{"closed", false, reply, 1, nil},
		{"reset", true, reply, 1, nil},
		{"an error behind it", false, func(message func(string) string, id string) string {
			return reply(message, id) + "-ERR 'Server Shutdown'\r\n"
		}, 1, nil},
		{"nonsense behind it", false, func(message func(string) string, id string) string {
			return reply(message, id) + "NONSENSE\r\n"
		}, 1, nil},
		{"lame duck", false, func(message func(string) string, id string) string {
			return `INFO {"max_payload":1048576,"headers":true,"ldm":true}` + "\r\n" + reply(message, id)
		}, 1, nil},
		{"a stream", false, func(message func(string) string, id string) string {
			return stream(message, id, message(`{"response":"last","isDisposed":true,"id":"`+id+`"}`))
		}, values + 1, nil},
		{"a stream without its end", false, func(message func(string) string, id string) string {
			return stream(message, id, "")
		}, values, micro.ErrConnectionLost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := endingBroker(t, tt.unread, tt.answer)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 10 {
						c := micro.NewClient(Dial(url), micro.WithTimeout(soon))
						got := 0
						err := c.Do(t.Context(), &micro.Request{Pattern: echo, Data: []byte("1")}, micro.ReplyFunc(func(micro.Value) error { got++; return nil }))
						if got != tt.values || !errors.Is(err, tt.err) {
							t.Errorf("%d values, %v", got, err)
						}
						_ = c.Close()
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestReplyBeforeClose: Close delivers the replies that have arrived by then.
func TestReplyBeforeClose(t *testing.T) {
	b := testenv.NATS(t)
	worker := dialRaw(t, b.URL)
	for range 20 {
		c, conn := dial(t, b.URL)
		subject := "ending." + worker.newInbox()
		sub, err := worker.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		worker.flush(t)
		done := make(chan error, 1)
		go func() {
			_, err := micro.Call[int](t.Context(), c, micro.Name(subject), 1)
			done <- err
		}()
		msg, err := sub.NextMsg(soon)
		if err != nil {
			t.Fatal(err)
		}
		if err := msg.Respond([]byte(`{"response":1,"isDisposed":true}`)); err != nil {
			t.Fatal(err)
		}
		worker.flush(t) // the broker has it
		_ = conn.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		_ = sub.Unsubscribe()
	}
}
