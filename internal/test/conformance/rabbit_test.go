package conformance_test

import (
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/conformance"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
)

// TestRabbitMQ runs the suite with servers that receive messages without acknowledgments, like NestJS's, and with servers
// that acknowledge them.
func TestRabbitMQ(t *testing.T) {
	broker := testenv.RabbitMQ(t)
	run := func(name string, redelivers bool, opts ...microrabbit.ListenOption) {
		t.Run(name, func(t *testing.T) {
			conformance.Run(t, conformance.Transport{
				Open: func(tb testing.TB) conformance.Link {
					tb.Helper()
					return rabbitLink{broker.URL, testenv.Unique(tb, "conformance"), opts}
				},
				Facts: conformance.Facts{Unserved: micro.ErrNotServed, UnservedAtOnce: true, Replicas: conformance.Shared, Redelivers: redelivers},
			})
		})
	}
	run("no acknowledgments", false)
	run("acknowledged", true, microrabbit.WithAck(microrabbit.AckAfterHandling), microrabbit.WithPrefetch(100, false),
		microrabbit.WithRedelivery(microrabbit.Redelivery{Attempts: 5, Delay: 10 * time.Millisecond}))
}

// rabbitLink is a queue.
type rabbitLink struct {
	url, queue string
	opts       []microrabbit.ListenOption
}

func (l rabbitLink) Listen() conformance.Listener {
	return microrabbit.Listen(l.url, l.queue, l.opts...)
}

func (l rabbitLink) Client(opts ...micro.ClientOption) *micro.Client {
	return micro.NewClient(microrabbit.Dial(l.url, l.queue), opts...)
}
