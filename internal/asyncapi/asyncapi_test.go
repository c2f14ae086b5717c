package asyncapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	check "github.com/msctl/msctl/internal/test/asyncapi"
	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

type category struct {
	Name     string     `json:"name" minLength:"1"`
	Children []category `json:"children,omitempty"`
}

type item struct {
	ID       int64             `json:"id" doc:"Assigned by the service" minimum:"1"`
	Kind     string            `json:"kind" enum:"toy,book"`
	Category *category         `json:"category,omitempty" doc:"Where it is listed"`
	Labels   map[string]string `json:"labels,omitempty"`
	Added    time.Time         `json:"added"`
}

// described returns the handlers of a server, with titles.
func described(t *testing.T) []Handler {
	t.Helper()
	s := micro.NewServer(micro.WithName("items", "1.2.3"))
	micro.NewMethod[item, item](micro.Cmd("createItem")).Handle(s, nil, micro.WithDoc("Adds an item."))
	micro.NewMethod[micro.None, []item](micro.Fields(map[string]any{"cmd": "find", "v": 2})).Handle(s, nil)
	micro.NewMethod[string, json.RawMessage](micro.Name("find/2")).Handle(s, nil)
	micro.NewMethod[string, category](micro.Name("find_2")).HandleStream(s, nil)
	micro.NewTopic[category](micro.Name("category.v1.added")).Handle(s, nil)
	d, err := micro.Call[micro.Description](t.Context(), microtest.Serve(t, s), micro.DescribePattern, micro.None{})
	if err != nil {
		t.Fatal(err)
	}
	var all []Handler
	for _, h := range d.Handlers {
		all = append(all, Handler{HandlerInfo: h, Title: h.Route})
	}
	return all
}

func parsed(t *testing.T, text string) json.RawMessage {
	t.Helper()
	p, err := micro.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(p.JSON())
}

// document returns a document that matches AsyncAPI's schema, in YAML.
func validYAML(t *testing.T, services ...Service) string {
	t.Helper()
	text, err := Document("shop", "1.2.3", services)
	if err != nil {
		t.Fatal(err)
	}
	inYAML, err := YAML(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]byte{text, inYAML} {
		if err := check.Check(form); err != nil {
			t.Errorf("%v\n%s", err, form)
		}
	}
	return string(inYAML)
}

// TestDocument: documents match AsyncAPI's schema, and stay the same.
func TestDocument(t *testing.T) {
	handlers := described(t)
	one := Service{Name: "items", Version: "1.2.3", Servers: []Server{{Name: "items", Host: "localhost:3002", Protocol: "tcp"}}, Handlers: handlers}
	golden.Check(t, "testdata/one.yaml", validYAML(t, one))

	broker := []Server{{Name: "rabbitmq", Host: "localhost:5672", Path: "/shop", Protocol: "amqp"}}
	orders := Service{Name: "orders", Servers: broker, Handlers: []Handler{
		{HandlerInfo: micro.HandlerInfo{Pattern: parsed(t, `"category.v1.added"`), Route: "category.v1.added", Kind: "event", Data: &micro.Schema{
			Title: "category", Type: "object", Properties: micro.Properties{{Name: "name", Schema: &micro.Schema{Type: "string"}}},
		}}, Title: "category.v1.added", Address: "orders", Queue: "orders", Transport: "RMQ"},
	}}
	mail := orders
	mail.Name = "mail"
	mail.Servers = []Server{broker[0], {Name: "rabbitmq", Host: "other:5672", Protocol: "amqps", Description: "x"}}
	golden.Check(t, "testdata/several.yaml", validYAML(t, one, orders, mail))
	validYAML(t)
	validYAML(t, Service{Name: "empty"})
}

// TestNames: unusual patterns and types have names that need no escape.
func TestNames(t *testing.T) {
	var handlers []Handler
	for _, pattern := range []string{`"a/b~c"`, `"a.b"`, `"a b"`, `""`, `"{id}"`, `"é"`, `{"a":{"b":[1,null]},"c":true}`, `7`, `{"cmd":"x"}`, `{"cmd":7}`, `"x"`, `"x.reply"`, `"\u001b[31m"`} {
		raw := parsed(t, pattern)
		p, _ := micro.ParsePattern(pattern)
		handlers = append(handlers, Handler{HandlerInfo: micro.HandlerInfo{Pattern: raw, Route: p.Route(), Kind: "message", Data: &micro.Schema{
			Title: "Partial<Item>", Type: "object", Properties: micro.Properties{{Name: "$ref", Schema: &micro.Schema{Type: "string"}}},
		}}, Title: p.Route(), Address: p.Route()})
	}
	text := validYAML(t, Service{Name: "a b/c", Servers: []Server{{Name: "a b/c", Host: "/run/x.sock", Protocol: "tcp"}}, Handlers: handlers})
	for _, want := range []string{"\n  a_b_c:\n", "\n  a.b:\n    address: a.b\n", "\n  x2:\n", "\n  unnamed:\n", "address: \"\\x1b[31m\""} {
		if !strings.Contains(text, want) {
			t.Errorf("the document does not contain %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "address: \"{id}") {
		t.Error("braces in an address are parameters")
	}
}

// TestYAML: what YAML returns has the same value, and nothing that a terminal would execute.
func TestYAML(t *testing.T) {
	const text = `{"a":"yes","b":["null","1.0","~","- x","a: b # c","","  lead","trail ","0x10","!x","@a","'q'","\"d\"","2024-01-01","=","<<","*a","&a","%a","|","a\nb\tc\r"],` +
		`"c":{},"d":[],"e":[[],[[1,"x"]],{"f":{"g":[{"h":1,"i":2}]}}],"on":null,"j":[true,false,null,12345678901234567890,1.5e300],"":"\u001b[31m\u009b\u202e\u2028é😀/","$ref":"#/a","k.l-m":"plain text"}`
	out, err := YAML([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	back, err := json.Marshal(got) // the same types of numbers
	if err == nil {
		err = json.Unmarshal(back, &got)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", diff, out)
	}
	if strings.ContainsAny(string(out), "\x1b\u009b\u202e") {
		t.Errorf("control characters in %q", out)
	}
	if !strings.Contains(string(out), "k.l-m: plain text\n") {
		t.Errorf("%s", out)
	}
	for _, broken := range []string{"", "{", `{"a"`, `{"a":`, "[1,"} {
		if _, err := YAML([]byte(broken)); err == nil {
			t.Errorf("%q: no error", broken)
		}
	}
}
