package microtest

import (
	"context"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
)

// Serve runs s until the test ends and returns a client of it. When the test
// ends the client is closed and the server drained; an error of its Serve fails
// the test.
func Serve(t testing.TB, s *micro.Server, opts ...micro.ClientOption) *micro.Client {
	t.Helper()
	n := New()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, n) }()
	client := n.Client(opts...)
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		_ = client.Close() // closing a client in memory cannot fail
	})
	return client
}
