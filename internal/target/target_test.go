package target

import (
	"slices"
	"testing"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
)

func TestParseTarget(t *testing.T) {
	t.Chdir(t.TempDir()) // no workspace
	tests := []struct {
		text string
		want string // "" for a usage error
	}{
		{"tcp://localhost:3002", "tcp://localhost:3002"},
		{"tls://a.example:443", "tls://a.example:443"},
		{"localhost:3002", "tcp://localhost:3002"},
		{":3002", "tcp://localhost:3002"},
		{"tcp://a:1,b:2", "tcp://a:1,b:2"},
		{"tcp://a:1, tcp://b:2", "tcp://a:1,b:2"},
		{"tcp://[::1]:3002", "tcp://[::1]:3002"},
		{"http://localhost:3001/items?x=1", "http://localhost:3001/items?x=1"},
		{"", ""},
		{"tcp://", ""},
		{"tcp://a", ""},
		{"tcp://a:0", ""},
		{"tcp://a:65536", ""},
		{"tcp://a:x", ""},
		{"tcp://a:1/path", ""},
		{"tcp://user@a:1", ""},
		{"tcp://a:1,a:1", ""},
		{"tcp://a:1,", ""},
		{"http://", ""},
		{"mqtt://localhost:1883", ""},
		{"items", ""},
	}
	for _, tt := range tests {
		got, err := new(Flags).Parse(t.Context(), tt.text)
		if tt.want == "" {
			if err == nil || exit.Code(err) != exit.Usage {
				t.Errorf("parseTarget(%q) = %s, %v; want a usage error", tt.text, got, err)
			}
			continue
		}
		if err != nil || got.String() != tt.want {
			t.Errorf("parseTarget(%q) = %s, %v; want %s", tt.text, got, err, tt.want)
		}
	}
}

func TestNearestRoutes(t *testing.T) {
	routes := []string{`{"cmd":"findAllItems"}`, `{"cmd":"echo"}`, `item.v1.viewed`, `{"cmd":"createItem","v":2}`}
	tests := []struct {
		pattern micro.Pattern
		want    []string
	}{
		{micro.Cmd("findAllItem"), []string{`{"cmd":"findAllItems"}`}},
		{micro.Name("findAllItems"), []string{`{"cmd":"findAllItems"}`}},
		{micro.Name("item.v1.view"), []string{`item.v1.viewed`}},
		{micro.Cmd("createItem"), []string{`{"cmd":"createItem","v":2}`}},
		{micro.Cmd("xyz"), []string{}},
	}
	for _, tt := range tests {
		if got := NearestRoutes(tt.pattern, routes); !slices.Equal(got, tt.want) {
			t.Errorf("near %s: %q, want %q", tt.pattern, got, tt.want)
		}
	}
}
