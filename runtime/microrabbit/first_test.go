package microrabbit

import (
	"context"
	"testing"

	"github.com/msctl/msctl/internal/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

func TestFirst(t *testing.T) {
	b := testenv.RabbitMQ(t)
	q := testenv.Unique(t, "first")
	s := quietServer()
	seen := make(chan string, 1)
	micro.HandleEvent(s, noted, func(ctx context.Context, in string) error {
		seen <- in + DeliveryFromContext(ctx).MessageID
		return nil
	})
	start(t, s, Listen(b.URL, q))
	c := dial(t, b.URL, q)
	got, err := micro.Call[string](t.Context(), c, echo, "hello")
	if err != nil || got != "hello" {
		t.Fatal(got, err)
	}
	if err := c.Emit(t.Context(), noted, "x"); err != nil {
		t.Fatal(err)
	}
	t.Log(<-seen)
}
