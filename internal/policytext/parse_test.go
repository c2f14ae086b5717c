package policytext

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/policy"
)

func TestParseJitter(t *testing.T) {
	for _, text := range []string{"none", "full", "equal"} {
		if j, ok := ParseJitter(text); !ok || j.String() != text {
			t.Errorf("ParseJitter(%q) = %s, %t", text, j, ok)
		}
	}
	if _, ok := ParseJitter("some"); ok {
		t.Error(`ParseJitter("some") is accepted`)
	}
}

func TestParseBudget(t *testing.T) {
	for text, want := range map[string]policy.Budget{
		"20%": {Ratio: 0.2}, "10/s": {Floor: 10}, "20%+10/s": {Ratio: 0.2, Floor: 10}, "1.5/s+0.5%": {Ratio: 0.005, Floor: 1.5}, "none": {}, "0%": {},
	} {
		got, err := ParseBudget(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
		if again, err := ParseBudget(FormatBudget(got)); err != nil || again != got {
			t.Errorf("%s: formatted as %s, which is %+v, %v", text, FormatBudget(got), again, err)
		}
	}
	for text, offset := range map[string]int{
		"": 0, "20": 0, "%": 0, "/s": 0, "-1%": 0, "NaN%": 0, "20%+": 4, "+": 0, "20%+5%": 4, "1/s+2/s": 4, "20%10/s": 0, "inf/s": 0,
	} {
		var at *SyntaxError
		if _, err := ParseBudget(text); !errors.As(err, &at) || at.Offset != offset || at.What != "budget" {
			t.Errorf("%q: %v, want an error at offset %d", text, err, offset)
		}
	}
}

func TestParseRetryOn(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "any": "any", "never": "never", "timeout, 5xx,503": "timeout|5xx|503", " reset , 4xx": "reset|4xx",
	} {
		if got, err := ParseRetryOn(text); err != nil || strings.Join(got, "|") != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	wrong := map[string]int{
		",": 0, "timeouts": 0, "timeout,": 8, "timeout, Reset": 9, "600": 0, "99": 0, "6xx": 0, "0xx": 0, "xx": 0, "5xxx": 0, "+5x": 0, "-503": 0,
		"5XX": 0, "never,any": 0, "any,never": 4, "custom": 0, "timeout,,any": 8, " ": 0,
	}
	for text, offset := range wrong {
		_, err := ParseRetryOn(text)
		var at *SyntaxError
		if !errors.As(err, &at) || at.Offset != offset || at.What != "retry-on" {
			t.Errorf("%q: %v, want an error at offset %d", text, err, offset)
		}
	}
}

// FuzzParseRetryOn checks that every accepted list is one that WithRetryOn accepts.
func FuzzParseRetryOn(f *testing.F) {
	for _, text := range []string{"", "any", "timeout,5xx,503", " reset , 4xx", "never", "é,5xx"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		classes, err := ParseRetryOn(text)
		if err != nil {
			checkSyntaxError(t, err, text)
			return
		}
		p := policy.New(policy.WithRetryOn(classes...)) // panics on an unknown class
		if again, err := ParseRetryOn(p.Settings().RetryOn); err != nil || policy.New(policy.WithRetryOn(again...)).Settings() != p.Settings() {
			t.Errorf("%q: %q, then %q, %v", text, classes, again, err)
		}
	})
}

func TestParseBreaker(t *testing.T) {
	cases := []struct {
		text, canonical string
	}{
		{"none", "none"},
		{"50%", "50%/10s+5s"},
		{"50%/10s+5s", "50%/10s+5s"},
		{"100%/1m", "100%/1m0s+5s"},
		{"12.5%+250ms", "12.5%/10s+250ms"},
		{"7%,min=20,probes=1", "7%/10s+5s"},
		{"50%/10s+5s,probes=3,min=5", "50%/10s+5s,min=5,probes=3"},
	}
	for _, c := range cases {
		b, err := ParseBreaker(c.text)
		if err != nil || FormatBreaker(b) != c.canonical {
			t.Errorf("%s: %+v, %v, want %s", c.text, b, err, c.canonical)
		}
	}
	want := policy.Breaker{Ratio: 0.57, Window: 2 * time.Second, Cooldown: 3 * time.Second, Minimum: 4, Probes: 5}
	if got, err := ParseBreaker("57%/2s+3s,min=4,probes=5"); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestParseBreakerPointsAtWhatIsWrong(t *testing.T) {
	wrong := map[string]int{
		"": 0, "50": 0, "%": 0, "0%": 0, "101%": 0, "-5%": 0, "1e1%": 0, "x%/1s": 0, "50%10s": 3, "50%/": 4, "50%/10": 4, "50%/0s": 4, "50%/-1s": 4,
		"50%/+5s": 4, "50%+": 4, "50%/10s+": 8, "50%/10s+x": 8, "50%/10s+5s+5s": 8, "50%,": 4, "50%,min": 4, "50%,min=": 8, "50%,min=0": 8,
		"50%,min=1.5": 8, "50%,max=2": 4, "50%,min=2,min=3": 10, "50%,probes=99999999999": 11,
	}
	for text, offset := range wrong {
		_, err := ParseBreaker(text)
		var at *SyntaxError
		if !errors.As(err, &at) || at.Offset != offset || at.What != "breaker" || at.Text != text {
			t.Errorf("%q: %v, want the offset %d", text, err, offset)
		}
	}
	_, err := ParseBreaker("50%/10")
	if want := `breaker "50%/10", column 5: "10" is not a duration greater than 0, such as 5s`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func FuzzParseBreaker(f *testing.F) {
	for _, text := range []string{"none", "50%/10s+5s", "0.0001%+1ns,min=1,probes=2", "1%/1h2m3.5s", "50%,,", "%%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ParseBreaker(text)
		if err != nil {
			checkSyntaxError(t, err, text)
			return
		}
		again, err := ParseBreaker(FormatBreaker(b))
		if err != nil || again != b {
			t.Errorf("%q is %+v, and %q is %+v, %v", text, b, FormatBreaker(b), again, err)
		}
	})
}

func checkSyntaxError(t *testing.T, err error, text string) {
	t.Helper()
	var at *SyntaxError
	if !errors.As(err, &at) || at.Offset < 0 || at.Offset > len(text) || at.Text != text || err.Error() == "" {
		t.Errorf("%q: %#v", text, err)
	}
}

func TestParseHedge(t *testing.T) {
	cases := map[string]policy.Hedge{
		"none":         {},
		"50ms":         {Delay: 50 * time.Millisecond, Max: 1},
		"1.5s,max=2":   {Delay: 1500 * time.Millisecond, Max: 2},
		"p95":          {Quantile: 0.95, Max: 1},
		"p99.9,max=12": {Quantile: 0.999, Max: 12},
	}
	for text, want := range cases {
		if got, err := ParseHedge(text); err != nil || got != want || FormatHedge(got) != text {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	wrong := map[string]int{
		"": 0, "50": 0, "p": 0, "p49": 0, "p100": 0, "p99.95": 0, "-5ms": 0, "0s": 0, "px": 0, "p9e1": 0, ",max=2": 0,
		"p95,": 4, "p95,2": 4, "p95,max=0": 8, "50ms,max=x": 9, "p95,max=1,max=2": 10, "p95,min=2": 4,
	}
	for text, offset := range wrong {
		_, err := ParseHedge(text)
		var at *SyntaxError
		if !errors.As(err, &at) || at.Offset != offset || at.What != "hedge" {
			t.Errorf("%q: %v, want the offset %d", text, err, offset)
		}
	}
}

func FuzzParseHedge(f *testing.F) {
	for _, text := range []string{"none", "50ms", "p95", "p99.9,max=3", "1h2m3.5s,max=2", "p,", "p50.00001"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHedge(text)
		if err != nil {
			checkSyntaxError(t, err, text)
			return
		}
		if again, err := ParseHedge(FormatHedge(h)); err != nil || again != h {
			t.Errorf("%q is %+v, and %q is %+v, %v", text, h, FormatHedge(h), again, err)
		}
	})
}
