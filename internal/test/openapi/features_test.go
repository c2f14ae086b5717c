package openapi

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/webhook"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/validate"
)

type change struct {
	Name string `json:"name" minLength:"2" example:"Cup"`
}

type message struct {
	ID     string `json:"id" path:"id" format:"uuid"`
	Tenant string `json:"tenant" header:"X-Tenant" example:"acme"`
	Sub    string `json:"sub" claim:"sub"`
	Level  int    `json:"level" claim:"level" minimum:"3"`
	Change change `json:"updateItemDto" in:"body"`
}

type made struct {
	Location string `header:"Location" doc:"URL of the item"`
	Status   int    `in:"status" enum:"200,201,204"`
	Item     item   `in:"body"`
}

// features is a gateway with what a route can have besides a message.
func features(t *testing.T, opts ...gateway.Option) *gateway.Gateway {
	t.Helper()
	verifier, err := webhook.GitHub(strings.Repeat("s", 32))
	if err != nil {
		t.Fatal(err)
	}
	c := micro.NewClient(nowhere{})
	gw := gateway.New("shop", append([]gateway.Option{
		gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithUnknownQuery(validate.Forbid),
		gateway.WithAddressLimit(gateway.Rate{Limit: 100, Period: time.Second}),
	}, opts...)...)
	update := micro.NewMethod[message, item](micro.Cmd("updateItem"))
	gateway.Route(gw, "PATCH /items/{id}", c, update, gateway.WithIdempotency(gateway.Idempotency{}),
		gateway.WithRateLimit(gateway.Rate{Limit: 5, Period: time.Minute}))
	gateway.Route(gw, "PUT /items/{id}", c, update, gateway.WithOutput(func(_ context.Context, i item) (made, error) {
		return made{Location: fmt.Sprint("/items/", i.ID), Item: i}, nil
	}))
	gateway.Route(gw, "POST /copies", c, update, gateway.WithInput(func(_ context.Context, in change) (message, error) {
		return message{Change: in}, nil
	}))
	gateway.Stream(gw, "GET /items", c, micro.NewMethod[micro.None, item](micro.Cmd("watch")))
	gateway.Webhook(gw, "POST /hooks/github", c, micro.NewTopic[map[string]any](micro.Name("github")), verifier)
	return gw
}

// TestFeatures: the document stays valid and complete with everything that a route can have.
func TestFeatures(t *testing.T) {
	t.Parallel()
	gw := features(t)
	inJSON := get(t, gw, "/api-json")
	if err := Check(t.Context(), inJSON); err != nil {
		t.Errorf("%v\n%s", err, inJSON)
	}
	if err := Same(inJSON, get(t, gw, "/api-yaml")); err != nil {
		t.Error(err)
	}
	doc := read(t, gw)
	got := map[string]string{}
	for path, operations := range doc.Paths {
		for method, op := range operations {
			var statuses []string
			for status := range op.Responses {
				statuses = append(statuses, status)
			}
			slices.Sort(statuses)
			got[method+" "+path] = strings.Join(statuses, " ")
		}
	}
	want := map[string]string{
		"patch /items/{id}":  "200 400 401 403 408 409 413 415 422 429 500 501 503 default",
		"put /items/{id}":    "200 201 204 400 401 403 408 413 415 429 500 501 503 default",
		"post /copies":       "201 400 401 408 413 415 429 500 501 503 default",
		"get /items":         "200 304 400 401 429 500 501 503 default",
		"post /hooks/github": "200 400 401 408 409 413 415 429 500 501 503 default",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	patch := doc.Paths["/items/{id}"]["patch"]
	if example := string(patch.RequestBody.Content["application/json"].Example); example != `{"name":"Cup"}` {
		t.Errorf("the example of the body is %s", example)
	}
	// The other members are valid: only the body is not.
	if body := string(patch.Responses["400"].Content["application/json"].Example); !strings.Contains(body, `"message":["name must be`) || strings.Contains(body, "tenant") {
		t.Errorf("the example of 400 is %s", body)
	}
	if !strings.Contains(string(doc.Paths["/items"]["get"].Responses["400"].Content["application/json"].Example), "property unexpected should not exist") {
		t.Error("GET /items rejects unknown parameters, and has no such example")
	}
	if doc.Paths["/items/{id}"]["put"].Responses["201"].Headers["Location"] == nil {
		t.Error("no header Location")
	}
}

// TestProblemDetails: the document of a gateway with another form of errors is valid, too.
func TestProblemDetails(t *testing.T) {
	t.Parallel()
	document := get(t, features(t, gateway.WithProblemDetails()), "/api-json")
	if err := Check(t.Context(), document); err != nil {
		t.Errorf("%v\n%s", err, document)
	}
}
