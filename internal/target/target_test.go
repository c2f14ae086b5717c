package target

import (
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

func TestNearest(t *testing.T) {
	known := []micro.Pattern{micro.Cmd("findAllItems"), micro.Cmd("echo"), micro.Name("item.v1.viewed"), micro.Fields(map[string]any{"cmd": "createItem", "v": 2}), micro.Name("cmd:book-retrieve")}
	tests := []struct {
		pattern micro.Pattern
		want    string
	}{
		{micro.Cmd("findAllItem"), "did you mean cmd=findAllItems?"},
		{micro.Name("findAllItems"), "did you mean cmd=findAllItems?"},
		{micro.Name("item.v1.view"), "did you mean item.v1.viewed?"},
		{micro.Cmd("createItem"), `did you mean '{"cmd":"createItem","v":2}'?`},
		{micro.Cmd("book-retrieve"), `did you mean '"cmd:book-retrieve"'? (quotes make it a string)`},
		{micro.Cmd("xyz"), ""},
	}
	for _, tt := range tests {
		got := ""
		if near := Nearest(tt.pattern, known); len(near) > 0 {
			got = didYouMean(tt.pattern, near)
		}
		if got != tt.want {
			t.Errorf("near %s: %s, want %s", tt.pattern, got, tt.want)
		}
	}
}
