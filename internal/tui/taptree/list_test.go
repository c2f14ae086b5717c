package taptree

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/outline"
	reported "github.com/msctl/msctl/runtime/tap"
)

func message(service string, kind reported.Kind, span, parent string, outcome reported.Outcome) tap.Message {
	return tap.Message{Service: service, Record: reported.Record{Kind: kind, Pattern: `"` + span + `"`, Span: span, Parent: parent, Start: 1, Took: 10, Outcome: outcome}}
}

// add adds trees of two rows, of which every third failed.
func add(l *List, from, to int) {
	for i := from; i < to; i++ {
		outcome := reported.OK
		if i%3 == 0 {
			outcome = reported.TimedOut
		}
		l.Add(message("gateway", reported.HTTP, fmt.Sprint("r", i), "", outcome))
		l.Add(message("gateway", reported.Emit, fmt.Sprint("c", i), fmt.Sprint("r", i), reported.OK))
	}
}

// window describes the visible rows: the selected one has a >.
func window(l *List, height int) (lines []string) {
	for _, line := range l.Window(height) {
		text := line.Row.Span.Span
		if line.Row.Kind == outline.Failure {
			text += "!"
		}
		if line.Selected {
			text = ">" + text
		}
		if line.Match {
			text += "*"
		}
		lines = append(lines, text)
	}
	return lines
}

func check(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got\n%s", what, diff)
	}
}

func TestList(t *testing.T) {
	var l List
	check(t, "empty", window(&l, 4), nil)
	l.Move(1)
	l.Home()
	if tree, _ := l.Selected(); tree != nil || l.Find(true) {
		t.Error("something is selected")
	}
	add(&l, 1, 5)
	check(t, "follows", window(&l, 5), []string{"c2", "r3", "c3", ">r4", "c4"})
	l.Move(-1)
	check(t, "up", window(&l, 5), []string{"c2", "r3", ">c3", "r4", "c4"})
	add(&l, 5, 9)
	check(t, "stays", window(&l, 5), []string{"c2", "r3", ">c3", "r4", "c4"})
	l.Move(3)
	check(t, "down", window(&l, 5), []string{"r3", "c3", "r4", "c4", ">r5"})
	l.Move(100)
	check(t, "to the end", window(&l, 5), []string{"c6", "r7", "c7", "r8", ">c8"})
	add(&l, 9, 10)
	check(t, "to the end does not follow", window(&l, 5), []string{"c6", "r7", "c7", "r8", ">c8"})
	l.Home()
	check(t, "home", window(&l, 5), []string{">r1", "c1", "r2", "c2", "r3"})
	check(t, "higher", window(&l, 7), []string{">r1", "c1", "r2", "c2", "r3", "c3", "r4"})
	l.End()
	check(t, "end", window(&l, 4), []string{"r8", "c8", ">r9", "c9"})
	check(t, "lower than the tree", window(&l, 1), []string{">r9"})
}

func TestFilter(t *testing.T) {
	var l List
	add(&l, 1, 8)
	l.Move(-100)
	l.SetFilter(tap.Filter{Errors: true})
	check(t, "errors", window(&l, 9), []string{">r3", "c3", "r6", "c6"})
	if l.Shown() != 2 {
		t.Errorf("%d trees are shown", l.Shown())
	}
	l.SetFilter(tap.Filter{Text: "C5"})
	l.End()
	check(t, "text", window(&l, 9), []string{">r5", "c5*"})
	if !l.Find(true) || l.Find(true) {
		t.Error("there is one match")
	}
	check(t, "found", window(&l, 9), []string{"r5", ">c5*"})
	l.SetFilter(tap.Filter{Service: "none"})
	check(t, "nothing", window(&l, 9), nil)
	l.SetFilter(tap.Filter{})
	check(t, "everything, at the same place", window(&l, 3), []string{"r5", ">c5", "r6"})
	check(t, "services", l.Services(), []string{"gateway"})
}

func TestPause(t *testing.T) {
	var l List
	add(&l, 1, 3)
	l.Pause(true)
	add(&l, 3, 5)
	check(t, "paused", window(&l, 9), []string{"r1", "c1", ">r2", "c2"})
	if on, waiting := l.Paused(); !on || waiting != 4 || l.Messages != 8 {
		t.Errorf("paused %t, %d wait, of %d", on, waiting, l.Messages)
	}
	l.Pause(false)
	check(t, "continued", window(&l, 4), []string{"r3", "c3", ">r4", "c4"})
	l.Pause(true)
	big := message("a", reported.Emit, "big", "", reported.OK)
	big.Data = json.RawMessage(make([]byte, maxQueuedWeight/4))
	for range 10 {
		l.Add(big)
	}
	if _, waiting := l.Paused(); waiting+l.LeftOut != 10 || waiting > 4 {
		t.Errorf("%d wait, %d were left out", waiting, l.LeftOut)
	}
}

// TestGone checks that the selection survives that its tree makes room for newer ones, and that a root
// becomes a child.
func TestGone(t *testing.T) {
	var l List
	add(&l, 0, 10)
	l.Home()
	l.Window(4)
	add(&l, 10, 6000)
	if lines := l.Window(4); len(lines) != 4 || !lines[0].Selected || lines[0].Row.Span != l.Trees().Roots()[0] {
		t.Errorf("%d rows are visible", len(lines))
	}
	l.End()
	l.Add(message("items", reported.Send, "child", "parent", reported.OK))
	check(t, "a root", window(&l, 2), []string{"c5999", ">child"})
	l.Move(0)
	l.Add(message("gateway", reported.HTTP, "parent", "", reported.OK))
	check(t, "a child", window(&l, 2), []string{"parent", ">child"})
}

// TestAnyMoves checks with random moves that the selected row is always visible, and that as much of the
// window is filled as possible.
func TestAnyMoves(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var l List
		n := 0
		for range 300 {
			switch random.IntN(8) {
			case 0, 1:
				add(&l, n, n+random.IntN(4))
				n += 4
			case 2, 3:
				l.Move(random.IntN(41) - 20)
			case 4:
				l.Home()
			case 5:
				l.End()
			case 6:
				l.SetFilter(tap.Filter{Errors: random.IntN(2) == 0})
			case 7:
				l.Find(random.IntN(2) == 0)
			}
			height := 1 + random.IntN(30)
			lines := l.Window(height)
			rows := 0
			for i := range l.Trees().Roots() {
				if l.layout(i).shown {
					rows += len(l.tree(i).Rows)
				}
			}
			selected := slices.IndexFunc(lines, func(line Line) bool { return line.Selected })
			if len(lines) != min(height, rows) || (selected < 0) != (rows == 0) {
				t.Fatalf("seed %d: %d of %d rows are visible in %d lines, selected %d", seed, len(lines), rows, height, selected)
			}
		}
	}
}

// BenchmarkAdd measures what a message costs, with a frame for every 500.
func BenchmarkAdd(b *testing.B) {
	var l List
	data := json.RawMessage(`{"id":"` + fmt.Sprintf("%01000d", 0) + `"}`)
	for i := 0; b.Loop(); i++ {
		m := message("gateway", reported.HTTP, fmt.Sprint("r", i), "", reported.OK)
		m.Data = data
		l.Add(m)
		if i%500 == 0 {
			l.Window(40)
			l.Shown()
		}
	}
}
