package policy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestRetryOn holds each class against each kind of error.
func TestRetryOn(t *testing.T) {
	kinds := []struct {
		name string
		err  error
	}{
		{"none", nil},
		{"timeout", fmt.Errorf("call: %w", micro.ErrTimeout)},
		{"unreachable", micro.ErrUnreachable},
		{"lost", micro.ErrConnectionLost},
		{"500", remote("500")},
		{"503", fmt.Errorf("call: %w", remote("503"))},
		{"429", remote("429")},
		{"no status", remote(`"error"`)},
		{"our own 503", micro.Errorf(503, "made here")},
		{"our own timeout", micro.Errorf(504, "made here: %w", micro.ErrTimeout)},
		{"shed", micro.ErrShed},
		{"closed", micro.ErrClosed},
		{"cancelled", context.Canceled},
		{"other", errOther},
	}
	cases := map[string]string{
		"":                "timeout unreachable lost 503 429",
		"transient":       "timeout unreachable lost 503 429",
		"timeout":         "timeout",
		"unreachable":     "unreachable",
		"reset":           "lost",
		"error":           "500 503 429 no status",
		"503":             "503",
		"5xx":             "500 503",
		"4xx,unreachable": "unreachable 429",
		"any":             "timeout unreachable lost 500 503 429 no status our own 503 our own timeout other",
		"never":           "",
	}
	for classes, want := range cases {
		match, err := policy.ParseRetryOn(classes)
		if err != nil {
			t.Errorf("%s: %v", classes, err)
			continue
		}
		var names []string
		for _, k := range kinds {
			if match(k.err) {
				names = append(names, k.name)
			}
			if same := policy.RetryOn(strings.Split(classes, ",")...); classes != "" && same(k.err) != match(k.err) {
				t.Errorf("RetryOn(%s) and ParseRetryOn differ about %s", classes, k.name)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s matches %s, want %s", classes, got, want)
		}
	}
}

// TestRetryOnIsInTheSettings: by its names, each once, and by custom for a
// function.
func TestRetryOnIsInTheSettings(t *testing.T) {
	cases := []struct {
		option policy.Option
		want   string
		text   string
	}{
		{policy.WithRetryOn(), "", "no timeout, 1 retry at once"},
		{policy.WithRetryOn("transient"), "", "no timeout, 1 retry at once"},
		{policy.WithRetryOn("any"), "any", "no timeout, 1 retry at once on any error"},
		{policy.WithRetryOn("never"), "never", "no timeout, 1 retry at once on never"},
		{policy.WithRetryOn("5xx", "timeout", "5xx"), "5xx,timeout", "no timeout, 1 retry at once on 5xx,timeout"},
		{policy.WithRetryOn("5xx, timeout"), "5xx,timeout", "no timeout, 1 retry at once on 5xx,timeout"},
		{policy.WithRetryIf(policy.Never), "custom", "no timeout, 1 retry at once on custom"},
	}
	for _, c := range cases {
		p := policy.New(policy.WithRetries(1), c.option)
		if got := p.Settings().RetryOn; got != c.want || p.String() != c.text {
			t.Errorf("%q %q, want %q %q", got, p, c.want, c.text)
		}
	}
	if got := policy.New(policy.WithRetryOn("any"), policy.WithRetryOn()); got.Settings() != (policy.Settings{}) {
		t.Errorf("back to the default: %+v", got.Settings())
	}
	defer func() {
		if recover() == nil {
			t.Error("an unknown class does not panic")
		}
	}()
	policy.WithRetryOn("timeouts")
}

func TestParseRetryOnPointsAtWhatIsWrong(t *testing.T) {
	wrong := map[string]int{
		",": 0, "timeouts": 0, "timeout,": 8, "timeout, Reset": 9, "600": 0, "99": 0, "6xx": 0, "0xx": 0, "xx": 0, "5xxx": 0, "+5x": 0, "-503": 0,
		"5XX": 0, "never,any": 0, "any,never": 4, "custom": 0, "timeout,,any": 8, " ": 0,
	}
	for text, offset := range wrong {
		_, err := policy.ParseRetryOn(text)
		var at *policy.SyntaxError
		if !errors.As(err, &at) || at.Offset != offset || at.What != "retry-on" {
			t.Errorf("%q: %v, want the offset %d", text, err, offset)
		}
	}
}

func FuzzParseRetryOn(f *testing.F) {
	for _, text := range []string{"", "any", "timeout,5xx,503", " reset , 4xx", "never", "é,5xx"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		match, err := policy.ParseRetryOn(text)
		if err != nil {
			checkSyntaxError(t, err, text)
			return
		}
		p, err := policy.FromSettings(policy.Settings{RetryOn: text})
		if err != nil {
			t.Fatal(err)
		}
		again, err := policy.FromSettings(p.Settings())
		if err != nil || again.Settings() != p.Settings() {
			t.Errorf("%q is %+v, then %v", text, p.Settings(), err)
		}
		if match(nil) {
			t.Errorf("%q matches no error", text)
		}
	})
}
