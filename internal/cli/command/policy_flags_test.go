package command

import (
	"slices"
	"testing"
)

func TestTakeJitter(t *testing.T) {
	tests := []struct {
		jitter     string
		args, rest []string
		want       string
	}{
		{"none", []string{"cmd=x", "full"}, []string{"cmd=x", "full"}, "none"},
		{"full", []string{"cmd=x"}, []string{"cmd=x"}, "full"},
		{"full", []string{"equal", "cmd=x"}, []string{"cmd=x"}, "equal"},
		{"full", []string{"cmd=x", "none"}, []string{"cmd=x"}, "none"},
	}
	for _, tt := range tests {
		if rule, rest := TakeJitter(tt.jitter, tt.args); !slices.Equal(rest, tt.rest) || rule != tt.want {
			t.Errorf("--jitter=%s %q: rule %s, arguments %q", tt.jitter, tt.args, rule, rest)
		}
	}
}
