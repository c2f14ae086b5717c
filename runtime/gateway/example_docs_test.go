package gateway_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
)

// The documentation of a route: what is stated here, and what follows from its type.
func ExampleWithDescription() {
	type rename struct {
		ID   int64  `json:"id" path:"id" minimum:"1" doc:"The item's ID" example:"7"`
		Name string `json:"name" minLength:"2" example:"Cup"`
	}
	client, stop := productService()
	defer stop()
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithVersion("1.2.3", "The HTTP API of the *shop*."),
		gateway.WithServers("https://api.shop.example"))
	gateway.Route(gw, "PUT /items/{id}/name", client, micro.NewMethod[rename, micro.None](micro.Cmd("renameItem")), gateway.WithPublic(),
		gateway.WithSummary("Rename an item"), gateway.WithDescription("Orders keep the *old* name."),
		gateway.WithTags("catalog"), gateway.WithOperationID("rename"), gateway.WithDeprecated())

	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/api-json", nil))
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID, Summary string
			Tags                 []string
			Deprecated           bool
			RequestBody          struct {
				Content map[string]struct{ Example json.RawMessage }
			}
			Responses map[string]struct {
				Content map[string]struct{ Example json.RawMessage }
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		fmt.Println(err)
	}
	op := doc.Paths["/items/{id}/name"]["put"]
	fmt.Println(op.OperationID, op.Summary, op.Tags, op.Deprecated)
	fmt.Println(string(op.RequestBody.Content["application/json"].Example))
	fmt.Println(string(op.Responses["400"].Content["application/json"].Example))

	private := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithoutDocs())
	w = httptest.NewRecorder()
	private.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/api-json", nil))
	fmt.Println(w.Code)
	// Output:
	// rename Rename an item [catalog] true
	// {"name":"Cup"}
	// {"message":["name must be longer than or equal to 2 characters","name must be a string"],"error":"Bad Request","statusCode":400}
	// 404
}
