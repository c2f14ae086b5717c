package cli

import (
	"slices"
	"testing"
)

func TestJitterMayStandAlone(t *testing.T) {
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
		f := policyFlags{jitter: tt.jitter}
		if rest := f.takeJitter(tt.args); !slices.Equal(rest, tt.rest) || f.jitter != tt.want {
			t.Errorf("--jitter=%s %q: jitter %s, arguments %q", tt.jitter, tt.args, f.jitter, rest)
		}
	}
}
