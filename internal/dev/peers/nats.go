package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/msctl/msctl/internal/dev/peers/items"
)

// item is the data as JSON, as in package peerbench.
type item struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Price       float64 `json:"price"`
	Quantity    int     `json:"quantity"`
	CreatedAt   string  `json:"createdAt"`
}

func itemOf(in *items.Item) item {
	return item{in.GetId(), in.GetName(), in.GetDescription(), in.GetPrice(), int(in.GetQuantity()), in.GetCreatedAt()}
}

// packet is NestJS's packet around the data, which the generator of peerbench sends.
type packet[T any] struct {
	Data T      `json:"data"`
	ID   string `json:"id"`
}

// answer is NestJS's packet around a reply.
type answer struct {
	Response   any    `json:"response"`
	IsDisposed bool   `json:"isDisposed"`
	ID         string `json:"id"`
}

// serveNATS serves the client's subjects, echo and list, whose messages are the data alone, and the generator's, with NestJS's packets.
func serveNATS(ctx context.Context, url string, ready func()) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer nc.Close()
	service, err := micro.AddService(nc, micro.Config{Name: "bench", Version: "1.0.0"})
	if err != nil {
		return err
	}
	list := make([]item, 0, listLength)
	for _, one := range all(listLength) {
		list = append(list, itemOf(one))
	}
	for _, endpoint := range []struct {
		name, subject string
		handle        func(micro.Request) error
	}{
		{"echo", "echo", func(r micro.Request) error {
			var in item
			if err := json.Unmarshal(r.Data(), &in); err != nil {
				return err
			}
			return r.RespondJSON(in)
		}},
		{"list", "list", func(r micro.Request) error { return r.RespondJSON(list) }},
		{"nest-echo", `{"cmd":"echo"}`, func(r micro.Request) error {
			var in packet[item]
			if err := json.Unmarshal(r.Data(), &in); err != nil {
				return err
			}
			return r.RespondJSON(answer{in.Data, true, in.ID})
		}},
		{"nest-list", `{"cmd":"list"}`, func(r micro.Request) error {
			var in packet[struct{}]
			if err := json.Unmarshal(r.Data(), &in); err != nil {
				return err
			}
			return r.RespondJSON(answer{list, true, in.ID})
		}},
	} {
		handler := micro.HandlerFunc(func(r micro.Request) {
			if err := endpoint.handle(r); err != nil {
				_ = r.Error("500", err.Error(), nil) // the client has gone
			}
		})
		if err := service.AddEndpoint(endpoint.name, handler, micro.WithEndpointSubject(endpoint.subject)); err != nil {
			return err
		}
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	ready()
	<-ctx.Done()
	return service.Stop()
}

type natsClient struct{ conn *nats.Conn }

func dialNATS(_ context.Context, url string) (client, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return natsClient{nc}, nil
}

// request sends data and decodes the reply.
func request(ctx context.Context, nc *nats.Conn, subject string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	reply, err := nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return err
	}
	if text := reply.Header.Get(micro.ErrorHeader); text != "" {
		return fmt.Errorf("the service failed: %s", text)
	}
	return json.Unmarshal(reply.Data, out)
}

func (c natsClient) echo(ctx context.Context, in *items.Item) (*items.Item, error) {
	var out item
	if err := request(ctx, c.conn, "echo", itemOf(in), &out); err != nil {
		return nil, err
	}
	return in, nil
}

func (c natsClient) list(ctx context.Context) (int, error) {
	var out []item
	err := request(ctx, c.conn, "list", struct{}{}, &out)
	return len(out), err
}

func (c natsClient) close() { c.conn.Close() }
