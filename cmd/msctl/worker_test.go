package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
)

// rawWorker starts a program that is not NestJS: it sends the same replies to each request that arrives at a subject of
// NATS, a channel of Redis, or a queue of RabbitMQ, byte for byte. In a reply, $ID is the id of the request. A reply to a
// request from RabbitMQ that begins with - has no correlation ID. It is stopped when the test ends.
func rawWorker(tb testing.TB, url, place string, replies ...string) {
	tb.Helper()
	start := map[string]func(tb testing.TB, url, place string, replies []string) error{
		"nats": natsWorker, "redis": redisWorker, "amqp": rabbitWorker,
	}
	scheme, _, _ := strings.Cut(url, ":")
	if err := start[scheme](tb, url, place, replies); err != nil {
		tb.Fatalf("start a worker at %s: %v", place, err)
	}
}

// requestID matches the id in the packet of a request.
var requestID = regexp.MustCompile(`"id":"([0-9a-f]+)"`)

// fill returns a reply to the request.
func fill(reply string, request []byte) []byte {
	id := []byte(nil)
	if found := requestID.FindSubmatch(request); found != nil {
		id = found[1]
	}
	return bytes.ReplaceAll([]byte(reply), []byte("$ID"), id)
}

func natsWorker(tb testing.TB, url, place string, replies []string) error {
	tb.Helper()
	var opts []nats.Option
	url, path, found := strings.Cut(url, "?nkey=")
	if found {
		key, err := nats.NkeyOptionFromSeed(path)
		if err != nil {
			return err
		}
		opts = append(opts, key)
	}
	if url, path, found = strings.Cut(url, "?creds="); found {
		opts = append(opts, nats.UserCredentials(path))
	}
	conn, err := nats.Connect(url, opts...)
	if err != nil {
		return err
	}
	tb.Cleanup(conn.Close)
	if _, err := conn.Subscribe(place, func(m *nats.Msg) {
		for _, reply := range replies {
			_ = m.Respond(fill(reply, m.Data)) // the caller of a failed one times out
		}
	}); err != nil {
		return err
	}
	return conn.Flush()
}

func redisWorker(tb testing.TB, url, place string, replies []string) error {
	tb.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	sub := client.Subscribe(context.Background(), place)
	if _, err := sub.Receive(context.Background()); err != nil {
		return err
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for m := range sub.Channel() {
			for _, reply := range replies {
				client.Publish(context.Background(), place+".reply", fill(reply, []byte(m.Payload)))
			}
		}
	})
	tb.Cleanup(func() {
		_ = sub.Close()
		wait.Wait()
		_ = client.Close()
	})
	return nil
}

func rabbitWorker(tb testing.TB, url, place string, replies []string) error {
	tb.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		return err
	}
	var wait sync.WaitGroup
	tb.Cleanup(func() {
		_ = conn.Close()
		wait.Wait()
	})
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if _, err := ch.QueueDeclare(place, false, true, false, false, nil); err != nil {
		return err
	}
	requests, err := ch.Consume(place, "", true, false, false, false, nil)
	if err != nil {
		return err
	}
	wait.Go(func() {
		for request := range requests {
			for _, reply := range replies {
				message := amqp.Publishing{CorrelationId: request.CorrelationId}
				body, uncorrelated := strings.CutPrefix(reply, "-")
				if message.Body = fill(body, request.Body); uncorrelated {
					message.CorrelationId = ""
				}
				_ = ch.Publish("", request.ReplyTo, false, false, message) // the caller of a failed one times out
			}
		}
	})
	return nil
}

// rawPeer starts a program that sends the same bytes to each connection: each time that something has arrived or, with
// greets, once at the beginning. In the bytes, $ID is the id of the request. With closes, it then closes the connection. It returns the
// address, and is stopped when the test ends. If the bytes begin with #, they are sent as one frame, without the #; they
// must be ASCII then.
func rawPeer(tb testing.TB, sends string, greets, closes bool) (addr string) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &tcpPeer{sends: sends, greets: greets, closes: closes, ended: make(chan struct{})}
	p.wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.wait.Go(func() { p.serve(conn) })
		}
	})
	tb.Cleanup(func() {
		close(p.ended)
		_ = listener.Close()
		p.wait.Wait()
	})
	return listener.Addr().String()
}

type tcpPeer struct {
	sends          string
	greets, closes bool
	ended          chan struct{}
	wait           sync.WaitGroup
}

func (p *tcpPeer) serve(conn net.Conn) {
	defer conn.Close()
	over := make(chan struct{})
	defer close(over)
	p.wait.Go(func() {
		select {
		case <-p.ended:
			_ = conn.Close()
		case <-over:
		}
	})
	if p.greets {
		_, _ = conn.Write([]byte(p.sends)) // if it fails, so does the next read
	}
	request := make([]byte, 64<<10)
	for {
		n, err := conn.Read(request)
		if err != nil {
			return
		}
		if p.greets {
			continue
		}
		sent := fill(p.sends, request[:n])
		if body, framed := bytes.CutPrefix(sent, []byte("#")); framed {
			sent = fmt.Appendf(nil, "%d#%s", len(body), body)
		}
		if _, err := conn.Write(sent); err != nil || p.closes {
			return
		}
	}
}
