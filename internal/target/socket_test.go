package target

import (
	"strings"
	"testing"
)

func TestSockets(t *testing.T) {
	t.Chdir(t.TempDir())
	for text, want := range map[string]string{
		"unix:///run/items.sock":                "/run/items.sock",
		"unix:///a,/b":                          "/a,/b",
		"unix+tls:///run/items.sock":            "/run/items.sock",
		"unix:///run/a.sock,unix:///run/b.sock": "/run/a.sock,/run/b.sock",
	} {
		got, err := new(Flags).Parse(t.Context(), text)
		if err != nil || got.List() != want || got.Kind() != TCP || !got.Loopback() || got.Encrypted() != strings.Contains(text, "tls") {
			t.Errorf("%s: %+v, %v", text, got, err)
			continue
		}
		if again, err := new(Flags).Parse(t.Context(), got.String()); err != nil || again.List() != want {
			t.Errorf("%s becomes %s: %v", text, got, err)
		}
		if through := got.Through("127.0.0.1:1"); through.String() != "tcp://127.0.0.1:1" {
			t.Errorf("behind a proxy: %s", through)
		}
	}
	for _, text := range []string{"unix://run/items.sock", "unix://", "unix:///", "unix:///a?b", "unix:///a,/a"} {
		if got, err := new(Flags).Parse(t.Context(), text); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
