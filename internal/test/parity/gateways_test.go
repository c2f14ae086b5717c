package parity_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/gateway/webhook"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What both gateways are configured with.
const (
	issuer      = "https://login.example"
	audience    = "shop"
	callTimeout = 400 * time.Millisecond
)

var (
	secret        = strings.Repeat("a secret ", 4)
	webhookSecret = strings.Repeat("a-webhook-", 4)
)

// peer is a gateway and the service behind it.
type peer struct {
	name    string
	addr    string
	tls     string // its address over TLS; empty for none
	service *service
}

// unusedPort returns a port that nothing listens on.
func unusedPort(t *testing.T) int {
	t.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// startNest starts the NestJS gateway of testdata/nest/gateway.
func startNest(t *testing.T, certificates *testenv.Certificates) peer {
	t.Helper()
	s, overTLS := startService(t), strconv.Itoa(unusedPort(t))
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	server := testenv.NestGateway(t, map[string]string{
		"MS_ONE_PORT": port, "MS_TWO_PORT": strconv.Itoa(unusedPort(t)), "CALL_TIMEOUT": strconv.FormatInt(callTimeout.Milliseconds(), 10),
		"JWT_SECRET": secret, "JWT_ISSUER": issuer, "JWT_AUDIENCE": audience, "WEBHOOK_SECRET": webhookSecret,
		"SHORT_LIMIT": "1000000", "TLS_PORT": overTLS, "TLS_CERT_FILE": certificates.CertFile, "TLS_KEY_FILE": certificates.KeyFile,
	})
	return peer{"NestJS", server.Addr, net.JoinHostPort("127.0.0.1", overTLS), s}
}

// The types of the routes. Their tags are the counterparts of the decorators in testdata/nest/gateway/dto.ts.
type (
	newItem struct {
		Name  string   `json:"name" minLength:"1" maxLength:"120"`
		Price float64  `json:"price" minimum:"0"`
		Tags  []string `json:"tags,omitempty" maxItems:"20" minLength:"1"`
	}
	itemChanges struct {
		ID            string `json:"id" path:"id"`
		UpdateItemDTO struct {
			Name  string   `json:"name,omitempty" minLength:"1" maxLength:"120"`
			Price float64  `json:"price,omitempty" minimum:"0"`
			Tags  []string `json:"tags,omitempty" maxItems:"20" minLength:"1"`
		} `json:"updateItemDto" in:"body"`
	}
	itemID struct {
		ID string `json:"id" path:"id"`
	}
	search struct {
		Limit int      `json:"limit,omitempty" minimum:"1" maximum:"100"`
		Price float64  `json:"price,omitempty"`
		Sold  bool     `json:"sold,omitempty"`
		Sort  string   `json:"sort,omitempty" enum:"name,price"`
		Tag   []string `json:"tag,omitempty"`
	}
	address struct {
		Street string `json:"street" minLength:"1"`
		Zip    string `json:"zip" pattern:"^[0-9]{5}$"`
	}
	profile struct {
		Email   string    `json:"email" format:"email"`
		Device  string    `json:"device,omitempty" format:"uuid"`
		Website string    `json:"website,omitempty" format:"uri"`
		Born    string    `json:"born,omitempty" format:"date-time"`
		Plan    string    `json:"plan,omitempty" enum:"free,paid"`
		Age     int       `json:"age,omitempty" minimum:"0" maximum:"150"`
		News    bool      `json:"news,omitempty"`
		Nick    string    `json:"nick,omitempty" minLength:"3" maxLength:"10"`
		Address *address  `json:"address,omitempty"`
		Others  []address `json:"others,omitempty" maxItems:"2"`
		Ratings []int     `json:"ratings,omitempty" minItems:"1" maxItems:"3"`
	}
)

// method returns a method whose reply is passed on as it is.
func method[In any](cmd string) micro.Method[In, json.RawMessage] {
	return micro.NewMethod[In, json.RawMessage](micro.Cmd(cmd))
}

// peers are our gateways, with the routes of the NestJS gateway.
type peers struct {
	most        peer // with most routes, and with TLS
	down        peer // whose health includes a service that is down
	compressing peer // with compression
}

func startOurs(t *testing.T, certificates *testenv.Certificates) peers {
	t.Helper()
	s := startService(t)
	dial := func(addr string) *micro.Client {
		c := micro.NewClient(microtcp.Dial(addr), micro.WithoutMetadata())
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	items, reports := dial(s.addr), dial(net.JoinHostPort("127.0.0.1", strconv.Itoa(unusedPort(t))))
	most := newGateway(t, items, reports)
	overTLS := newGateway(t, items, reports, gateway.WithTLS(certificates.CertFile, certificates.KeyFile))
	partly := gateway.New("Shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithDrain(time.Millisecond, 5*time.Second),
		gateway.WithHealth("items", items), gateway.WithHealth("reports", reports))
	return peers{
		most:        peer{"msctl", listen(t, most), listen(t, overTLS), s},
		down:        peer{name: "msctl", addr: listen(t, partly), service: s},
		compressing: startCompressing(t, s, items),
	}
}

// newGateway returns our gateway with most routes.
func newGateway(t *testing.T, items, reports *micro.Client, opts ...gateway.Option) *gateway.Gateway {
	t.Helper()
	tokens, err := auth.NewTokens(auth.TokenConfig{Issuer: issuer, Audience: audience, Secrets: [][]byte{[]byte(secret)}})
	if err != nil {
		t.Fatal(err)
	}
	gw := gateway.New("Shop", append(opts, gateway.WithVersion("1.0", "The API of the shop"), gateway.WithLogger(slog.New(slog.DiscardHandler)),
		gateway.WithDrain(time.Millisecond, 5*time.Second), gateway.WithTimeout(callTimeout), gateway.WithAuthentication(tokens), gateway.WithCORS("*"), gateway.WithCORSHeaders("*"),
		gateway.WithHealth("items", items))...)
	addRoutes(gw, items, reports)
	addLists(gw, items)
	github, err := webhook.GitHub(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	gateway.WebhookRoute(gw, "POST /webhook", items, method[json.RawMessage]("echo"), github)
	return gw
}

// addRoutes adds the routes of testdata/nest/gateway/items.controller.ts.
func addRoutes(gw *gateway.Gateway, items, reports *micro.Client) {
	public, limited := gateway.WithPublic(), gateway.Rate{Limit: 5, Period: time.Hour}
	gateway.Route(gw, "POST /items", items, method[newItem]("createItem"), public)
	gateway.Route(gw, "GET /items", items, method[micro.None]("findAllItems"), public)
	gateway.Route(gw, "GET /items/{id}", items, method[itemID]("findOneItem"), public)
	gateway.Route(gw, "PATCH /items/{id}", items, method[itemChanges]("updateItem"), public)
	gateway.Route(gw, "DELETE /items/{id}", items, method[itemID]("deleteItem"), gateway.WithRoles("admin"))
	gateway.Route(gw, "POST /orders", items, method[newItem]("createItem"))
	gateway.Route(gw, "GET /mine", items, method[micro.None]("findAllItems"))
	gateway.Route(gw, "GET /search", items, method[search]("search"), public)
	gateway.Route(gw, "POST /profiles", items, method[profile]("echo"), public, gateway.WithContentTypes("application/json", "application/vnd.shop+json"))
	gateway.Route(gw, "POST /fail", items, method[json.RawMessage]("fail"), public, gateway.WithStatus(200))
	gateway.Route(gw, "GET /slow", items, method[micro.None]("slow"), public)
	gateway.Route(gw, "GET /unhandled", items, method[micro.None]("nothing"), public)
	gateway.Route(gw, "GET /reports", reports, method[micro.None]("findAllReports"), public)
	gateway.Route(gw, "GET /limited", items, method[micro.None]("findAllItems"), public, gateway.WithRateLimit(limited))
	gateway.Route(gw, "GET /limited/twice", items, method[micro.None]("findAllItems"), public,
		gateway.WithRateLimit(limited, gateway.Rate{Name: "short", Limit: 2, Period: time.Hour}))
}

// listen serves a gateway until the test ends.
func listen(t *testing.T, gw *gateway.Gateway) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- gw.ServeListener(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
