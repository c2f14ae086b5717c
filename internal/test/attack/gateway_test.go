package attack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/gateway/webhook"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// config is what the process of the gateway gets from the test.
type config struct {
	Secret, Issuer, Audience string
	JWKS, OtherIssuer        string // an issuer with RSA keys
	APIKeyHash               string
	WebhookSecret            string
	Certificate, Key         string // files
}

// configVariable makes the test binary the gateway.
const configVariable = "MSCTL_ATTACKED_GATEWAY"

// The limits of the gateway under attack.
const (
	bodyLimit     = 1 << 20
	headerTimeout = time.Second
	readTimeout   = 2 * time.Second
	writeTimeout  = time.Second
	hourlyLimit   = 5 // of GET /limited
	largeReply    = 128 << 10
	manyEvents    = 3000 // of 1 KiB
	eventBuffer   = 256 << 10
	eventBuffers  = 16 << 20 // of all clients
)

type item struct {
	ID    string   `json:"id" path:"id"`
	Name  string   `json:"name,omitempty"`
	Price float64  `json:"price,omitempty"`
	Tags  []string `json:"tags,omitempty"`
}

type newItem struct {
	Name  string   `json:"name" minLength:"1" maxLength:"120"`
	Price float64  `json:"price" minimum:"0"`
	Tags  []string `json:"tags,omitempty" maxItems:"20" minLength:"1"`
}

// The messages of the service.
var (
	createItem = micro.NewMethod[newItem, newItem](micro.Cmd("createItem"))
	findItem   = micro.NewMethod[item, item](micro.Cmd("findOneItem"))
	deleteItem = micro.NewMethod[item, item](micro.Cmd("deleteItem"))
	findLarge  = micro.NewMethod[micro.None, string](micro.Cmd("large"))
	watchItems = micro.NewMethod[micro.None, string](micro.Cmd("watch"))
	receive    = micro.NewMethod[json.RawMessage, json.RawMessage](micro.Cmd("receive"))
)

// serveGateway is the program under attack: a gateway and its service, until the standard input ends.
func serveGateway(text string) error {
	var c config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	service := micro.NewServer(micro.WithLogger(log))
	createItem.Handle(service, func(_ context.Context, in newItem) (newItem, error) { return in, nil })
	findItem.Handle(service, func(_ context.Context, in item) (item, error) {
		return item{}, micro.Errorf(404, "Item with ID %s not found", in.ID)
	})
	deleteItem.Handle(service, func(_ context.Context, in item) (item, error) { return in, nil })
	large := strings.Repeat("x", largeReply)
	findLarge.Handle(service, func(context.Context, micro.None) (string, error) { return large, nil })
	receive.Handle(service, func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	micro.HandleStream(service, watchItems.Pattern(), func(ctx context.Context, _ micro.None) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for range manyEvents {
				if !yield(large[:1024], nil) {
					return
				}
			}
			<-ctx.Done()
		}
	})
	behind := microtcp.Listen("127.0.0.1:0")
	served := make(chan error, 1)
	go func() { served <- service.Serve(ctx, behind) }()
	addr, err := behind.Addr(ctx)
	if err != nil {
		return err
	}
	gw, err := newGateway(c, log, micro.NewClient(microtcp.Dial(addr.String())))
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	encrypted, err := newGateway(c, log, micro.NewClient(microtcp.Dial(addr.String())), gateway.WithTLS(c.Certificate, c.Key))
	if err != nil {
		return err
	}
	overTLS, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr(), overTLS.Addr())
	var group errgroup.Group
	group.Go(func() error { return gw.ServeListener(ctx, l) })
	group.Go(func() error { return encrypted.ServeListener(ctx, overTLS) })
	group.Go(func() error { return <-served })
	return group.Wait()
}

func newGateway(c config, log *slog.Logger, items *micro.Client, opts ...gateway.Option) (*gateway.Gateway, error) {
	secret, err := auth.NewTokens(auth.TokenConfig{Issuer: c.Issuer, Audience: c.Audience, Secrets: [][]byte{[]byte(c.Secret)}})
	if err != nil {
		return nil, err
	}
	public, err := auth.NewTokens(auth.TokenConfig{Issuer: c.OtherIssuer, Audience: c.Audience, JWKS: c.JWKS})
	if err != nil {
		return nil, err
	}
	keys, err := auth.NewAPIKeys([]auth.APIKey{{Name: "machine", SHA256: c.APIKeyHash, Scopes: []string{"items:write"}}})
	if err != nil {
		return nil, err
	}
	opts = append(opts, gateway.WithLogger(log), gateway.WithAuthentication(secret, public, keys), gateway.WithBodyLimit(bodyLimit),
		gateway.WithCORS("https://shop.example"), gateway.WithServerTimeouts(headerTimeout, readTimeout, time.Minute),
		gateway.WithConnectionLimits(0, writeTimeout), gateway.WithDrain(time.Millisecond, time.Second))
	gw := gateway.New("Shop", opts...)
	github, err := webhook.GitHub(c.WebhookSecret)
	if err != nil {
		return nil, err
	}
	gateway.Route(gw, "POST /items", items, createItem, gateway.WithScopes("items:write"))
	gateway.Route(gw, "GET /items/{id}", items, findItem, gateway.WithPublic())
	gateway.Route(gw, "DELETE /items/{id}", items, deleteItem, gateway.WithRoles("admin"))
	gateway.Route(gw, "GET /large", items, findLarge, gateway.WithPublic())
	gateway.Route(gw, "GET /limited", items, findLarge, gateway.WithPublic(), gateway.WithRateLimit(gateway.Rate{Limit: hourlyLimit, Period: time.Hour}))
	gateway.Stream(gw, "GET /events", items, watchItems, gateway.WithPublic(), gateway.WithEventStream(gateway.EventStream{Buffer: eventBuffer, Total: eventBuffers}))
	gateway.WebhookRoute(gw, "POST /webhook", items, receive, github)
	return gw, nil
}
