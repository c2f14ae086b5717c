package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/validate"
)

type newItem struct {
	Name  string   `json:"name" minLength:"1"`
	Price float64  `json:"price" minimum:"0"`
	Tags  []string `json:"tags,omitempty"`
	Kind  string   `json:"kind,omitempty" default:"toy" enum:"toy,book"`
}

type itemChanges struct {
	ID    int64   `json:"id" path:"id" minimum:"1"`
	Force bool    `json:"force,omitempty" query:"force"`
	Name  *string `json:"name,omitempty" minLength:"1"`
}

type filter struct {
	Search string   `json:"search,omitempty" query:"q" maxLength:"5"`
	Limit  int      `json:"limit,omitempty" minimum:"1"`
	Tags   []string `json:"tags,omitempty" query:"tag"`
	Exact  bool     `json:"exact,omitempty"`
}

// picky checks itself.
type picky struct {
	From int `json:"from"`
	To   int `json:"to"`
}

func (p picky) Validate() error {
	switch {
	case p.From > 100:
		return micro.Errorf(422, "from is too large")
	case p.From > p.To:
		return errors.Join(errors.New("from must not be after to"), errors.New("to must not be before from"))
	}
	return nil
}

func TestInput(t *testing.T) {
	gw, c := overEcho(t, gateway.WithBodyLimit(200))
	gateway.Route(gw, "POST /items", c, micro.NewMethod[newItem, newItem](echo))
	gateway.Route(gw, "POST /stripped", c, micro.NewMethod[newItem, newItem](echo), gateway.WithUnknown(validate.Strip))
	gateway.Route(gw, "POST /allowed", c, micro.NewMethod[newItem, newItem](echo), gateway.WithUnknown(validate.Allow))
	gateway.Route(gw, "PATCH /items/{id}", c, micro.NewMethod[itemChanges, newItem](echo))
	gateway.Route(gw, "GET /items", c, micro.NewMethod[filter, []newItem](echo))
	gateway.Route(gw, "PUT /picky", c, micro.NewMethod[picky, picky](echo))
	gateway.Route(gw, "POST /raw", c, micro.NewMethod[json.RawMessage, json.RawMessage](echo))
	gateway.Route(gw, "POST /list", c, micro.NewMethod[[]newItem, []newItem](echo))
	gateway.Route(gw, "GET /none", c, micro.NewMethod[micro.None, micro.None](echo))
	bad := func(messages string) string {
		return `{"message":[` + messages + `],"error":"Bad Request","statusCode":400}`
	}
	big := `{"name":"` + strings.Repeat("x", 300) + `","price":1}`
	run(t, gw.Handler(), []request{
		{name: "body", method: "POST", path: "/items", body: `{"name":"Cup","price":9.90,"tags":["a"]}`,
			status: 201, answer: `{"kind":"toy","name":"Cup","price":9.90,"tags":["a"]}`},
		{name: "big numbers stay exact", method: "POST", path: "/items", body: `{"name":"Cup","price":12345678901234567890.5}`,
			status: 201, answer: `{"kind":"toy","name":"Cup","price":12345678901234567890.5}`},
		{name: "all problems at once", method: "POST", path: "/items", body: `{"foo":"secret","name":7,"price":-1,"kind":"car"}`,
			status: 400, answer: bad(`"property foo should not exist","name must be a string","price must not be less than 0","kind must be one of the following values: toy, book"`)},
		{name: "nothing is escaped", method: "POST", path: "/items", body: `{"name":"<a href=\"x\">é😀\u2028&</a>","price":1}`,
			status: 201, answer: `{"kind":"toy","name":"<a href=\"x\">é😀` + "\u2028" + `&</a>","price":1}`},
		{name: "no body", method: "POST", path: "/items",
			status: 400, answer: bad(`"name should not be empty","name must be a string","price must not be less than 0","price must be a number conforming to the specified constraints"`)},
		{name: "a list", method: "POST", path: "/items", body: `[]`, status: 400, answer: bad(`"the data must be a JSON object"`)},
		{name: "no JSON", method: "POST", path: "/items", body: `{"password":"secret"`,
			status: 400, answer: `{"message":"The body cannot be read: unexpected end of the JSON","error":"Bad Request","statusCode":400}`},
		{name: "two values", method: "POST", path: "/items", body: `{} {}`,
			status: 400, answer: `{"message":"The body cannot be read: unexpected data after the JSON value at byte 2","error":"Bad Request","statusCode":400}`},
		{name: "another type", method: "POST", path: "/items", body: `a=b`, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			status: 415, answer: `{"message":"The body must be JSON: send Content-Type: application/json","error":"Unsupported Media Type","statusCode":415}`},
		{name: "a JSON type", method: "POST", path: "/items", body: `{"name":"Cup","price":1}`, header: map[string]string{"Content-Type": "application/merge-patch+json; charset=utf-8"},
			status: 415, answer: `{"message":"The body must be JSON: send Content-Type: application/json","error":"Unsupported Media Type","statusCode":415}`},
		{name: "too large", method: "POST", path: "/items", body: big,
			status: 413, answer: `{"statusCode":413,"message":"request entity too large"}`},
		{name: "strip", method: "POST", path: "/stripped", body: `{"foo":1,"name":"Cup","price":1}`, status: 201, answer: `{"kind":"toy","name":"Cup","price":1}`},
		{name: "allow", method: "POST", path: "/allowed", body: `{"foo":1,"name":"Cup","price":1}`, status: 201, answer: `{"foo":1,"kind":"toy","name":"Cup","price":1}`},
		{name: "path and query and body", method: "PATCH", path: "/items/7?force=true", body: `{"name":"Cup"}`, status: 200, answer: `{"force":true,"id":7,"name":"Cup"}`},
		{name: "path only", method: "PATCH", path: "/items/7", status: 200, answer: `{"id":7}`},
		{name: "bad path and body", method: "PATCH", path: "/items/x", body: `{"name":""}`, status: 400, answer: bad(`"id must not be less than 1","id must be an integer number","name should not be empty"`)},
		{name: "bounds in the path", method: "PATCH", path: "/items/0", status: 400, answer: bad(`"id must not be less than 1"`)},
		{name: "path member in the body", method: "PATCH", path: "/items/7", body: `{"id":8,"force":true}`,
			status: 400, answer: bad(`"property id should not exist","property force should not exist"`)},
		{name: "query", method: "GET", path: "/items?q=cup&limit=5&tag=a&tag=b&exact=1", status: 200, answer: `{"exact":true,"limit":5,"search":"cup","tags":["a","b"]}`},
		{name: "no query", method: "GET", path: "/items", status: 200, answer: `{}`},
		{name: "bad query", method: "GET", path: "/items?q=saucer&limit=x&exact=maybe&search=x", status: 400,
			answer: bad(`"search must be shorter than or equal to 5 characters","limit must not be less than 1","limit must be an integer number","exact must be a boolean value"`)},
		{name: "checks itself", method: "PUT", path: "/picky", body: `{"from":2,"to":1}`, status: 400, answer: bad(`"from must not be after to","to must not be before from"`)},
		{name: "checks itself with a status", method: "PUT", path: "/picky", body: `{"from":200,"to":1}`,
			status: 422, answer: `{"statusCode":422,"message":"from is too large"}`},
		{name: "checks itself and is fine", method: "PUT", path: "/picky", body: `{"from":1,"to":2}`, status: 200, answer: `{"from":1,"to":2}`},
		{name: "raw", method: "POST", path: "/raw", body: ` [1,{"a":null}] `, status: 201, answer: `[1,{"a":null}]`},
		{name: "raw, no JSON", method: "POST", path: "/raw", body: `{a}`, status: 400, answer: `{"message":"The body is not valid JSON","error":"Bad Request","statusCode":400}`},
		{name: "list", method: "POST", path: "/list", body: `[{"name":"Cup","price":1},{"name":1}]`, status: 400,
			answer: bad(`"1.name must be a string","1.price must not be less than 0","1.price must be a number conforming to the specified constraints"`)},
		{name: "none", method: "GET", path: "/none", status: 200, answer: `{}`},
		{name: "a query that nothing takes", method: "GET", path: "/none?utm_source=x", status: 200, answer: `{}`},
		{name: "not found", method: "GET", path: "/nowhere", status: 404, answer: `{"message":"Cannot GET /nowhere","error":"Not Found","statusCode":404}`},
		{name: "method", method: "DELETE", path: "/items", status: 405, answer: `{"message":"Cannot DELETE /items","error":"Method Not Allowed","statusCode":405}`},
	})
	if allow := (request{method: "DELETE", path: "/items"}).send(t, gw.Handler()).Header().Get("Allow"); allow != "GET, HEAD, POST" {
		t.Errorf("Allow: %q", allow)
	}
}

func TestErrors(t *testing.T) {
	gw, c := overEcho(t)
	gateway.Route(gw, "POST /fail", c, micro.NewMethod[json.RawMessage, micro.None](micro.Cmd("fail")), gateway.WithStatus(200))
	gateway.Route(gw, "GET /unknown", c, micro.NewMethod[micro.None, micro.None](micro.Cmd("unserved")))
	broken := func(err error) *micro.Client {
		return micro.NewClient(failing{err})
	}
	for path, err := range map[string]error{
		"/unreachable": micro.ErrUnreachable, "/lost": micro.ErrConnectionLost, "/shed": micro.ErrShed,
		"/closed": micro.ErrClosed, "/timeout": micro.ErrTimeout, "/other": errors.New("secret"), "/panic": nil,
	} {
		gateway.Route(gw, "GET "+path, broken(err), micro.NewMethod[micro.None, micro.None](echo))
	}
	internal := `{"statusCode":500,"message":"Internal server error"}`
	run(t, gw.Handler(), []request{
		{name: "status", method: "POST", path: "/fail", body: `{"status":404,"message":"no such item"}`, status: 404, answer: `{"statusCode":404,"message":"no such item"}`},
		{name: "statusCode with all of Nest's members", method: "POST", path: "/fail", body: `{"message":"taken","error":"Name Conflict","statusCode":409}`, status: 409, answer: `{"message":"taken","error":"Name Conflict","statusCode":409}`},
		{name: "code and a list", method: "POST", path: "/fail", body: `{"code":400,"message":["a","b"]}`, status: 400, answer: `{"statusCode":400,"message":["a","b"]}`},
		{name: "5xx", method: "POST", path: "/fail", body: `{"status":503,"message":"later"}`, status: 503, answer: `{"statusCode":503,"message":"later"}`},
		{name: "a timeout of the service", method: "POST", path: "/fail", body: `{"status":504,"message":"late"}`, status: 504, answer: `{"statusCode":504,"message":"late"}`},
		{name: "no status", method: "POST", path: "/fail", body: `{"status":"error","message":"secret"}`, status: 500, answer: internal},
		{name: "status of success", method: "POST", path: "/fail", body: `{"status":200,"message":"secret"}`, status: 500, answer: internal},
		{name: "no message", method: "POST", path: "/fail", body: `{"status":418}`, status: 418, answer: `{"statusCode":418,"message":"I'm a teapot"}`},
		{name: "a string", method: "POST", path: "/fail", body: `"secret"`, status: 500, answer: internal},
		{name: "no handler", method: "GET", path: "/unknown", status: 501, answer: `{"message":"The service does not handle this message","error":"Not Implemented","statusCode":501}`},
		{name: "unreachable", method: "GET", path: "/unreachable", status: 503, answer: `{"statusCode":503,"message":"Microservice unavailable"}`},
		{name: "lost", method: "GET", path: "/lost", status: 503, answer: `{"statusCode":503,"message":"Microservice unavailable"}`},
		{name: "closed", method: "GET", path: "/closed", status: 503, answer: `{"statusCode":503,"message":"Microservice unavailable"}`},
		{name: "shed", method: "GET", path: "/shed", status: 503, answer: `{"message":"The service is overloaded","error":"Service Unavailable","statusCode":503}`},
		{name: "timeout", method: "GET", path: "/timeout", status: 503, answer: `{"statusCode":503,"message":"Microservice unavailable"}`},
		{name: "other", method: "GET", path: "/other", status: 500, answer: internal},
		{name: "panic", method: "GET", path: "/panic", status: 500, answer: internal},
	})
	// After a timeout, the service may still be working on the message.
	for path, want := range map[string]string{"/unreachable": "1", "/lost": "1", "/shed": "1", "/timeout": ""} {
		if got := (request{method: "GET", path: path}).send(t, gw.Handler()).Header().Get("Retry-After"); got != want {
			t.Errorf("%s: Retry-After: %q, want %q", path, got, want)
		}
	}
}

// failing is a Conn that fails, or panics without an error.
type failing struct{ err error }

func (f failing) Exchange(context.Context, *micro.Request, micro.Reply) error {
	if f.err == nil {
		panic("secret")
	}
	return f.err
}
func (f failing) Publish(context.Context, *micro.Request) error { return f.err }
func (f failing) Close() error                                  { return nil }

func TestAnswers(t *testing.T) {
	s := micro.NewServer(micro.WithLogger(quiet()))
	micro.Handle(s, micro.Cmd("undefined"), func(context.Context, micro.None) (micro.None, error) { return micro.None{}, nil })
	micro.Handle(s, micro.Cmd("null"), func(context.Context, micro.None) (*newItem, error) { return nil, nil })
	micro.HandleStream(s, micro.Cmd("count"), count)
	events := make(chan string, 1)
	micro.HandleEvent(s, micro.Name("seen"), func(_ context.Context, c itemChanges) error {
		events <- *c.Name
		return nil
	})
	c := microtest.Serve(t, s)
	gw := newGateway()
	gateway.Route(gw, "DELETE /undefined", c, micro.NewMethod[micro.None, micro.None](micro.Cmd("undefined")), gateway.WithStatus(204))
	gateway.Route(gw, "GET /null", c, micro.NewMethod[micro.None, *newItem](micro.Cmd("null")))
	gateway.Stream(gw, "GET /count", c, micro.NewMethod[filter, int](micro.Cmd("count")))
	gateway.Route(gw, "GET /last", c, micro.NewMethod[filter, int](micro.Cmd("count")))
	gateway.Event(gw, "POST /items/{id}/seen", c, micro.NewTopic[itemChanges](micro.Name("seen")))
	gateway.Event(gw, "POST /lost", micro.NewClient(failing{micro.ErrUnreachable}), micro.NewTopic[micro.None](micro.Name("seen")))
	lines := map[string]string{"Accept": "application/x-ndjson"}
	run(t, gw.Handler(), []request{
		{name: "undefined", method: "DELETE", path: "/undefined", status: 204, answer: ""},
		{name: "null", method: "GET", path: "/null", status: 200, answer: "null"},
		{name: "array", method: "GET", path: "/count?limit=3", status: 200, answer: "[1,2,3]"},
		{name: "empty array", method: "GET", path: "/count", status: 200, answer: "[]"},
		{name: "array with an error", method: "GET", path: "/count?limit=3&q=err", status: 409, answer: `{"statusCode":409,"message":"enough"}`},
		{name: "lines", method: "GET", path: "/count?limit=3", header: lines, status: 200, answer: "1\n2\n3\n"},
		{name: "no lines", method: "GET", path: "/count", header: lines, status: 200, answer: ""},
		{name: "lines with an error", method: "GET", path: "/count?limit=2&q=err", header: lines, status: 200, answer: "1\n2\n{\"statusCode\":409,\"message\":\"enough\"}\n"},
		{name: "error before lines", method: "GET", path: "/count?q=err", header: lines, status: 409, answer: `{"statusCode":409,"message":"enough"}`},
		{name: "the last value", method: "GET", path: "/last?limit=3", status: 200, answer: "3"},
		{name: "event", method: "POST", path: "/items/1/seen", body: `{"name":"Cup"}`, status: 202, answer: ""},
		{name: "bad event", method: "POST", path: "/items/x/seen", body: `{}`, status: 400, answer: `{"message":["id must not be less than 1","id must be an integer number"],"error":"Bad Request","statusCode":400}`},
		{name: "event that cannot be sent", method: "POST", path: "/lost", status: 503, answer: `{"statusCode":503,"message":"Microservice unavailable"}`},
	})
	if got := <-events; got != "Cup" {
		t.Errorf("event %q", got)
	}
}

// count yields 1 to the filter's limit, and then fails if its err is set.
func count(_ context.Context, f filter) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range f.Limit {
			if !yield(i+1, nil) {
				return
			}
		}
		if f.Search == "err" {
			yield(0, micro.Errorf(409, "enough"))
		}
	}
}

func TestTimeouts(t *testing.T) {
	s := micro.NewServer(micro.WithLogger(quiet()))
	micro.Handle(s, echo, func(ctx context.Context, _ micro.None) (micro.None, error) {
		<-ctx.Done() // the deadline of the route has come along
		return micro.None{}, ctx.Err()
	})
	expired := micro.NewMethod[micro.None, micro.None](micro.Cmd("expired"))
	expired.Handle(s, func(ctx context.Context, _ micro.None) (micro.None, error) {
		<-ctx.Done()
		return micro.None{}, micro.ErrExpired // as for a message that the server has not started in time
	})
	c := microtest.Serve(t, s)
	gw := newGateway(gateway.WithTimeout(20 * time.Millisecond))
	gateway.Route(gw, "GET /expired", c, expired)
	gateway.Route(gw, "GET /default", c, micro.NewMethod[micro.None, micro.None](echo))
	gateway.Route(gw, "GET /own", c, micro.NewMethod[micro.None, micro.None](echo), gateway.WithTimeout(10*time.Millisecond))
	const late = `{"statusCode":503,"message":"Microservice unavailable"}`
	run(t, gw.Handler(), []request{
		{name: "default", method: "GET", path: "/default", status: 503, answer: late},
		{name: "own", method: "GET", path: "/own", status: 503, answer: late},
		{name: "reported by the service", method: "GET", path: "/expired", status: 503, answer: late},
	})
}

// slow takes the time that it contains to validate.
type slow struct {
	Takes time.Duration `json:"takes"`
}

func (s slow) Validate() error {
	<-time.After(s.Takes)
	return nil
}

// TestTimeCountsFromTheEndOfTheBody checks that the time for reading a body does not count,
// and that whatever follows does: the message has what is left, and is not sent if that is
// nothing.
func TestTimeCountsFromTheEndOfTheBody(t *testing.T) {
	for name, c := range map[string]struct {
		takes  time.Duration
		status int
		left   []time.Duration // of each message
	}{
		"some time is left": {4 * time.Second, http.StatusCreated, []time.Duration{time.Second}},
		"no time is left":   {6 * time.Second, http.StatusServiceUnavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left []time.Duration
				s := micro.NewServer(micro.WithLogger(quiet()))
				micro.HandleFunc(s, echo, func(_ context.Context, req *micro.Request, reply micro.Reply) error {
					left = append(left, time.Until(req.Deadline))
					return reply.Send(micro.Value{Raw: req.Data, Last: true})
				})
				gw := newGateway(gateway.WithTimeout(5 * time.Second))
				gateway.Route(gw, "POST /slow", microtest.Serve(t, s), micro.NewMethod[slow, slow](echo))
				body := fmt.Sprintf(`{"takes":%d}`, c.takes)
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/slow", lateReader{strings.NewReader(body)})
				req.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				gw.Handler().ServeHTTP(w, req)
				if diff := cmp.Diff(c.left, left); w.Code != c.status || diff != "" {
					t.Errorf("status %d, want %d; time left, -want +got:\n%s", w.Code, c.status, diff)
				}
			})
		})
	}
}

// lateReader needs ten seconds for each read.
type lateReader struct{ io.Reader }

func (r lateReader) Read(p []byte) (int, error) {
	<-time.After(10 * time.Second)
	return r.Reader.Read(p)
}

func TestRoutesThatMakeNoSense(t *testing.T) {
	gw, c := overEcho(t)
	gateway.Route(gw, "GET /taken", c, micro.NewMethod[micro.None, micro.None](echo))
	type badTag struct {
		A string `minLength:"x"`
	}
	for name, add := range map[string]func(){
		"target":     func() { gateway.Route(gw, "/items", c, micro.NewMethod[micro.None, micro.None](echo)) },
		"lower case": func() { gateway.Route(gw, "get /items", c, micro.NewMethod[micro.None, micro.None](echo)) },
		"no client":  func() { gateway.Route(gw, "GET /items", nil, micro.NewMethod[micro.None, micro.None](echo)) },
		"no pattern": func() { gateway.Route(gw, "GET /items", c, micro.NewMethod[micro.None, micro.None](micro.Pattern{})) },
		"wildcard":   func() { gateway.Route(gw, "GET /items/{id}", c, micro.NewMethod[newItem, micro.None](echo)) },
		"no struct":  func() { gateway.Route(gw, "GET /items", c, micro.NewMethod[[]int, micro.None](echo)) },
		"status 0":   func() { gateway.WithStatus(0) },
		"status 404": func() { gateway.WithStatus(404) },
		"tag":        func() { gateway.Route(gw, "GET /items", c, micro.NewMethod[badTag, micro.None](echo)) },
		"twice": func() {
			gateway.Route(gw, "GET /taken", c, micro.NewMethod[micro.None, micro.None](echo), gateway.WithOperationID("other"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			add()
		})
	}
}
