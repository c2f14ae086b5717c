package micronats

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestEmptyReply: an empty message is a reply unless it is the broker's own report, so the
// work of a responder that acknowledges with an empty message is not repeated.
func TestEmptyReply(t *testing.T) {
	b := testenv.NATS(t)
	worker := dialRaw(t, b.URL)
	for _, tt := range []struct {
		name   string
		header nats.Header
		want   string
	}{
		{"without headers", nil, "it is empty"},
		{"with a header", nats.Header{"Worker": {"3"}}, "it is empty"},
		{"with another status", nats.Header{"Status": {"200"}}, "it is empty"},
		{"with the error of a NATS service", nats.Header{"Nats-Service-Error-Code": {"409"}, "Nats-Service-Error": {"crane is busy"}}, `409: "crane is busy"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls atomic.Int32
			subject := nats.NewInbox()
			sub, err := worker.Subscribe(subject, func(m *nats.Msg) {
				calls.Add(1)
				_ = m.RespondMsg(&nats.Msg{Header: tt.header})
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sub.Unsubscribe() }()
			worker.flush(t)
			c := micro.NewClient(Dial(b.URL), policy.Recommended(), micro.WithTimeout(soon))
			defer c.Close()
			req := &micro.Request{Pattern: micro.Name(subject)}
			var strays atomic.Int32
			req.Trace = &micro.Trace{Stray: func(time.Time, []byte, string) { strays.Add(1) }}
			err = c.Do(t.Context(), req, micro.ReplyFunc(func(micro.Value) error { return nil }))
			if !errors.Is(err, micro.ErrBadReply) || errors.Is(err, micro.ErrUnreachable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, which does not contain %q", err, tt.want)
			}
			if calls.Load() != 1 || strays.Load() != 1 {
				t.Errorf("the work ran %d times, and %d replies were shown", calls.Load(), strays.Load())
			}
		})
	}
	c := client(t, b.URL)
	if _, err := micro.Call[int](context.Background(), c, micro.Name("without.subscriber"), 1); !errors.Is(err, micro.ErrNotServed) {
		t.Errorf("without a subscriber: %v", err)
	}
}
