package nearest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWords(t *testing.T) {
	commands := []string{"new", "run", "send", "emit", "bench", "version", "completion"}
	tests := []struct {
		word       string
		candidates []string
		want       []string
	}{
		{"sned", commands, []string{"send"}},
		{"SEND", commands, []string{"send"}},
		{"benhc", commands, []string{"bench"}},
		{"xyzzy", commands, []string{}},
		{"", commands, []string{}},
		{"comp", commands, []string{"completion"}},
		{"findAllItem", []string{"createItem", "findAllItems", "findOneItem"}, []string{"findAllItems", "findOneItem"}},
		{"depend_on", []string{"path", "depends_on"}, []string{"depends_on"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, Words(tt.word, tt.candidates, 2)); diff != "" {
			t.Errorf("Words(%q) (-want +got):\n%s", tt.word, diff)
		}
	}
	if got := Word("rn", commands); got != "run" {
		t.Errorf("Word(rn) = %q", got)
	}
	if got := Word("zzz", commands); got != "" {
		t.Errorf("Word(zzz) = %q", got)
	}
}
