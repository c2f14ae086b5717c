package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/webhook"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // from the environment, in a program

// A webhook that becomes an event, and is sent twice.
func ExampleStandard() {
	type payment struct {
		Type string `json:"type"`
	}
	paymentChanged := micro.NewTopic[payment](micro.Name("payment.changed"))
	log := slog.New(slog.DiscardHandler)

	service := micro.NewServer(micro.WithLogger(log))
	handled := make(chan string, 1)
	paymentChanged.Handle(service, func(ctx context.Context, p payment) error {
		handled <- p.Type + " " + micro.RequestFromContext(ctx).Metadata.Get(micro.MetaMessageID)
		return nil
	})
	network := microtest.New() // outside of tests: microrabbit.Listen and microrabbit.Dial
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- service.Serve(ctx, network) }()

	payments, err := webhook.Standard(secret)
	if err != nil {
		fmt.Println(err)
	}
	gw := gateway.New("shop", gateway.WithLogger(log))
	gateway.Webhook(gw, "POST /webhooks/payments", network.Client(), paymentChanged, payments, gateway.WithTolerance(time.Minute))

	now := time.Now()
	for range 2 {
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, signed("msg_1", now, `{"type":"payment.succeeded"}`))
		fmt.Println(w.Code)
	}
	fmt.Println(<-handled)
	stop()
	fmt.Println(<-served)
	// Output:
	// 200
	// 401
	// payment.succeeded msg_1
	// <nil>
}

// signed is what the sender does.
func signed(id string, now time.Time, body string) *http.Request {
	library, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		panic(err)
	}
	signature, err := library.Sign(id, now, []byte(body))
	if err != nil {
		panic(err)
	}
	req := httptest.NewRequest("POST", "/webhooks/payments", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", signature)
	return req
}

// A webhook that becomes a request: the sender gets the reply.
func ExampleHMAC() {
	answer := micro.NewMethod[json.RawMessage, string](micro.Cmd("answer"))
	log := slog.New(slog.DiscardHandler)

	service := micro.NewServer(micro.WithLogger(log))
	answer.Handle(service, func(_ context.Context, body json.RawMessage) (string, error) { return "received " + string(body), nil })
	network := microtest.New()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- service.Serve(ctx, network) }()

	// The sender signs the time and the body, joined by a colon.
	partner, err := webhook.HMAC(webhook.HMACConfig{
		Name: "partner", Header: "X-Signature", Prefix: "v0=", TimestampHeader: "X-Timestamp", Signed: "v0:{timestamp}:{body}",
	}, "shared secret of two programs")
	if err != nil {
		fmt.Println(err)
	}
	gw := gateway.New("shop", gateway.WithLogger(log))
	gateway.WebhookRoute(gw, "POST /webhooks/partner", network.Client(), answer, partner)

	req := httptest.NewRequest("POST", "/webhooks/partner", strings.NewReader("{}"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Timestamp", "1531420618")
	req.Header.Set("X-Signature", "v0=0000")
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, req)
	fmt.Println(w.Code, w.Body)
	stop()
	fmt.Println(<-served)
	// Output:
	// 401 {"message":"Unauthorized","statusCode":401}
	// <nil>
}
