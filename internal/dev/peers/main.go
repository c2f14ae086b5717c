// Command peers is the servers and clients of other libraries that `make bench` compares msctl with: grpc-go, connect-go, and the micro package
// of nats.go, each in its usual configuration. Package peerbench builds and starts it, with the flags of its own peers.
//
// It is a module of its own, which go.work does not list, so that no module of msctl requires these libraries.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/msctl/msctl/internal/dev/peers/items"
)

// options are the command-line flags.
type options struct {
	kind     string
	role     string
	addr     string
	row      string
	inFlight int
	warm     time.Duration
	length   time.Duration
}

// peer is one library.
type peer struct {
	// serve serves at an address, or at the URL of a broker, until ctx ends. It calls ready when the server is listening.
	serve func(ctx context.Context, addr string, ready func()) error
	// dial connects to it.
	dial func(ctx context.Context, addr string) (client, error)
}

// client calls a server. Its methods are safe for concurrent use.
type client interface {
	echo(ctx context.Context, in *items.Item) (*items.Item, error)
	list(ctx context.Context) (n int, err error)
	close()
}

func peers() map[string]peer {
	return map[string]peer{
		"grpc":           {serveGRPC, dialGRPC},
		"connect-json":   {serveConnect, dialConnectJSON},
		"connect-binary": {serveConnect, dialConnectBinary},
		"nats":           {serveNATS, dialNATS},
	}
}

func main() {
	var o options
	flag.StringVar(&o.kind, "kind", "", "`library`: grpc, connect-json, connect-binary, or nats")
	flag.StringVar(&o.role, "role", "", "run as the `server or client`")
	flag.String("transport", "", "ignored: each library has its own")
	flag.StringVar(&o.addr, "addr", "", "`host:port` of the role, or its broker's URL")
	flag.StringVar(&o.row, "row", "echo", "`cmd` of the client: echo or list")
	flag.IntVar(&o.inFlight, "in-flight", 64, "requests of the client in flight")
	flag.Int("rate", 0, "ignored: the client is a closed loop")
	flag.DurationVar(&o.warm, "warm", time.Second, "warm-up before the measurement of the client")
	flag.DurationVar(&o.length, "length", 3*time.Second, "length of the measurement of the client")
	flag.String("profile", "", "ignored")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	p, ok := peers()[o.kind]
	switch {
	case !ok:
		return fmt.Errorf("unknown -kind %q", o.kind)
	case o.role == "server":
		return p.serve(ctx, o.addr, func() { fmt.Println(`{"event":"listening"}`) })
	case o.role == "client":
		c, err := p.dial(ctx, o.addr)
		if err != nil {
			return err
		}
		defer c.close()
		return callInALoop(ctx, c, o)
	}
	return errors.New("-role must be server or client")
}

// all returns n items, as in package peerbench.
func all(n int) []*items.Item {
	list := make([]*items.Item, n)
	for i := range list {
		list[i] = &items.Item{
			Id: fmt.Sprintf("item-%04d", i), Name: "Stainless bottle", Description: "Keeps a drink cold for more than a full day",
			Price: 19.95, Quantity: 7, CreatedAt: "2026-01-31T10:00:00.000Z",
		}
	}
	return list
}

// listLength is the number of items in the large reply, about 20 KB as JSON.
const listLength = 120
