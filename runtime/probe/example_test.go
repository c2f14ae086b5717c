package probe_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/probe"
)

// A service with a private port, which a container engine asks by running the program with the
// argument "health".
func ExampleListen() {
	ctx := context.Background()
	server := micro.NewServer()
	port, err := probe.Listen(ctx, ":0", // ":9464" outside of tests
		probe.WithReady(server),
		probe.WithLogger(slog.New(slog.DiscardHandler)),
		probe.WithHandler("GET /version", http.NotFoundHandler()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer port.Close()
	// err = server.Serve(ctx, microtcp.Listen(":3002"))

	address, err := port.Addr(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(probe.Check(ctx, address.String()))
	// Output: not ready: the server has not been started
}
