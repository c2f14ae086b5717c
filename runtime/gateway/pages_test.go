package gateway_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/page"
)

// TestPages checks the links from one page of a list to the others.
func TestPages(t *testing.T) {
	t.Parallel()
	type list struct {
		page.Offset

		Search string `json:"search,omitempty" query:"search"`
	}
	type cursors struct {
		page.Cursor

		UserID string `json:"userId,omitempty" claim:"sub"`
	}
	type numbers struct {
		Items []int  `json:"items"`
		Total int    `json:"total"`
		Next  string `json:"next,omitempty"`
	}
	total := 45
	s := micro.NewServer(micro.WithLogger(quiet()))
	byOffset, byCursor := micro.NewMethod[list, numbers](micro.Cmd("list")), micro.NewMethod[cursors, numbers](micro.Cmd("cursors"))
	byOffset.Handle(s, func(_ context.Context, l list) (numbers, error) {
		return numbers{Items: []int{l.Limit, l.Offset.Offset}, Total: total}, nil
	})
	byCursor.Handle(s, func(_ context.Context, c cursors) (numbers, error) {
		if c.Cursor.Cursor == "" {
			return numbers{Next: "a&\r\nb"}, nil
		}
		return numbers{}, nil
	})
	c := microtest.Serve(t, s)
	gw := newGateway(gateway.WithCORS("*"))
	pages := gateway.WithPages(func(l list, n numbers) gateway.Page {
		return gateway.Page{Limit: l.Limit, Offset: l.Offset.Offset, Total: n.Total}
	})
	gateway.Route(gw, "GET /list", c, byOffset, pages)
	gateway.Route(gw, "GET /items", c, byOffset, pages, gateway.WithOperationID("items"),
		gateway.WithOutput(func(_ context.Context, n numbers) ([]int, error) { return n.Items, nil }))
	gateway.Route(gw, "GET /cursors", c, byCursor, gateway.WithPages(func(_ cursors, n numbers) gateway.Page { return gateway.Page{Total: -1, Next: n.Next} }))
	for _, tt := range []struct {
		path, body, total, link string
	}{
		{"/list", `{"items":[20,0],"total":45}`, "45", `<?offset=0>; rel="first", <?offset=20>; rel="next", <?offset=40>; rel="last"`},
		{"/list?limit=10&offset=35&search=a%26b&utm=x", `{"items":[10,35],"total":45}`, "45",
			`<?limit=10&offset=0&search=a%26b&utm=x>; rel="first", <?limit=10&offset=25&search=a%26b&utm=x>; rel="prev", <?limit=10&offset=40&search=a%26b&utm=x>; rel="last"`},
		{"/items?offset=5", `[20,5]`, "45", `<?offset=0>; rel="first", <?offset=0>; rel="prev", <?offset=25>; rel="next", <?offset=40>; rel="last"`},
		{"/cursors", `{"items":[],"total":0,"next":"a&\r\nb"}`, "", `<?cursor=a%26%0D%0Ab>; rel="next"`},
		{"/cursors?cursor=x", `{"items":[],"total":0}`, "", ``},
		{"/list?limit=0", `{"message":["limit must not be less than 1"],"error":"Bad Request","statusCode":400}`, "", ``},
		{"/list?limit=101", `{"message":["limit must not be greater than 100"],"error":"Bad Request","statusCode":400}`, "", ``},
		{"/list?offset=-1", `{"message":["offset must not be less than 0"],"error":"Bad Request","statusCode":400}`, "", ``},
	} {
		w := send(gw, "GET "+tt.path, "Origin", "https://shop.example")
		if w.Body.String() != tt.body || w.Header().Get("X-Total-Count") != tt.total || w.Header().Get("Link") != tt.link {
			t.Errorf("%s: %s, total %q, link %s", tt.path, w.Body, w.Header().Get("X-Total-Count"), w.Header().Get("Link"))
		}
		if exposed := w.Header().Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, "Link") || !strings.Contains(exposed, "X-Total-Count") {
			t.Errorf("%s: a page may read %s", tt.path, exposed)
		}
	}
	total = 0
	if w := send(gw, "GET /list"); w.Header().Get("Link") != `<?offset=0>; rel="first"` || w.Header().Get("X-Total-Count") != "0" {
		t.Errorf("an empty list: %v", w.Header())
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct{ Headers map[string]any }
		}
	}
	if err := json.Unmarshal(send(gw, "GET /api-json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if h := doc.Paths["/list"]["get"].Responses["200"].Headers; h["Link"] == nil || h["X-Total-Count"] == nil {
		t.Errorf("the headers are %v", h)
	}
	defer func() {
		if problem, _ := recover().(string); !strings.Contains(problem, "WithPages takes") {
			t.Errorf("another type: %q", problem)
		}
	}()
	gateway.Route(gw, "GET /wrong", c, byCursor, pages)
}
