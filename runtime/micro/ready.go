package micro

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"time"
)

// readyWord is the word of InheritEnv for the socket on which a supervisor asks
// whether this very process gets messages. Through a broker it could not ask:
// any process of the same name may answer there, and a long queue may be in
// front of the question.
const readyWord = "ready"

const (
	readyWrite = 5 * time.Second        // bounds the writing of one answer
	readyRetry = 100 * time.Millisecond // after a connection that could not be accepted
)

// announceReady answers on the supervisor's socket, if there is one, until the
// returned function is called: each connection gets the server's Health as a
// line of JSON once all listeners that have a method Ready(context.Context)
// error, as those of brokers do, are ready.
func (s *Server) announceReady(ctx context.Context, listeners []Listener) (stop func(), err error) {
	socket, err := InheritedListener(readyWord)
	if socket == nil || err != nil {
		return func() {}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var answering sync.WaitGroup
	answering.Go(func() {
		for ctx.Err() == nil {
			conn, err := socket.Accept()
			if err == nil {
				s.tellReady(ctx, conn, listeners)
				continue
			}
			select { // too many open files, perhaps, which will pass
			case <-time.After(readyRetry):
			case <-ctx.Done():
			}
		}
	})
	return func() {
		cancel()
		_ = socket.Close()
		answering.Wait()
	}, nil
}

func (s *Server) tellReady(ctx context.Context, conn net.Conn, listeners []Listener) {
	defer conn.Close()
	for _, l := range listeners {
		if l, ok := l.(interface{ Ready(context.Context) error }); ok && l.Ready(ctx) != nil {
			return
		}
	}
	health, err := s.health(ctx, None{})
	if err != nil {
		return
	}
	line, err := json.Marshal(health)
	if err != nil {
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(readyWrite))
	_, _ = conn.Write(append(line, '\n')) // fails if the supervisor has gone
}
