package swagger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/browser"
	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type item struct {
	ID    int64    `json:"id" doc:"Assigned by the service" example:"1"`
	Name  string   `json:"name" example:"Widget"`
	Price float64  `json:"price" doc:"Price in the shop's currency" example:"9.99"`
	Tags  []string `json:"tags,omitempty" example:"[\"garden\"]"`
}

type createItem struct {
	Name  string   `json:"name" minLength:"1" maxLength:"120" example:"Widget"`
	Price float64  `json:"price" minimum:"0" multipleOf:"0.01" doc:"Price in the shop's currency" example:"9.99"`
	Tags  []string `json:"tags,omitempty" maxItems:"20" example:"[\"garden\"]"`
}

type itemID struct {
	ID int64 `json:"id" path:"id" minimum:"1" doc:"The item's ID" example:"1"`
}

const (
	secret = "a secret of at least thirty-two bytes"
	apiKey = "key-of-a-program"
)

// shop is a gateway in front of a service that stores items.
func shop(t *testing.T) string {
	t.Helper()
	tokens, err := auth.NewTokens(auth.TokenConfig{Issuer: "https://login.example", Audience: "shop", Secrets: [][]byte{[]byte(secret)}})
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(apiKey))
	keys, err := auth.NewAPIKeys([]auth.APIKey{{Name: "import", SHA256: hex.EncodeToString(hash[:]), Scopes: []string{"items:write"}}})
	if err != nil {
		t.Fatal(err)
	}
	create := micro.NewMethod[createItem, item](micro.Cmd("createItem"))
	find := micro.NewMethod[itemID, item](micro.Cmd("findOneItem"))
	list := micro.NewMethod[micro.None, []item](micro.Cmd("findAllItems"))
	var mu sync.Mutex
	var items []item
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	create.Handle(s, func(_ context.Context, in createItem) (item, error) {
		mu.Lock()
		defer mu.Unlock()
		items = append(items, item{int64(len(items) + 1), in.Name, in.Price, in.Tags})
		return items[len(items)-1], nil
	})
	find.Handle(s, func(_ context.Context, in itemID) (item, error) {
		mu.Lock()
		defer mu.Unlock()
		if int(in.ID) > len(items) {
			return item{}, micro.Errorf(404, "item %d not found", in.ID)
		}
		return items[in.ID-1], nil
	})
	list.Handle(s, func(context.Context, micro.None) ([]item, error) {
		mu.Lock()
		defer mu.Unlock()
		return items, nil
	})
	client := microtest.Serve(t, s)
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithVersion("1.2.3", "The HTTP API of the shop."),
		gateway.WithAuthentication(tokens, keys))
	gateway.Route(gw, "POST /items", client, create, gateway.WithScopes("items:write"), gateway.WithSummary("Create an item"))
	gateway.Route(gw, "GET /items", client, list, gateway.WithPublic(), gateway.WithSummary("List items"),
		gateway.WithRateLimit(gateway.Rate{Limit: 2, Period: time.Hour}))
	gateway.Route(gw, "GET /items/{id}", client, find, gateway.WithSummary("Get an item"))
	gateway.Stream(gw, "GET /items/changes", client, micro.NewMethod[micro.None, item](micro.Cmd("watch")), gateway.WithSummary("Watch items"), gateway.WithDeprecated())
	server := httptest.NewServer(gw.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

func token(t *testing.T) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": "https://login.example", "aud": "shop", "sub": "ada", "scope": "items:write", "exp": time.Now().Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// block returns the selector of a part of an operation.
func block(id, part string) string { return "#operations-items-" + id + " " + part }

// authorize submits the credentials in a field of the dialog, and closes it.
func authorize(t *testing.T, b *browser.Browser, field string) {
	t.Helper()
	b.Eval(fmt.Sprintf("document.querySelector(%q).closest('.auth-container').querySelector('.authorize').click()", field))
	b.Wait("[...document.querySelectorAll('.auth-btn-wrapper button')].some(button => button.innerText == 'Logout')")
	b.Click(".btn-done")
}

// execute sends the request of an operation, and wants a status.
func execute(t *testing.T, b *browser.Browser, id string, status int) (body string) {
	t.Helper()
	result := block(id, ".live-responses-table .response .response-col_status")
	if b.Eval(fmt.Sprintf("!!document.querySelector(%q)", block(id, ".btn-clear"))) == true {
		b.Click(block(id, ".btn-clear"))
		b.Wait(fmt.Sprintf("!document.querySelector(%q)", result))
	}
	b.Click(block(id, ".execute"))
	b.Wait(fmt.Sprintf("document.querySelector(%q)", result))
	if got := b.Eval(fmt.Sprintf("document.querySelector(%q).innerText", result)); !strings.HasPrefix(fmt.Sprint(got), fmt.Sprint(status)) {
		t.Errorf("%s: status %v, want %d", id, got, status)
	}
	text, _ := b.Eval(fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", block(id, ".live-responses-table .response .highlight-code code"))).(string)
	return text
}

// TestSwaggerUI: without a network, a developer authorizes, creates an item, reads it, and sees what
// the gateway rejects.
func TestSwaggerUI(t *testing.T) {
	url := shop(t)
	b := browser.New(t)
	b.Open(url + "/api")
	b.Wait("document.querySelectorAll('.opblock').length == 4")
	b.Screenshot("1-page", "body")
	if title := b.Eval("document.title"); title != "shop API" {
		t.Errorf("title %v", title)
	}

	b.Click(block("createItem", ".opblock-summary-control"))
	b.Wait("ui.oas3Selectors.requestBodyValue('/items', 'post').includes('Widget')") // the example
	if body := execute(t, b, "createItem", 401); !strings.Contains(body, `"Unauthorized"`) {
		t.Errorf("body %s", body)
	}
	b.Screenshot("2-unauthorized", block("createItem", ".responses-wrapper"))

	b.Click(".btn.authorize")
	b.Wait("document.querySelectorAll('.auth-container').length == 2")
	if text, _ := b.Eval("document.querySelector('.modal-ux').innerText").(string); !strings.Contains(text, "msctl token") || !strings.Contains(text, "X-Api-Key") {
		t.Errorf("the dialog does not say how to get a token: %s", text)
	}
	b.Fill("#auth-bearer-value", token(t))
	b.Screenshot("3-authorize", "body")
	authorize(t, b, "#auth-bearer-value")

	var created item
	if err := json.Unmarshal([]byte(execute(t, b, "createItem", 201)), &created); err != nil || created.ID != 1 || created.Name != "Widget" || created.Price != 9.99 {
		t.Errorf("created %+v, %v", created, err)
	}
	b.Screenshot("4-created", block("createItem", ".responses-wrapper"))

	b.Click(block("findOneItem", ".opblock-summary-control"))
	b.Wait(fmt.Sprintf("document.querySelector(%q).value == '1'", block("findOneItem", "input"))) // the example
	var read item
	if err := json.Unmarshal([]byte(execute(t, b, "findOneItem", 200)), &read); err != nil || read.Name != created.Name {
		t.Errorf("read %+v, %v", read, err)
	}
	b.Screenshot("5-read", block("findOneItem", ".responses-wrapper"))
	b.Fill(block("findOneItem", "input"), "9")
	if body := execute(t, b, "findOneItem", 404); !strings.Contains(body, "item 9 not found") {
		t.Errorf("body %s", body)
	}

	b.Click(block("findAllItems", ".opblock-summary-control"))
	execute(t, b, "findAllItems", 200)
	execute(t, b, "findAllItems", 200)
	if body := execute(t, b, "findAllItems", 429); !strings.Contains(body, "Too Many Requests") {
		t.Errorf("body %s", body)
	}
	b.Screenshot("6-limited", block("findAllItems", ".responses-wrapper"))

	b.Click(".btn.authorize")
	b.Eval("[...document.querySelectorAll('.auth-btn-wrapper button')].find(button => button.innerText == 'Logout').click()")
	b.Wait("document.querySelector('#auth-bearer-value')")
	b.Fill("#api_key_value", apiKey)
	authorize(t, b, "#api_key_value")
	execute(t, b, "createItem", 201)
	checkQuiet(t, b, url)
}

// checkQuiet wants that the page has requested nothing from elsewhere, violated no policy, and
// thrown nothing.
func checkQuiet(t *testing.T, b *browser.Browser, url string) {
	t.Helper()
	requests := b.Seen("Network.requestWillBeSent")
	for _, event := range requests {
		var sent struct{ Request struct{ URL string } }
		if err := json.Unmarshal(event, &sent); err != nil || !strings.HasPrefix(sent.Request.URL, url) && !strings.HasPrefix(sent.Request.URL, "data:") {
			t.Errorf("the page requests %s", sent.Request.URL)
		}
	}
	if len(requests) < 5 {
		t.Errorf("%d requests", len(requests))
	}
	for _, event := range b.Seen("Log.entryAdded") {
		var logged struct{ Entry struct{ Source, Text string } }
		if err := json.Unmarshal(event, &logged); err != nil || logged.Entry.Source != "network" { // the statuses that the test asks for
			t.Errorf("logged: %s", event)
		}
	}
	for _, event := range b.Seen("Runtime.exceptionThrown") {
		t.Errorf("thrown: %s", event)
	}
}
