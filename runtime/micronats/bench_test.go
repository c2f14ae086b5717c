package micronats

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

type item struct {
	ID    int      `json:"id"`
	Name  string   `json:"name"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags"`
	Stock int      `json:"stock"`
}

const itemJSON = `{"id":123,"name":"Mechanical keyboard","price":89.9,"tags":["office","input","wired"],"stock":42}`

// BenchmarkServer measures our server and the load that a raw connection makes, in
// one process: each answer sends the next request.
func BenchmarkServer(b *testing.B) {
	for _, inFlight := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("inFlight=%d", inFlight), func(b *testing.B) {
			broker := testenv.NATS(b)
			s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
			micro.Handle(s, echo, func(_ context.Context, in item) (item, error) { return in, nil })
			start(b, s, broker.URL)
			nc, err := nats.Connect(broker.URL)
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			inbox := nats.NewInbox() + "."
			var left atomic.Int64
			var open sync.WaitGroup
			send := func(id string) {
				_ = nc.PublishRequest(echo.Route(), inbox+id, []byte(`{"pattern":{"cmd":"echo"},"data":`+itemJSON+`,"id":"`+id+`"}`))
			}
			if _, err := nc.Subscribe(inbox+"*", func(msg *nats.Msg) {
				if left.Add(-1) < 0 {
					open.Done()
					return
				}
				send(strings.TrimPrefix(msg.Subject, inbox))
			}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			left.Store(int64(max(b.N-inFlight, 0)))
			open.Add(inFlight)
			for i := range inFlight {
				send(fmt.Sprint(i))
			}
			open.Wait()
		})
	}
}

// BenchmarkCall measures a call from end to end, client and server in one process.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			broker := testenv.NATS(b)
			s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
			micro.Handle(s, echo, func(_ context.Context, in item) (item, error) { return in, nil })
			start(b, s, broker.URL)
			c := client(b, broker.URL)
			b.ReportAllocs()
			b.ResetTimer()
			var all sync.WaitGroup
			var left atomic.Int64
			left.Store(int64(b.N))
			for range callers {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := micro.Call[item](context.Background(), c, echo, item{ID: 1, Name: "Keyboard"}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}
