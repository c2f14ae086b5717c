package replay

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
)

// matchAll is Match without an index: it compares every exchange.
func matchAll(r *Recording, used map[*Exchange]int, nearest bool, p micro.Pattern, value any) *Exchange {
	var best *Exchange
	least := -1
	for _, x := range r.Exchanges {
		d := distance(x.data, value)
		if x.Pattern != p || d > 0 && !nearest {
			continue
		}
		if d *= 2; d > 0 && x.Error != nil {
			d++
		}
		if least < 0 || d < least || d == least && used[best] > 0 {
			best, least = x, d
		}
	}
	if best != nil {
		used[best]++
	}
	return best
}

// TestMatchIsThatOfAllExchanges compares the index with a comparison of every exchange, for data that repeats, differs in its
// form, and contains secrets.
func TestMatchIsThatOfAllExchanges(t *testing.T) {
	data := []string{
		"", "null", "true", "1", "1.0", "1e0", "-0", "0", `"1"`, `"***"`, `"a"`, "[]", "{}", "[1,2]", "[1, 2.0]", "[1,[2]]", "1e999", "2e999",
		`{"a":1,"b":2}`, `{"b":2,"a":1}`, `{"a":1}`, `{"a":"***","b":2}`, `{"a":{"c":"***"}}`, `{"a":{"c":1}}`, `{"a\",\"b":1}`, `[{"a":1},{"a":2}]`,
	}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		r := &Recording{}
		for i := range 1 + random.IntN(40) {
			x := &Exchange{Line: i, Pattern: micro.Cmd(fmt.Sprint(random.IntN(2))), Data: json.RawMessage(data[random.IntN(len(data))])}
			if random.IntN(3) == 0 {
				x.Error = &reported.Error{}
			}
			var err error
			if x.data, err = decode(x.Data); err != nil {
				t.Fatal(err)
			}
			r.Exchanges = append(r.Exchanges, x)
		}
		nearest := round%2 == 0
		m, used := NewMatcher(r, nearest), map[*Exchange]int{}
		for range 100 {
			p, text := micro.Cmd(fmt.Sprint(random.IntN(2))), data[random.IntN(len(data))]
			value, err := decode(json.RawMessage(text))
			if err != nil {
				t.Fatal(err)
			}
			want, got := matchAll(r, used, nearest, p, value), m.Match(p, json.RawMessage(text))
			if got != want {
				t.Fatalf("round %d: %s with %q is %+v, want %+v", round, p, text, got, want)
			}
		}
	}
}

// TestMatchComparesFewExchanges checks that finding the same data does not compare the whole recording, even if all of it has this data.
func TestMatchComparesFewExchanges(t *testing.T) {
	for _, different := range []bool{true, false} {
		r := &Recording{}
		for i := range 1000 {
			x := &Exchange{Pattern: micro.Cmd("find"), data: map[string]any{"id": "same"}}
			if different {
				x.data = map[string]any{"id": fmt.Sprint(i)}
			}
			r.Exchanges = append(r.Exchanges, x)
		}
		m := NewMatcher(r, true)
		for i := range 500 {
			value := r.Exchanges[i].data
			if list := m.candidates(micro.Cmd("find"), value); len(list) > 2 {
				t.Fatalf("%d exchanges are compared", len(list))
			}
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Match(micro.Cmd("find"), text); got != r.Exchanges[i] {
				t.Fatalf("message %d has another match", i)
			}
		}
	}
}
