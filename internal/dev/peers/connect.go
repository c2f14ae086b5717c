package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/msctl/msctl/internal/dev/peers/items"
)

// overHTTP2 is the protocol of connect-go's servers and clients without TLS.
func overHTTP2() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

func serveConnect(ctx context.Context, addr string, ready func()) error {
	large := &items.Items{Items: all(listLength)}
	mux := http.NewServeMux()
	mux.Handle(echoMethod, connect.NewUnaryHandler(echoMethod, func(_ context.Context, in *connect.Request[items.Item]) (*connect.Response[items.Item], error) {
		return connect.NewResponse(in.Msg), nil
	}))
	mux.Handle(listMethod, connect.NewUnaryHandler(listMethod, func(context.Context, *connect.Request[items.Nothing]) (*connect.Response[items.Items], error) {
		return connect.NewResponse(large), nil
	}))
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s := &http.Server{Handler: mux, Protocols: overHTTP2(), ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	ready()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type connectClient struct {
	transport *http.Transport
	echoes    *connect.Client[items.Item, items.Item]
	lists     *connect.Client[items.Nothing, items.Items]
}

func dialConnectJSON(_ context.Context, addr string) (client, error) {
	return dialConnect(addr, connect.WithProtoJSON()), nil
}

func dialConnectBinary(_ context.Context, addr string) (client, error) { return dialConnect(addr), nil }

func dialConnect(addr string, opts ...connect.ClientOption) client {
	t := &http.Transport{Protocols: overHTTP2()}
	c := &http.Client{Transport: t}
	return connectClient{
		t,
		connect.NewClient[items.Item, items.Item](c, "http://"+addr+echoMethod, opts...),
		connect.NewClient[items.Nothing, items.Items](c, "http://"+addr+listMethod, opts...),
	}
}

func (c connectClient) echo(ctx context.Context, in *items.Item) (*items.Item, error) {
	out, err := c.echoes.CallUnary(ctx, connect.NewRequest(in))
	if err != nil {
		return nil, err
	}
	return out.Msg, nil
}

func (c connectClient) list(ctx context.Context) (int, error) {
	out, err := c.lists.CallUnary(ctx, connect.NewRequest(new(items.Nothing)))
	if err != nil {
		return 0, err
	}
	return len(out.Msg.GetItems()), nil
}

func (c connectClient) close() { c.transport.CloseIdleConnections() }
