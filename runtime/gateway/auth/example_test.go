package auth_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/principal"
)

var removeItem = micro.NewMethod[micro.None, string](micro.Cmd("removeItem"))

// A gateway knows its callers by tokens and API keys, and introduces them to the services.
func Example() {
	key, err := principal.NewKey([]byte("a secret of the gateway and of its services"))
	if err != nil {
		panic(err)
	}
	network := microtest.New()
	server := micro.NewServer(principal.Accept(key), micro.WithLogger(slog.New(slog.DiscardHandler)))
	removeItem.Handle(server, func(ctx context.Context, _ micro.None) (string, error) {
		return "removed by " + principal.FromContext(ctx).Subject, nil
	}, principal.RequireRole("admin"))
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, network) }()
	defer func() { stop(); <-served }()

	config := auth.TokenConfig{Issuer: "https://login.example", Audience: "shop", Secrets: [][]byte{[]byte("a secret of the gateway and of the issuer")}}
	tokens, err := auth.NewTokens(config)
	if err != nil {
		panic(err)
	}
	apiKey, hash := auth.NewAPIKey("shop_live")
	keys, err := auth.NewAPIKeys([]auth.APIKey{{Name: "cleanup", SHA256: hash, Roles: []string{"admin"}}})
	if err != nil {
		panic(err)
	}
	gw := gateway.New("shop", gateway.WithAuthentication(tokens, keys), gateway.WithPrincipals(key), gateway.WithLogger(slog.New(slog.DiscardHandler)))
	client := network.Client()
	defer client.Close()
	gateway.Route(gw, "DELETE /items", client, removeItem, gateway.WithRoles("admin"))

	ask := func(header, value string) {
		req := httptest.NewRequest(http.MethodDelete, "/items", http.NoBody)
		req.Header.Set(header, value)
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, req)
		fmt.Println(w.Code, w.Body)
	}
	user, err := config.Sign(&principal.Principal{Subject: "ada"})
	if err != nil {
		panic(err)
	}
	admin, err := config.Sign(&principal.Principal{Subject: "grace", Roles: []string{"admin"}})
	if err != nil {
		panic(err)
	}
	ask("Authorization", "Bearer "+user)
	ask("Authorization", "Bearer "+admin)
	ask(auth.APIKeyHeader, apiKey)
	ask("X-Nothing", "")
	// Output:
	// 403 {"message":"Forbidden resource","error":"Forbidden","statusCode":403}
	// 200 "removed by grace"
	// 200 "removed by cleanup"
	// 401 {"message":"Unauthorized","statusCode":401}
}
