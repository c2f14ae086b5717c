package microrabbit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestUnconfirmedEvents checks that no event for which Emit returned nil is lost on the way to
// the broker: without its confirmation, Emit returns an error.
func TestUnconfirmedEvents(t *testing.T) {
	b := testenv.PrivateRabbitMQ(t)
	start(t, quietServer(), Listen(b.URL, "q"))
	c := dial(t, b.URL, "q")
	if err := c.Emit(t.Context(), noted, 1); err != nil {
		t.Fatal(err)
	}
	b.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Emit(ctx, noted, 1); !errors.Is(err, micro.ErrTimeout) {
		t.Errorf("at the deadline: %v", err)
	}
	var emits sync.WaitGroup
	for range 20 {
		emits.Go(func() {
			if err := c.Emit(t.Context(), noted, 1); !errors.Is(err, micro.ErrConnectionLost) && !errors.Is(err, micro.ErrUnreachable) {
				t.Error(err)
			}
		})
	}
	b.Kill()
	emits.Wait()
}
