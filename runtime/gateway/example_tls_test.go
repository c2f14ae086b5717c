package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/msctl/msctl/runtime/gateway"
)

// A gateway with a certificate, for clients with one.
func ExampleWithTLS() {
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)),
		gateway.WithTLS("/run/secrets/tls.crt", "/run/secrets/tls.key"),
		gateway.WithClientCertificates("/run/secrets/clients.crt"))

	err := gw.Serve(context.Background(), "127.0.0.1:0")
	fmt.Println("the files are missing:", errors.Is(err, fs.ErrNotExist))
	// Output:
	// the files are missing: true
}
