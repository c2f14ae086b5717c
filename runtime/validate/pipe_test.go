package validate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"testing"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/validate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func marshal(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPipe(t *testing.T) {
	for _, test := range []struct {
		unknown validate.Unknown
		data    string
		want    string // the payload of the error
	}{
		{validate.Forbid, `{"name":"Ada"}`, ""},
		{validate.Strip, `{"name":7}`, `{"status":400,"message":["name must be shorter than or equal to 5 characters","name must be longer than or equal to 2 characters","name must be a string"],"error":"Bad Request"}`},
		{validate.Forbid, `{"name":"Ada","foo":1}`, `{"status":400,"message":["property foo should not exist"],"error":"Bad Request"}`},
		{validate.Strip, `{"name":"Ada","foo":1}`, ""},
		{validate.Allow, `{"name":"A","foo":1}`, `{"status":400,"message":["name must be longer than or equal to 2 characters"],"error":"Bad Request"}`},
	} {
		s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithPipes(validate.Pipe(test.unknown)))
		p := micro.Cmd("greet")
		micro.Handle(s, p, func(_ context.Context, in person) (string, error) { return "Hello " + in.Name, nil })
		micro.Handle(s, micro.Cmd("raw"), func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
		c := microtest.Serve(t, s)
		for range 2 { // the second time the rules are known
			_, err := micro.Call[string](t.Context(), c, p, json.RawMessage(test.data))
			var remote *micro.Error
			got := ""
			if errors.As(err, &remote) {
				got = string(remote.Payload)
			}
			if got != test.want {
				t.Errorf("%s: %s, want %s", test.data, got, test.want)
			}
		}
		if _, err := micro.Call[json.RawMessage](t.Context(), c, micro.Cmd("raw"), "anything"); err != nil {
			t.Errorf("raw: %v", err)
		}
	}
}

func ExampleRules_Check() {
	type newItem struct {
		Name  string  `json:"name" minLength:"1"`
		Price float64 `json:"price" minimum:"0"`
	}
	rules, err := validate.For(reflect.TypeFor[newItem]())
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := validate.Parse([]byte(`{"name":7,"price":-1,"color":"red"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, problem := range rules.Check(data, nil, validate.Forbid) {
		fmt.Println(problem)
	}
	// Output:
	// property color should not exist
	// name must be a string
	// price must not be less than 0
}
