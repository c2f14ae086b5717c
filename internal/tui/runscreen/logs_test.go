package runscreen

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// visibleLines describes what is visible: the selected line has a >.
func visibleLines(l *logs, width, height int) (lines []string) {
	for _, r := range l.window(width, height) {
		text := r.line.String()
		if r.selected {
			text = ">" + text
		}
		lines = append(lines, text)
	}
	return lines
}

func numbered(l *logs, from, to int) {
	for i := from; i < to; i++ {
		l.add(entry{service: []string{"even", "odd"}[i%2], text: fmt.Sprint(i)})
	}
}

func check(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got\n%s", what, diff)
	}
}

func TestLogs(t *testing.T) {
	var l logs
	check(t, "empty", visibleLines(&l, 10, 3), nil)
	l.move(1)
	if l.current() != nil || l.search("x") {
		t.Error("something is selected")
	}
	numbered(&l, 0, 6)
	check(t, "follows", visibleLines(&l, 10, 3), []string{"3", "4", "5"})
	l.move(-1)
	check(t, "up", visibleLines(&l, 10, 3), []string{"3", ">4", "5"})
	numbered(&l, 6, 9)
	check(t, "stays", visibleLines(&l, 10, 3), []string{"3", ">4", "5"})
	l.filter("even", "")
	check(t, "of a service", visibleLines(&l, 10, 3), []string{"2", ">4", "6"})
	l.filter("odd", "")
	check(t, "of another one", visibleLines(&l, 10, 3), []string{"3", ">5", "7"})
	l.filter("", "")
	check(t, "all again", visibleLines(&l, 10, 3), []string{"4", ">5", "6"})
	if !l.search("2") || l.next(true) || l.next(false) {
		t.Error("there is one match")
	}
	check(t, "found", visibleLines(&l, 10, 4), []string{">2", "3", "4", "5"})
	l.end()
	check(t, "end", visibleLines(&l, 10, 20), []string{"0", "1", "2", "3", "4", "5", "6", "7", "8"})
	l.home()
	check(t, "home", visibleLines(&l, 10, 2), []string{">0", "1"})
}

func TestWrappedLogs(t *testing.T) {
	var l logs
	l.wraps = true
	l.add(entry{text: "short"})
	l.add(entry{text: "abcdefghijkl"})
	check(t, "the end of a long line", visibleLines(&l, 5, 2), []string{"fghij", "kl"})
	check(t, "all of it", visibleLines(&l, 5, 9), []string{"short", "abcde", "fghij", "kl"})
	l.home()
	check(t, "its beginning", visibleLines(&l, 5, 2), []string{">short", "abcde"})
	l.wraps, l.left = false, 5
	check(t, "a part of each", visibleLines(&l, 5, 2), []string{">", "fghijkl"})
}

// TestBounds checks that memory is bounded, and that the selection survives that its line is dropped.
func TestBounds(t *testing.T) {
	var l logs
	numbered(&l, 0, 10)
	l.home()
	l.filter("odd", "")
	numbered(&l, 10, 3*maxLines)
	if len(l.entries) != maxLines || len(l.shown) != maxLines/2 || l.dropped != 2*maxLines {
		t.Errorf("%d lines, %d shown, %d dropped", len(l.entries), len(l.shown), l.dropped)
	}
	if e := l.current(); e == nil || e.text != fmt.Sprint(2*maxLines+1) {
		t.Errorf("%+v is selected", e)
	}
	long := strings.Repeat("\x1b[31m日", maxLine/2)
	for range 2*maxWeight/maxLine + 1 {
		l.add(entry{text: long})
	}
	if l.weight > maxWeight {
		t.Errorf("%d bytes", l.weight)
	}
	if text := l.entries[len(l.entries)-1].text; len(text) > maxLine+10 || !strings.HasSuffix(text, "日 …") {
		t.Errorf("a long line is kept as %d bytes", len(text))
	}
}

// TestAnyMoves checks with random moves that the selected line is always visible, and that as much of
// the window is filled as possible.
func TestAnyMoves(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var l logs
		n := 0
		for range 300 {
			switch random.IntN(8) {
			case 0, 1:
				numbered(&l, n, n+random.IntN(5))
				n += 5
			case 2, 3:
				l.move(random.IntN(41) - 20)
			case 4:
				l.home()
			case 5:
				l.end()
			case 6:
				l.filter([]string{"", "odd", "even"}[random.IntN(3)], "")
			case 7:
				l.wraps = !l.wraps
				l.add(entry{text: strings.Repeat("x", random.IntN(60))})
			}
			width, height := 1+random.IntN(10), 1+random.IntN(20)
			rows := l.window(width, height)
			most, selected := 0, 0
			for _, number := range l.shown {
				most += len(l.rows(number, width, false))
			}
			for _, r := range rows {
				if r.selected {
					selected++
				}
			}
			if len(rows) != min(most, height) || (l.stays && len(l.shown) > 0) != (selected > 0) {
				t.Fatalf("seed %d: %d of %d lines in %d, %d of the selected one", seed, len(rows), most, height, selected)
			}
		}
	}
}

func TestIDOf(t *testing.T) {
	for text, want := range map[string]string{
		"INFO request status=200 correlation_id=1eee04896bfbe6868": "1eee04896bfbe6868",
		`{"msg":"x","correlationId":"ab-12.cd"}`:                   "ab-12.cd",
		"Trace-ID: 0af7651916cd43dd8448eb211c80319c":               "0af7651916cd43dd8448eb211c80319c",
		"[requestId=7f3a]":    "7f3a",
		"no ID: correlation":  "",
		"correlation_id= x=1": "",
	} {
		if got := idOf(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// BenchmarkAdd measures what a line costs, with a frame for every 500.
func BenchmarkAdd(b *testing.B) {
	var l logs
	line := "09:30:21.044 INFO request method=POST path=/orders status=201 took=5.7ms correlation_id=1eee04896bfbe6868"
	for i := 0; b.Loop(); i++ {
		l.add(entry{service: "items", text: line})
		if i%500 == 0 {
			l.window(100, 40)
		}
	}
}
