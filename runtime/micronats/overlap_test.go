package micronats

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestOverlapInGroups: every handler of a service runs once for each event, whether its
// subject is the only match or one of several, and however the handlers are grouped.
func TestOverlapInGroups(t *testing.T) {
	b := testenv.PrivateNATS(t)
	patterns := []string{"lot.sold", "lot.*", "lot.>", ">", "*.sold", "lot.sold.eu"}
	for _, tt := range []struct {
		name     string
		replicas int
		group    string
		own      map[string]string // groups of handlers
	}{
		{"none", 1, "", nil},
		{"one", 1, "crew", nil},
		{"three replicas", 3, "crew", nil},
		{"two", 2, "crew", map[string]string{"lot.*": "other", "lot.sold": "other"}},
		{"some", 1, "", map[string]string{">": "crew", "lot.*": "crew"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			counts := make([]atomic.Int64, len(patterns))
			var servers []*running
			for range tt.replicas {
				s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
				for i, pattern := range patterns {
					var opts []micro.HandlerOption
					if group := tt.own[pattern]; group != "" {
						opts = append(opts, HandlerQueue(group))
					}
					micro.HandleEvent(s, micro.Name(pattern), func(ctx context.Context, n int) error {
						if DeliveryFromContext(ctx).Subject != "lot.sold" || n < 1 || n > 30 {
							t.Errorf("%s received %d on %s", pattern, n, DeliveryFromContext(ctx).Subject)
						}
						counts[i].Add(1)
						return nil
					}, opts...)
				}
				var opts []ListenOption
				if tt.group != "" {
					opts = append(opts, WithQueue(tt.group))
				}
				servers = append(servers, start(t, s, b.URL, opts...))
			}
			c, conn := dial(t, b.URL)
			for n := range 30 {
				if err := c.Emit(t.Context(), micro.Name("lot.sold"), n+1); err != nil {
					t.Fatal(err)
				}
			}
			_ = conn.Close() // the broker has the events
			got := func() string {
				var all []int64
				for i := range counts {
					all = append(all, counts[i].Load())
				}
				return fmt.Sprint(all)
			}
			eventually(t, "the events", func() bool { return got() == "[30 30 30 30 30 0]" })
			for _, r := range servers {
				r.end(t) // what arrived twice has run then
			}
			if got() != "[30 30 30 30 30 0]" {
				t.Errorf("the handlers ran %s times", got())
			}
		})
	}
}

// TestOverlappingRequests: in a group, one handler replies to a request, the most specific one.
func TestOverlappingRequests(t *testing.T) {
	b := testenv.PrivateNATS(t)
	s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
	var events atomic.Int64
	for _, pattern := range []string{">", "lot.>", "lot.*", "lot.sold", "lot.*.eu", "lot.sold.*"} {
		micro.Handle(s, micro.Name(pattern), func(context.Context, int) (string, error) { return pattern, nil })
	}
	micro.HandleEvent(s, micro.Name("*.sold"), func(context.Context, int) error { events.Add(1); return nil })
	start(t, s, b.URL, WithQueue("crew"))
	c := client(t, b.URL)
	for range 20 {
		for subject, want := range map[string]string{
			"lot.sold": "lot.sold", "lot.bought": "lot.*", "lot.sold.eu": "lot.sold.*", "lot.bought.eu": "lot.*.eu", "lot.a.b.c": "lot.>", "bid": ">",
		} {
			if got, err := micro.Call[string](t.Context(), c, micro.Name(subject), 1); got != want || err != nil {
				t.Fatalf("%s: %q, %v, want %q", subject, got, err, want)
			}
		}
		if _, err := micro.Call[micro.Health](t.Context(), c, micro.HealthPattern, nil); err != nil {
			t.Fatalf("health: %v", err)
		}
	}
	if events.Load() != 0 {
		t.Errorf("%d requests ran as events", events.Load())
	}
}

func TestSubjectsOverlap(t *testing.T) {
	tokens := []string{"a", "b", "*", ">"}
	subject := func() string {
		parts := make([]string, 1+rand.IntN(4))
		for i := range parts {
			parts[i] = tokens[rand.IntN(3)]
		}
		if rand.IntN(3) == 0 {
			parts = append(parts[:rand.IntN(len(parts))], ">")
		}
		return strings.Join(parts, ".")
	}
	var literals []string // all of up to five tokens
	for level, next := 0, []string{"a", "b"}; level < 5; level++ {
		literals = append(literals, next...)
		var longer []string
		for _, s := range next {
			longer = append(longer, s+".a", s+".b")
		}
		next = longer
	}
	for range 500 {
		a, b := subject(), subject()
		both := slices.ContainsFunc(literals, func(s string) bool { return overlap(a, s) && overlap(b, s) })
		if overlap(a, b) != both || overlap(b, a) != both {
			t.Errorf("%s and %s: overlap is %v, want %v", a, b, overlap(a, b), both)
		}
	}
	for _, tt := range []struct {
		subject, literal string
		want             bool
	}{
		{"a.>", "a", false}, {"a.>", "a.b.c", true}, {">", "a", true}, {"a.*", "a", false}, {"a.*", "a.b.c", false}, {"a>", "ab", false}, {"*.b", "a.b", true}, {"a.b", "a.b", true},
	} {
		if overlap(tt.subject, tt.literal) != tt.want {
			t.Errorf("%s and %s: want %v", tt.subject, tt.literal, tt.want)
		}
	}
}
