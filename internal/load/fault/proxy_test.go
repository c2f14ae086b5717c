package fault

import (
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
)

func TestPassesOn(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{})
	c := client(t, p.Addr())
	for _, text := range []string{"a", "", "é 😀", strings.Repeat("é😀x", 1<<18)} {
		if got, err := micro.Call[string](t.Context(), c, echo, text); err != nil || got != text {
			t.Fatalf("echo of %d bytes: %d bytes, %v", len(text), len(got), err)
		}
	}
	var got []int
	for v, err := range micro.Stream[int](t.Context(), c, count, struct{}{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, v)
	}
	if len(got) != 3 {
		t.Errorf("a stream gave %v", got)
	}
	if err := c.Emit(t.Context(), noted, "x"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event", func() bool { return s.events.Load() == 1 })
	stats := p.Stats()
	if stats.Messages != 6 || stats.Replies < 7 || stats.Connections != 1 || stats.Open != 1 {
		t.Errorf("stats: %+v", stats)
	}
}
