package micro

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"time"
)

// readyWord is the name in InheritEnv of the socket on which a supervisor asks whether this
// process receives messages. It cannot ask through a broker, where another process of the
// same service may reply, and where the request may wait in a long queue.
const readyWord = "ready"

const (
	readyWrite = 5 * time.Second        // limits the write of one reply
	readyRetry = 100 * time.Millisecond // delay after a failed Accept
)

// announceReady accepts connections on the supervisor's socket, if there is one, until stop
// is called. It sends the server's Health to each connection as a line of JSON when all
// listeners with a method Ready(context.Context) error, such as those of brokers, are ready.
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
				s.sendHealth(ctx, conn, listeners)
				continue
			}
			select { // the error may be temporary, such as too many open files
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

func (s *Server) sendHealth(ctx context.Context, conn net.Conn, listeners []Listener) {
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
	_, _ = conn.Write(append(line, '\n')) // fails if the supervisor has exited
}
