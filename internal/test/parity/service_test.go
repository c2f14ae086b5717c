package parity_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// message is what a service received.
type message struct{ Cmd, Data string }

// replyFunc returns the reply to a message.
type replyFunc func(ctx context.Context, data json.RawMessage) (json.RawMessage, error)

// service is an instance of the service behind a gateway. Its replies depend only on the messages.
type service struct {
	addr string

	mu       sync.Mutex // guards received
	received []message
}

const allItems = `[{"id":"1","name":"Cup","price":9.99,"tags":["kitchen"]},{"id":"2","name":"Bowl","price":12,"tags":[]}]`

func startService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	server := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	handle := func(cmd string, reply replyFunc) {
		micro.Handle(server, micro.Cmd(cmd), func(ctx context.Context, data json.RawMessage) (json.RawMessage, error) {
			s.record(cmd, data)
			return reply(ctx, data)
		})
	}
	echo := func(_ context.Context, data json.RawMessage) (json.RawMessage, error) { return data, nil }
	for _, cmd := range []string{"createItem", "updateItem", "deleteItem", "search", "echo"} {
		handle(cmd, echo)
	}
	handle("findAllItems", func(context.Context, json.RawMessage) (json.RawMessage, error) { return json.RawMessage(allItems), nil })
	handle("findOneItem", func(_ context.Context, data json.RawMessage) (json.RawMessage, error) {
		var in struct{ ID string }
		if err := json.Unmarshal(data, &in); err != nil {
			return nil, err
		}
		if in.ID == "404" {
			return nil, micro.Errorf(404, "Item with ID %s not found", in.ID)
		}
		return data, nil
	})
	handle("fail", func(_ context.Context, data json.RawMessage) (json.RawMessage, error) {
		return nil, micro.NewError(data)
	})
	over := make(chan struct{})
	handle("slow", func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
		select {
		case <-ctx.Done():
		case <-over:
		}
		return nil, micro.Errorf(504, "too late")
	})
	s.handleLists(server, handle)
	l := microtcp.Listen("127.0.0.1:0")
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		close(over)
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	addr, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.addr = addr.String()
	return s
}

func (s *service) record(cmd string, data json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, message{cmd, string(data)})
}

// take returns the messages since the last call.
func (s *service) take() []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.received
	s.received = nil
	return all
}
