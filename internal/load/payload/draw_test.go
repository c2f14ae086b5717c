package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
)

// TestDrawsRepeat checks that random values depend only on the seed and the request's
// number, in any order of the requests.
func TestDrawsRepeat(t *testing.T) {
	const data = `{"i":{{int 1 1000000}},"f":{{float 0 1}},"p":{{pick "a" "b" "c"}},"u":"{{uuid}}"}`
	made := func(seed uint64, order func(i uint64) uint64) map[uint64]string {
		s, err := source(t, data, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		list := map[uint64]string{}
		for i := range uint64(100) {
			list[order(i)] = string(s.Make(order(i)))
		}
		return list
	}
	forward := made(1, func(i uint64) uint64 { return i })
	backward := made(1, func(i uint64) uint64 { return 99 - i })
	other := made(2, func(i uint64) uint64 { return i })
	different := map[string]bool{}
	for i, text := range forward {
		different[text] = true
		if backward[i] != text {
			t.Errorf("request %d: %s, and in another order %s", i, text, backward[i])
		}
		if other[i] == text {
			t.Errorf("request %d is the same with another seed: %s", i, text)
		}
	}
	if len(different) != 100 {
		t.Errorf("%d different data of 100 requests", len(different))
	}
}

// TestDrawsAreSpread checks that integers are uniform over their range, including both
// ends.
func TestDrawsAreSpread(t *testing.T) {
	s, err := source(t, `[{{int -2 2}},{{float 5 6}}]`, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[float64]int{}
	for i := range uint64(5000) {
		var got [2]float64
		if err := json.Unmarshal(s.Make(i), &got); err != nil {
			t.Fatal(err)
		}
		counts[got[0]]++
		if got[1] < 5 || got[1] >= 6 {
			t.Errorf("a number from 5 to 6 is %g", got[1])
		}
	}
	for v := -2.0; v <= 2; v++ {
		if n := counts[v]; n < 850 || n > 1150 { // 1000, five standard deviations of 28
			t.Errorf("%g is drawn %d times of 5000", v, n)
		}
	}
	if len(counts) != 5 {
		t.Errorf("drawn: %v", counts)
	}
}

// TestCutErrors checks that errors name the expression.
func TestCutErrors(t *testing.T) {
	var text Text
	_, err := text.Cut(`{"a":"{{seq}}","b":{{uuid`)
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Expression != `{{uuid` {
		t.Errorf("%v, want a *SyntaxError about {{uuid", err)
	}
	text = Text{}
	if _, err := text.Cut(strings.Repeat("{{seq}}", maxExpressions)); err != nil {
		t.Errorf("%d expressions: %v", maxExpressions, err)
	}
	if _, err := text.Cut("{{one}}"); !errors.As(err, &syntax) || syntax.Expression != "{{one}}" {
		t.Errorf("one more: %v, want a *SyntaxError about it", err)
	}
}

// TestRowsThatDoNotFit checks that the error names the first row that the template does
// not fit, counted from 1.
func TestRowsThatDoNotFit(t *testing.T) {
	for rows, want := range map[string]string{
		`{"id":1};{"name":"x"};{}`: "(row 2)",
		`{"id":1};17`:              "(row 2)",
		`{"id":1};{"id":`:          "read a row",
	} {
		var list []json.RawMessage
		for _, row := range strings.Split(rows, ";") {
			list = append(list, json.RawMessage(row))
		}
		if _, err := source(t, `{"id":{{.id}}}`, Options{Rows: list}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", rows, err, want)
		}
	}
}

// TestMetaConcurrently checks that concurrent attempts do not see each other's numbers.
func TestMetaConcurrently(t *testing.T) {
	value, err := Meta("{{seq}}/{{attempt}}")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for seq := range uint64(500) {
				if got, want := value(seq, &micro.Request{Attempt: g + 1}), fmt.Sprintf("%d/%d", seq, g+1); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
	wg.Wait()
}
