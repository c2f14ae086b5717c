package micro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	if awaitListeners(ctx, listeners) != nil {
		return
	}
	line, err := json.Marshal(s.Health(ctx))
	if err != nil {
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(readyWrite))
	_, _ = conn.Write(append(line, '\n')) // fails if the supervisor has exited
}

// awaitListeners returns nil when all listeners that can tell are ready.
func awaitListeners(ctx context.Context, listeners []Listener) error {
	for _, l := range listeners {
		if l, ok := l.(interface{ Ready(context.Context) error }); ok {
			if err := l.Ready(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Ready returns nil if the server receives messages and is healthy: Serve has been called
// and its context has not ended, each listener with a method Ready(context.Context) error is
// ready, and every health check passes. It waits for listeners until ctx ends.
func (s *Server) Ready(ctx context.Context) error {
	s.mu.Lock()
	accepting, listeners := s.accepting, s.listeners
	s.mu.Unlock()
	switch {
	case accepting == nil:
		return errors.New("the server has not been started")
	case accepting.Err() != nil:
		return errors.New("the server is stopping")
	}
	if err := awaitListeners(ctx, listeners); err != nil {
		return fmt.Errorf("a listener is not ready: %w", err)
	}
	h := s.Health(ctx)
	for _, c := range s.checks {
		if result := h.Checks[c.name]; result != "ok" {
			return fmt.Errorf("check %s: %s", c.name, result)
		}
	}
	return nil
}
