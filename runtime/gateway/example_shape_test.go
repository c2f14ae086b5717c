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
	"github.com/msctl/msctl/runtime/page"
)

// product, updateProduct, and updateProductMessage are the contract of a service.
type product struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type updateProduct struct {
	Name string `json:"name" minLength:"2"`
}

type updateProductMessage struct {
	ID            string        `json:"id" path:"id"`
	UpdateItemDTO updateProduct `json:"updateItemDto" in:"body"`
}

// productService serves the contract, and returns its client.
func productService() (client *micro.Client, stop func()) {
	service := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(service, micro.Cmd("updateItem"), func(_ context.Context, m updateProductMessage) (product, error) {
		return product{m.ID, m.UpdateItemDTO.Name}, nil
	})
	return running(service)
}

// running serves in memory, and returns a client.
func running(service *micro.Server) (client *micro.Client, stop func()) {
	network := microtest.New() // outside of tests: microtcp.Listen and microtcp.Dial
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- service.Serve(ctx, network) }()
	return network.Client(), func() {
		cancel()
		<-served
	}
}

// show sends a request and prints the response.
func show(gw *gateway.Gateway, method, path, body string) {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, req)
	fmt.Println(w.Code, w.Header().Get("Location"), w.Body)
}

var updateProductMethod = micro.NewMethod[updateProductMessage, product](micro.Cmd("updateItem"))

// A message {id, updateItemDto}, whose DTO is the body of the request.
func ExampleRoute_body() {
	client, stop := productService()
	defer stop()
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)))
	gateway.Route(gw, "PATCH /items/{id}", client, updateProductMethod, gateway.WithPublic())

	show(gw, "PATCH", "/items/7", `{"name":"Cup"}`)
	show(gw, "PATCH", "/items/7", `{"name":"C","id":"8"}`)
	// Output:
	// 200  {"id":"7","name":"Cup"}
	// 400  {"message":["property id should not exist","name must be longer than or equal to 2 characters"],"error":"Bad Request","statusCode":400}
}

// A route whose HTTP input is not the message.
func ExampleWithInput() {
	client, stop := productService()
	defer stop()
	type rename struct {
		ID   string `json:"id" path:"id"`
		Name string `json:"newName" query:"name" minLength:"2"`
	}
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)))
	gateway.Route(gw, "POST /items/{id}/rename", client, updateProductMethod, gateway.WithPublic(), gateway.WithStatus(200),
		gateway.WithInput(func(_ context.Context, in rename) (updateProductMessage, error) {
			return updateProductMessage{in.ID, updateProduct{in.Name}}, nil
		}))

	show(gw, "POST", "/items/7/rename?name=Mug", "")
	show(gw, "POST", "/items/7/rename", "")
	// Output:
	// 200  {"id":"7","name":"Mug"}
	// 400  {"message":["newName must be longer than or equal to 2 characters","newName must be a string"],"error":"Bad Request","statusCode":400}
}

// A response with the URL of what was created, and a part of the reply as its body.
func ExampleWithOutput() {
	client, stop := productService()
	defer stop()
	type created struct {
		Location string `header:"Location" doc:"URL of the item"`
		Name     string `in:"body"`
	}
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)))
	gateway.Route(gw, "PUT /items/{id}", client, updateProductMethod, gateway.WithPublic(), gateway.WithStatus(201),
		gateway.WithOutput(func(_ context.Context, p product) (created, error) {
			return created{Location: "/items/" + p.ID, Name: p.Name}, nil
		}))

	show(gw, "PUT", "/items/7", `{"name":"Cup"}`)
	// Output:
	// 201 /items/7 "Cup"
}

// Server-sent events with names.
func ExampleWithEventStream() {
	client, stop := productService()
	defer stop()
	type renamed struct {
		Event string  `in:"event"`
		Item  product `in:"body"`
	}
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)),
		gateway.WithEventStream(gateway.EventStream{Lifetime: time.Hour, Heartbeat: 30 * time.Second, Buffer: 64 << 10}))
	gateway.Stream(gw, "PATCH /items/{id}", client, updateProductMethod, gateway.WithPublic(),
		gateway.WithOutput(func(_ context.Context, p product) (renamed, error) { return renamed{"renamed", p}, nil }))

	req := httptest.NewRequest("PATCH", "/items/7", strings.NewReader(`{"name":"Cup"}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, req)
	fmt.Print(w.Body)
	// Output:
	// id: 1
	// event: renamed
	// data: {"id":"7","name":"Cup"}
	//
	// event: end
	// data: {}
}

// A gateway that compresses its responses.
func ExampleWithCompression() {
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithCompression(50))
	req := httptest.NewRequest("GET", "/api-json", nil)
	req.Header.Set("Accept-Encoding", "gzip, br")
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, req)
	fmt.Println(w.Code, w.Header().Get("Content-Encoding"), w.Header().Get("Vary"))
	// Output:
	// 200 gzip Accept-Encoding
}

// A list in pages. In a program, the types are in the contract of the service.
func ExampleWithPages() {
	type findItems struct {
		page.Offset

		Search string `json:"search,omitempty" query:"search"`
	}
	type itemPage struct {
		Items []string `json:"items"`
		Total int      `json:"total"`
	}
	method := micro.NewMethod[findItems, itemPage](micro.Cmd("findItems"))
	service := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	method.Handle(service, func(context.Context, findItems) (itemPage, error) { return itemPage{[]string{"Cup"}, 3}, nil })
	client, stop := running(service)
	defer stop()

	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)))
	gateway.Route(gw, "GET /items", client, method, gateway.WithPublic(),
		gateway.WithPages(func(in findItems, out itemPage) gateway.Page {
			return gateway.Page{Limit: in.Limit, Offset: in.Offset.Offset, Total: out.Total}
		}))
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/items?limit=1", nil))
	fmt.Println(w.Header().Get("X-Total-Count"), w.Header().Get("Link"))
	// Output:
	// 3 <?limit=1&offset=0>; rel="first", <?limit=1&offset=1>; rel="next", <?limit=1&offset=2>; rel="last"
}
