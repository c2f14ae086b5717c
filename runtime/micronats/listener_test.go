package micronats

import (
	"errors"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

func TestCall(t *testing.T) {
	b := testenv.NATS(t)
	start(t, quietServer(), b.URL)
	c := client(t, b.URL)
	got, err := micro.Call[string](t.Context(), c, echo, "é 😀")
	if err != nil || got != "é 😀" {
		t.Fatalf("%q, %v", got, err)
	}
	_, err = micro.Call[string](t.Context(), c, micro.Name("unserved"), 1)
	if !errors.Is(err, micro.ErrUnreachable) {
		t.Fatalf("no subscriber: %v", err)
	}
}
