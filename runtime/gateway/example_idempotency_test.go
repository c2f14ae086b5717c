package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

// A payment that a client sends twice, because it has not received the first response, and then
// another one with the same key.
func ExampleWithIdempotency() {
	type payment struct {
		Amount int `json:"amount"`
	}
	pay := micro.NewMethod[payment, string](micro.Cmd("pay"))
	log := slog.New(slog.DiscardHandler)

	service := micro.NewServer(micro.WithLogger(log))
	payments := 0
	pay.Handle(service, func(_ context.Context, p payment) (string, error) {
		payments++
		return fmt.Sprintf("payment %d of %d", payments, p.Amount), nil
	})
	network := microtest.New() // outside of tests: microtcp.Listen and microtcp.Dial
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- service.Serve(ctx, network) }()

	gw := gateway.New("shop", gateway.WithLogger(log), gateway.WithPublic(), gateway.WithIdempotency(gateway.Idempotency{TTL: time.Hour}))
	gateway.Route(gw, "POST /payments", network.Client(), pay)

	for _, body := range []string{`{"amount":990}`, `{"amount":990}`, `{"amount":10}`} {
		req := httptest.NewRequest("POST", "/payments", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "8e03978e-40d5-43e8-bc93-6894a57f9324")
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, req)
		fmt.Println(w.Code, w.Body)
	}
	stop()
	fmt.Println(<-served)
	// Output:
	// 201 "payment 1 of 990"
	// 201 "payment 1 of 990"
	// 422 {"message":"The Idempotency-Key was used for another request","error":"Unprocessable Entity","statusCode":422}
	// <nil>
}
