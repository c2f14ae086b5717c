package tap

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/tap"
)

// draw describes trees, one line for each span.
func draw(roots []*Span) (lines []string) {
	for _, root := range roots {
		root.Walk(func(s *Span, depth int) bool {
			text := strings.Repeat("  ", depth) + s.Service + " " + string(s.Kind) + " " + s.Pattern
			if s.Outcome != "" {
				text += " " + string(s.Outcome)
			}
			lines = append(lines, text)
			return true
		})
	}
	return lines
}

func message(service string, kind tap.Kind, pattern, span, parent string, start int64, outcome tap.Outcome) Message {
	return Message{Service: service, Record: tap.Record{Kind: kind, Pattern: pattern, Span: span, Parent: parent, Start: start, Took: 10, Outcome: outcome, Open: outcome == ""}}
}

// request is what three programs report of one HTTP request.
func request() []Message {
	failed := message("items", tap.Handle, "find", "5", "4", 40, tap.Failed)
	failed.Error = &tap.Error{Message: "no item", Own: true}
	passed := message("orders", tap.Send, "find", "4", "3", 30, tap.Failed)
	passed.Error = &tap.Error{Message: "no item"}
	order := message("orders", tap.Handle, "order", "3", "2", 20, tap.Failed)
	order.Error = &tap.Error{Message: "call find: no item"}
	return []Message{
		message("gateway", tap.HTTP, "POST /orders", "1", "", 1, tap.Failed),
		message("gateway", tap.Send, "order", "2", "1", 10, tap.Failed),
		order, passed, failed,
		message("orders", tap.Emit, "failed", "6", "3", 60, tap.OK),
		message("audit", tap.Handle, "failed", "7", "6", 70, tap.OK),
	}
}

var drawing = []string{
	"gateway http POST /orders error",
	"  gateway send order error",
	"    orders handle order error",
	"      orders send find error",
	"        items handle find error",
	"      orders emit failed ok",
	"        audit handle failed ok",
}

// TestAnyOrder checks that the tree does not depend on the order in which its spans arrive, nor on
// whether they are reported while they are open.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		messages := request()
		for _, m := range request() {
			if random.IntN(2) == 0 {
				m.Open, m.Outcome, m.Error = true, "", nil
				messages = append(messages, m)
			}
		}
		random.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
		var trees Trees
		for _, m := range messages {
			trees.Add(m)
		}
		if diff := cmp.Diff(drawing, draw(trees.Roots())); diff != "" {
			t.Fatalf("seed %d:\n%s", seed, diff)
		}
		if origin := trees.Roots()[0].Origin(); origin.Service != "items" {
			t.Fatalf("seed %d: the error is attributed to %s", seed, origin.Service)
		}
	}
}

// TestPackets checks that a handler whose message has no parent is joined by the packet's ID.
func TestPackets(t *testing.T) {
	sent := message("orders", tap.Send, "find", "1", "", 10, tap.OK)
	sent.ID, sent.Transport = json.RawMessage(`"a"`), "tcp"
	handled := message("items", tap.Handle, "find", "2", "", 20, tap.OK)
	handled.ID, handled.Transport = sent.ID, "tcp"
	other := message("items", tap.Handle, "find", "3", "", 30, tap.OK)
	other.ID, other.Transport = sent.ID, "nats"
	want := []string{"orders send find ok", "  items handle find ok", "items handle find ok"}
	for _, order := range [][]Message{{sent, handled, other}, {handled, sent, other}} {
		var trees Trees
		for _, m := range order {
			trees.Add(m)
		}
		if diff := cmp.Diff(want, draw(trees.Roots())); diff != "" {
			t.Error(diff)
		}
	}
}

// TestCircle checks that spans that name each other as parents end no search.
func TestCircle(t *testing.T) {
	var trees Trees
	trees.Add(message("a", tap.Send, "x", "1", "2", 1, tap.OK))
	trees.Add(message("a", tap.Send, "x", "2", "1", 2, tap.OK))
	trees.Add(message("a", tap.Send, "x", "3", "3", 3, tap.OK))
	total := 0
	for _, root := range trees.Roots() {
		root.Walk(func(*Span, int) bool { total++; return true })
	}
	if total != 3 {
		t.Errorf("%d spans are shown, want 3", total)
	}
}

// TestEviction checks that the oldest trees make room, completely.
func TestEviction(t *testing.T) {
	var trees Trees
	for i := range maxTrees + 100 {
		root, child := fmt.Sprint("r", i), fmt.Sprint("c", i)
		stray := message("b", tap.Handle, "y", "s"+child, "", 3, tap.OK)
		stray.ID, stray.Transport = json.RawMessage(fmt.Sprint(i)), "tcp"
		trees.Add(message("a", tap.HTTP, "x", root, "", 1, tap.OK))
		trees.Add(message("a", tap.Send, "x", child, root, 2, tap.OK))
		trees.Add(stray)
		trees.Add(message("a", tap.Handle, "z", "o"+child, "nowhere"+child, 4, tap.OK))
	}
	weight := 0
	for _, s := range trees.spans {
		weight += s.Weight()
	}
	if len(trees.Roots()) > maxTrees || trees.weight != weight || len(trees.strays) > maxTrees || len(trees.waiting) > maxTrees {
		t.Errorf("%d trees, weight %d (%d), %d strays, %d waiting", len(trees.Roots()), trees.weight, weight, len(trees.strays), len(trees.waiting))
	}
	if trees.Evicted+len(trees.spans) != 4*(maxTrees+100) {
		t.Errorf("%d spans were evicted, and %d are left", trees.Evicted, len(trees.spans))
	}
}

// TestLate checks that a reply after the sender gave up is recognized from both ends.
func TestLate(t *testing.T) {
	var trees Trees
	sent := trees.Add(message("a", tap.Send, "x", "1", "", 10, tap.TimedOut))
	trees.Add(message("b", tap.Handle, "x", "2", "1", 11, tap.OK))
	if late := sent.Late(); late == nil || late.Service != "b" {
		t.Errorf("late: %+v", late)
	}
}

// TestLines checks that each message is printed once, with its handlers.
func TestLines(t *testing.T) {
	l := NewLines()
	now := time.Unix(100, 0)
	messages := request()
	var printed []string
	take := func(spans []*Span) {
		for _, s := range spans {
			printed = append(printed, fmt.Sprintf("%s %s %d", s.Service, s.Pattern, len(s.Handlers())))
		}
	}
	for _, i := range []int{6, 4, 3, 5, 2, 1, 0} {
		l.Add(messages[i], now)
		take(l.Take(now, false))
	}
	take(l.Take(now.Add(settling), false))
	take(l.Take(now.Add(2*settling), true))
	want := []string{"orders find 1", "gateway order 1", "gateway POST /orders 0", "orders failed 1"}
	if diff := cmp.Diff(want, printed); diff != "" {
		t.Error(diff)
	}
}

func TestFilter(t *testing.T) {
	m := Message{Service: "items", Record: tap.Record{
		Pattern: `{"cmd":"find"}`, Outcome: tap.Failed, Took: int64(20 * time.Millisecond), Trace: "abc", Correlation: "x-1",
		Data: json.RawMessage(`{"id":"Widget"}`), Error: &tap.Error{Message: "no item"}, Metadata: map[string]string{"lang": "de"},
	}}
	for want, filters := range map[bool][]Filter{
		true: {{}, {Service: "items"}, {Pattern: "find"}, {Errors: true}, {Slower: 20 * time.Millisecond}, {Trace: "bc"}, {Trace: "x-"}, {Text: "widget"}, {Text: "NO ITEM"}, {Text: "lang"}},
		false: {
			{Service: "item"}, {Pattern: "create"}, {Slower: 21 * time.Millisecond}, {Trace: "d"}, {Text: "gadget"},
			{Service: "items", Pattern: "create"},
		},
	} {
		for _, f := range filters {
			if f.Message(&m) != want || f.Tree(&Span{Message: m}) != want {
				t.Errorf("%+v: not %v", f, want)
			}
		}
	}
}
