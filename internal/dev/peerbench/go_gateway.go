package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// newOrder is the DTO of POST /orders, with the rules of CreateItemDto in testdata/nest/gateway/dto.ts.
type newOrder struct {
	Name  string   `json:"name" minLength:"1" maxLength:"120"`
	Price float64  `json:"price" minimum:"0"`
	Tags  []string `json:"tags,omitempty" maxItems:"20" minLength:"1"`
}

// serveGateway runs the Go gateway: it does what the route POST /orders of testdata/nest/gateway does, in front of the service at
// o.behind. It prints the same line when it is listening.
func serveGateway(ctx context.Context, o options) error {
	verify, err := auth.NewTokens(auth.TokenConfig{Issuer: tokenIssuer, Audience: tokenAudience, Secrets: [][]byte{[]byte(tokenSecret)}})
	if err != nil {
		return err
	}
	client := micro.NewClient(microtcp.Dial(o.behind))
	defer client.Close()
	gw := gateway.New("Shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithAuthentication(verify), gateway.WithDrain(time.Millisecond, time.Second))
	gateway.Route(gw, "POST /orders", client, micro.NewMethod[newOrder, json.RawMessage](micro.Cmd("createItem")),
		gateway.WithRateLimit(gateway.Rate{Limit: rateLimit, Period: time.Minute}))
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Println(`{"event":"listening"}`)
	return gw.ServeListener(ctx, l)
}
