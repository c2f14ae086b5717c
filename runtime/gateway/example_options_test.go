package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/principal"
	"github.com/msctl/msctl/runtime/validate"
)

// quietly is the option of gateways whose log is not part of an example.
var quietly = gateway.WithLogger(slog.New(slog.DiscardHandler))

// A page of another origin asks whether it may send a header and cookies.
func ExampleWithCORS() {
	gw := gateway.New("shop", quietly, gateway.WithCORS("https://shop.example"), gateway.WithCORSCredentials(), gateway.WithCORSHeaders("X-Device"))

	for _, origin := range []string{"https://shop.example", "https://other.example"} {
		req := httptest.NewRequest(http.MethodOptions, "/items", http.NoBody)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", http.MethodPost)
		req.Header.Set("Access-Control-Request-Headers", "x-device")
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, req)
		allowed := w.Header()
		fmt.Printf("%s: origin %q, headers %q, credentials %q\n", origin, allowed.Get("Access-Control-Allow-Origin"), allowed.Get("Access-Control-Allow-Headers"), allowed.Get("Access-Control-Allow-Credentials"))
	}
	// Output:
	// https://shop.example: origin "https://shop.example", headers "x-device", credentials "true"
	// https://other.example: origin "", headers "", credentials ""
}

// Middleware sees all requests, and may answer them itself.
func ExampleWithMiddleware() {
	maintenance := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.HasPrefix(req.URL.Path, "/health") {
				next.ServeHTTP(w, req)
				return
			}
			http.Error(w, "We are back at noon.", http.StatusServiceUnavailable)
		})
	}
	gw := gateway.New("shop", quietly, gateway.WithMiddleware(maintenance))

	show(gw, "GET", "/items", "")
	show(gw, "GET", "/health/live", "")
	// Output:
	// 503  We are back at noon.
	//
	// 200  {"status":"ok"}
}

// Bodies that are too large, or of another type, never reach a service.
func ExampleWithBodyLimit() {
	client, stop := productService()
	defer stop()
	gw := gateway.New("shop", quietly, gateway.WithPublic(), gateway.WithBodyLimit(32), gateway.WithContentTypes("application/json", "application/vnd.shop+json"))
	gateway.Route(gw, "PATCH /items/{id}", client, updateProductMethod)

	show(gw, "PATCH", "/items/7", `{"name":"Cup"}`)
	show(gw, "PATCH", "/items/7", `{"name":"a name that is longer than the limit"}`)
	// Output:
	// 200  {"id":"7","name":"Cup"}
	// 413  {"statusCode":413,"message":"request entity too large"}
}

// Members that the message does not have are removed, and query parameters of this kind are errors,
// in the form of RFC 9457.
func ExampleWithUnknown() {
	client, stop := productService()
	defer stop()
	gw := gateway.New("shop", quietly, gateway.WithPublic(), gateway.WithUnknown(validate.Strip), gateway.WithUnknownQuery(validate.Forbid), gateway.WithProblemDetails())
	gateway.Route(gw, "PATCH /items/{id}", client, updateProductMethod)

	show(gw, "PATCH", "/items/7", `{"name":"Cup","color":"red"}`)
	show(gw, "PATCH", "/items/7?color=red", `{"name":"Cup"}`)
	// Output:
	// 200  {"id":"7","name":"Cup"}
	// 400  {"type":"about:blank","title":"Bad Request","status":400,"detail":"property color should not exist","errors":["property color should not exist"]}
}

// Paths that differ in their case or by a slash at the end are other paths.
func ExampleWithStrictPaths() {
	client, stop := productService()
	defer stop()
	gw := gateway.New("shop", quietly, gateway.WithPublic(), gateway.WithStrictPaths())
	gateway.Route(gw, "PATCH /items/{id}", client, updateProductMethod)

	show(gw, "PATCH", "/items/7", `{"name":"Cup"}`)
	show(gw, "PATCH", "/items/7/", `{"name":"Cup"}`)
	// Output:
	// 200  {"id":"7","name":"Cup"}
	// 404  {"message":"Cannot PATCH /items/7/","error":"Not Found","statusCode":404}
}

// The health of the services behind a gateway. The public learns only whether all are up.
func ExampleWithHealth() {
	items, stopItems := running(micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler))))
	defer stopItems()
	mail, stopMail := running(micro.NewServer(micro.WithName("mail", "1.0.0"), micro.WithLogger(slog.New(slog.DiscardHandler))))
	defer stopMail()
	gw := gateway.New("shop", quietly, gateway.WithHealth("items", items), gateway.WithHealthOf("mail", mail), gateway.WithHealthSummary())

	show(gw, "GET", "/health", "")
	// Output:
	// 200  {"status":"ok","info":{},"error":{},"details":{}}
}

// A change is made only if the caller has seen the current version, which is in the ETag of a response.
func ExampleWithVersionTag() {
	type versioned struct {
		Name    string `json:"name"`
		Version int64  `json:"version"`
	}
	type update struct {
		Version int64         `json:"version,omitzero" header:"If-Match" minimum:"1"`
		Changes updateProduct `json:"changes" in:"body"`
	}
	method := micro.NewMethod[update, versioned](micro.Cmd("update"))
	service := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	method.Handle(service, func(_ context.Context, u update) (versioned, error) {
		if u.Version != 3 {
			return versioned{}, micro.Errorf(http.StatusConflict, "The item has changed")
		}
		return versioned{u.Changes.Name, 4}, nil
	})
	client, stop := running(service)
	defer stop()
	gw := gateway.New("shop", quietly, gateway.WithPublic())
	gateway.Route(gw, "PATCH /item", client, method, gateway.WithVersionTag(func(v versioned) int64 { return v.Version }))

	for _, version := range []string{`"2"`, `"3"`} {
		req := httptest.NewRequest(http.MethodPatch, "/item", strings.NewReader(`{"name":"Cup"}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("If-Match", version)
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, req)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 409 {"statusCode":409,"message":"The item has changed"}
	// 200 {"name":"Cup","version":4}
}

// A caller needs the scope of a route. Tokens and API keys are in the example of package auth.
func ExampleWithScopes() {
	client, stop := productService()
	defer stop()
	gw := gateway.New("shop", quietly, gateway.WithAuthentication(callerOfHeader{}))
	gateway.Route(gw, "PATCH /items/{id}", client, updateProductMethod, gateway.WithScopes("items:write"))

	for _, scopes := range []string{"", "items:read", "items:read items:write"} {
		req := httptest.NewRequest(http.MethodPatch, "/items/7", strings.NewReader(`{"name":"Cup"}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Scopes", scopes)
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, req)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 401 {"message":"Unauthorized","statusCode":401}
	// 403 {"message":"Forbidden resource","error":"Forbidden","statusCode":403}
	// 200 {"id":"7","name":"Cup"}
}

// callerOfHeader authenticates callers by the scopes in a header, which any caller could invent.
type callerOfHeader struct{}

// Authenticate returns the caller of a request.
func (callerOfHeader) Authenticate(req *http.Request) (*principal.Principal, error) {
	scopes := strings.Fields(req.Header.Get("X-Scopes"))
	if len(scopes) == 0 {
		return nil, gateway.ErrNoCredentials
	}
	return &principal.Principal{Subject: "ada", Scopes: scopes}, nil
}

// Scheme describes the header in the OpenAPI document.
func (callerOfHeader) Scheme() (name string, scheme *huma.SecurityScheme) {
	return "scopes", &huma.SecurityScheme{Type: "apiKey", In: "header", Name: "X-Scopes"}
}

// A limiter of another kind than that of WithConcurrency: for a service that is closed.
func ExampleWithConcurrencyLimiter() {
	client, stop := productService()
	defer stop()
	gw := gateway.New("shop", quietly, gateway.WithPublic(), gateway.WithConcurrencyLimiter(func() gateway.ConcurrencyLimiter { return closed{} }))
	gateway.Route(gw, "PATCH /items/{id}", client, updateProductMethod)

	show(gw, "PATCH", "/items/7", `{"name":"Cup"}`)
	// Output:
	// 503  {"message":"The service is overloaded","error":"Service Unavailable","statusCode":503}
}

// closed is a limiter without a place.
type closed struct{}

// Acquire admits no request.
func (closed) Acquire(gateway.Priority) (release func(answered bool), ok bool) { return nil, false }

// A gateway that waits for a service for 100 ms, for slow clients for a second, and stops at once.
func ExampleWithTimeout() {
	never := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(never, micro.Cmd("updateItem"), func(ctx context.Context, _ updateProductMessage) (product, error) {
		<-ctx.Done()
		return product{}, ctx.Err()
	})
	client, stop := running(never)
	defer stop()
	gw := gateway.New("shop", quietly, gateway.WithPublic(), gateway.WithTimeout(100*time.Millisecond),
		gateway.WithServerTimeouts(time.Second, 10*time.Second, time.Minute), gateway.WithDrain(0, time.Second))
	gateway.Route(gw, "POST /items/{id}", client, updateProductMethod)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- gw.ServeListener(ctx, l) }()
	resp, err := http.Post("http://"+l.Addr().String()+"/items/7", "application/json", strings.NewReader(`{"name":"Cup"}`))
	if err != nil {
		panic(err)
	}
	fmt.Println(resp.StatusCode, resp.Body.Close())
	http.DefaultClient.CloseIdleConnections()
	end()
	fmt.Println(<-served)
	// Output:
	// 503 <nil>
	// <nil>
}
