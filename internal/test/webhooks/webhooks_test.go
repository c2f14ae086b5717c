// Package webhooks tests gateways on a real RabbitMQ and a real Redis: an event is on the queue
// before its webhook is accepted, and requests that are repeated send one message.
package webhooks

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/webhook"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis/redisstore"
	"github.com/msctl/msctl/runtime/microtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longEnough is a timeout that a busy machine does not exceed.
const longEnough = time.Minute

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

type payment struct {
	ID string `json:"id"`
}

var (
	paid = micro.NewTopic[payment](micro.Name("payment.succeeded"))
	pay  = micro.NewMethod[payment, int64](micro.Cmd("pay"))
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serve serves a gateway with a webhook and a route, whose messages client sends.
func serve(t *testing.T, client *micro.Client, opts ...gateway.Option) *httptest.Server {
	t.Helper()
	verifier, err := webhook.Standard(secret)
	if err != nil {
		t.Fatal(err)
	}
	gw := gateway.New("shop", append([]gateway.Option{
		gateway.WithLogger(quiet()), gateway.WithPublic(), gateway.WithTimeout(longEnough), gateway.WithIdempotency(gateway.Idempotency{}),
	}, opts...)...)
	gateway.Webhook(gw, "POST /webhooks/payments", client, paid, verifier)
	gateway.Route(gw, "POST /payments", client, pay)
	server := httptest.NewServer(gw.Handler())
	t.Cleanup(server.Close)
	return server
}

// request is a POST request.
type request struct {
	path, body string
	header     http.Header
}

// signed returns a webhook that the official library has signed.
func signed(t *testing.T, id string) request {
	t.Helper()
	library, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	body := `{"id":"of ` + id + `"}`
	signature, err := library.Sign(id, now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	header.Set(standardwebhooks.HeaderWebhookID, id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return request{"/webhooks/payments", body, header}
}

// to sends the request and returns the status and the body of the response, or 0.
func (r request) to(t *testing.T, server *httptest.Server) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+r.path, strings.NewReader(r.body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header = r.header.Clone()
	req.Header.Set("Content-Type", "application/json")
	res, err := server.Client().Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// TestBrokerKilled checks that RabbitMQ has the event when its webhook is accepted, and that the
// webhook is not accepted if RabbitMQ dies before it has confirmed the event.
func TestBrokerKilled(t *testing.T) {
	broker := testenv.PrivateRabbitMQ(t)
	queue := testenv.Unique(t, "payments")
	sending := make(chan struct{}, 100)
	client := micro.NewClient(microrabbit.Dial(broker.URL, queue, microrabbit.WithPersistent(), microrabbit.WithDeclare()), micro.WithLogger(quiet()),
		micro.WithInterceptors(func(next micro.Handler) micro.Handler {
			return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
				sending <- struct{}{}
				return next(ctx, req, reply)
			}
		}))
	t.Cleanup(func() { _ = client.Close() })
	server := serve(t, client)

	first := signed(t, "msg_1")
	if status, body := first.to(t, server); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	broker.Kill() // at once: whatever is not on its disk is lost
	if status, body := signed(t, "msg_2").to(t, server); status != 503 {
		t.Errorf("without the broker: %d %s", status, body)
	}
	broker.Start()
	if status, body := first.to(t, server); status != 401 {
		t.Errorf("replayed: %d %s", status, body)
	}
	accepted := func(r request) func() bool {
		return func() bool { status, _ := r.to(t, server); return status == 200 }
	}
	testenv.Eventually(t, longEnough, "a webhook is accepted after the restart", accepted(signed(t, "msg_3")))

	for len(sending) > 0 {
		<-sending
	}
	between := signed(t, "msg_4")
	broker.Pause() // it takes the event, and does not confirm it
	response := make(chan int, 1)
	go func() {
		status, _ := between.to(t, server)
		response <- status
	}()
	<-sending
	broker.Kill()
	if status := <-response; status != 503 {
		t.Errorf("killed before the confirmation: %d", status)
	}
	broker.Start()
	testenv.Eventually(t, longEnough, "the same webhook is accepted", accepted(between))
	if status, body := between.to(t, server); status != 401 {
		t.Errorf("replayed: %d %s", status, body)
	}
	counts := map[string]int{}
	received := consume(t, broker.URL, queue)
	for len(counts) < 3 {
		select {
		case event := <-received:
			counts[event]++
		case <-time.After(longEnough):
			t.Fatalf("events %v", counts)
		}
	}
	for _, id := range []string{"msg_1", "msg_3", "msg_4"} {
		if want := "of " + id + " " + id; counts[want] == 0 {
			t.Errorf("events %v, want %q", counts, want)
		}
	}
}

// consume returns the payment and the message ID of each event in a queue.
func consume(t *testing.T, url, queue string) <-chan string {
	t.Helper()
	received := make(chan string, 100)
	s := micro.NewServer(micro.WithLogger(quiet()))
	paid.Handle(s, func(ctx context.Context, p payment) error {
		received <- p.ID + " " + microrabbit.DeliveryFromContext(ctx).MessageID
		return nil
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, microrabbit.Listen(url, queue)) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return received
}

// shared returns two gateways on one Redis, and the number of messages that they have sent.
func shared(t *testing.T, redis *testenv.Broker, timeout time.Duration) ([2]*httptest.Server, *atomic.Int64) {
	t.Helper()
	var messages atomic.Int64
	s := micro.NewServer(micro.WithLogger(quiet()))
	pay.Handle(s, func(context.Context, payment) (int64, error) { return messages.Add(1), nil })
	paid.Handle(s, func(context.Context, payment) error { messages.Add(1); return nil })
	client := microtest.Serve(t, s)
	prefix := testenv.Unique(t, "webhooks") + ":"
	var pair [2]*httptest.Server
	for i := range pair {
		store, err := redisstore.Open(redis.URL, redisstore.WithPrefix(prefix), redisstore.WithTimeout(timeout), redisstore.WithDialTimeout(timeout), redisstore.WithLogger(quiet()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		pair[i] = serve(t, client, gateway.WithStore(store))
	}
	return pair, &messages
}

// TestDuplicates sends a webhook and a request with a key many times at once, to two gateways with
// one Redis.
func TestDuplicates(t *testing.T) {
	for _, c := range []struct {
		name    string
		request request
		copies  int
		// The statuses of the first copy, and of those that are sent while it is being handled
		// and afterwards.
		status, meanwhile, afterwards int
	}{
		{"webhook", signed(t, "msg_1"), 1000, 200, 409, 401},
		{"key", request{"/payments", `{"id":"p_1"}`, http.Header{"Idempotency-Key": {"8e03978e"}}}, 100, 201, 409, 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			gateways, messages := shared(t, testenv.Redis(t), longEnough)
			type response struct {
				status int
				body   string
			}
			responses := make(chan response, c.copies)
			workers := make(chan struct{}, 50) // connections at once
			for i := range c.copies {
				go func() {
					workers <- struct{}{}
					status, body := c.request.to(t, gateways[i%2])
					<-workers
					responses <- response{status, body}
				}()
			}
			counts := map[response]int{}
			for range c.copies {
				r := <-responses
				if r.status >= 400 {
					r.body = ""
				}
				counts[r]++
			}
			delete(counts, response{c.meanwhile, ""})
			delete(counts, response{c.afterwards, ""})
			testenv.Eventually(t, longEnough, "the message is handled", func() bool { return messages.Load() > 0 })
			if len(counts) != 1 || messages.Load() != 1 {
				t.Errorf("responses %v; %d messages", counts, messages.Load())
			}
			for r, n := range counts {
				if r.status != c.status || c.afterwards != c.status && n != 1 {
					t.Errorf("%d × %+v", n, r)
				}
			}
			if status, body := c.request.to(t, gateways[0]); status != c.afterwards || messages.Load() != 1 {
				t.Errorf("afterwards: %d %s; %d messages", status, body, messages.Load())
			}
		})
	}
}

// TestStoreKilled checks that nothing is sent that could not be recognized later, and that the
// gateways recover by themselves.
func TestStoreKilled(t *testing.T) {
	redis := testenv.PrivateRedis(t)
	gateways, messages := shared(t, redis, time.Second)
	redis.Kill()
	hook := signed(t, "msg_1")
	keyed := request{"/payments", `{"id":"p_1"}`, http.Header{"Idempotency-Key": {"8e03978e"}}}
	for _, r := range []request{hook, keyed} {
		if status, body := r.to(t, gateways[0]); status != 503 || messages.Load() != 0 {
			t.Errorf("%s without Redis: %d %s; %d messages", r.path, status, body, messages.Load())
		}
	}
	if status, body := (request{"/payments", `{"id":"p_1"}`, http.Header{}}).to(t, gateways[0]); status != 201 {
		t.Errorf("without Redis and a key: %d %s", status, body)
	}
	redis.Start()
	testenv.Eventually(t, longEnough, "the webhook is accepted", func() bool { status, _ := hook.to(t, gateways[0]); return status == 200 })
	testenv.Eventually(t, longEnough, "the request is handled", func() bool { status, _ := keyed.to(t, gateways[0]); return status == 201 })
	testenv.Eventually(t, longEnough, "the event is handled", func() bool { return messages.Load() == 3 })
	// The other gateway notices that Redis is back by itself, too.
	testenv.Eventually(t, longEnough, "the replay is rejected", func() bool { status, _ := hook.to(t, gateways[1]); return status == 401 })
	testenv.Eventually(t, longEnough, "the response is sent again", func() bool { status, _ := keyed.to(t, gateways[1]); return status == 201 })
	if messages.Load() != 3 {
		t.Errorf("%d messages", messages.Load())
	}
}
