package policy_test

import (
	"context"
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
		{"canceled", context.Canceled},
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
		p := policy.New(policy.WithRetries(1), policy.WithRetryOn(classes))
		var names []string
		for _, k := range kinds {
			if attemptsOn(p, k.err) == 2 {
				names = append(names, k.name)
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
	}{
		{policy.WithRetryOn(), ""},
		{policy.WithRetryOn("transient"), ""},
		{policy.WithRetryOn("any"), "any"},
		{policy.WithRetryOn("never"), "never"},
		{policy.WithRetryOn("5xx", "timeout", "5xx"), "5xx,timeout"},
		{policy.WithRetryOn("5xx, timeout"), "5xx,timeout"},
		{policy.WithRetryIf(policy.Never), "custom"},
	}
	for _, c := range cases {
		p := policy.New(policy.WithRetries(1), c.option)
		if got := p.Settings().RetryOn; got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got := policy.New(policy.WithRetryOn("any"), policy.WithRetryOn()); got.Settings() != (policy.Settings{}) {
		t.Errorf("back to the default: %+v", got.Settings())
	}
	for classes, want := range map[string]string{
		"timeouts": `policy: WithRetryOn: unknown error class "timeouts"`, "600": `policy: WithRetryOn: unknown error class "600"`,
		"timeout,": `policy: WithRetryOn: unknown error class ""`, "any,never": "policy: WithRetryOn: the error class never cannot be combined with others",
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("WithRetryOn(%q): panic %v, want %q", classes, got, want)
				}
			}()
			policy.WithRetryOn(classes)
		}()
	}
}
