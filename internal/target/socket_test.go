package target

import (
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/workspace"
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

// TestRedisForms checks the addresses of Redis on Unix sockets and with Sentinel, wherever an
// address can be given.
func TestRedisForms(t *testing.T) {
	t.Chdir(t.TempDir())
	for text, want := range map[string]struct{ text, dials string }{
		"redis+unix:///run/redis.sock":                          {"redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock"},
		"redis+unix://app:s3cret@/run/redis.sock?wildcards":     {"redis+unix://app@/run/redis.sock?wildcards", "redis+unix://app:s3cret@/run/redis.sock"},
		"redis+sentinel://a,b:1/shop":                           {"redis+sentinel://a:26379,b:1/shop", "redis+sentinel://a:26379/shop,redis+sentinel://b:1/shop"},
		"rediss+sentinel://:s3cret@a,:s3cret@b/shop/2?family=0": {"rediss+sentinel://@a:26379,b:26379/shop/2", "rediss+sentinel://:s3cret@a:26379/shop/2,rediss+sentinel://:s3cret@b:26379/shop/2"},
	} {
		t.Setenv("REDIS_URL", "")
		direct, err := new(Flags).Parse(t.Context(), text)
		if err != nil || direct.String() != want.text || direct.dialURLs() != want.dials || direct.Kind() != Redis || direct.Encrypted() != strings.HasPrefix(text, "rediss") {
			t.Errorf("%s: %s, dials %s, %v", text, direct, direct.dialURLs(), err)
		}
		t.Setenv(PasswordVariable, "s3cret")
		if again, err := new(Flags).Parse(t.Context(), direct.String()); err != nil || again.dialURLs() != want.dials {
			t.Errorf("%s: again dials %s, %v", direct, again.dialURLs(), err)
		}
		t.Setenv(PasswordVariable, "")
		if err := workspace.CheckBrokerURL(workspace.Redis, text); err != nil {
			t.Errorf("in msctl.yaml: %v", err)
		}
		t.Setenv("REDIS_URL", text)
		named, err := locations{w: &workspace.Workspace{}}.target(&workspace.Service{Name: "mail", Transport: workspace.Redis})
		if err != nil || named.dialURLs() != want.dials {
			t.Errorf("REDIS_URL=%s: dials %s, %v", text, named.dialURLs(), err)
		}
	}
	t.Setenv("REDIS_URL", "unix://:s3cret@/run/redis.sock")
	named, err := locations{w: &workspace.Workspace{}}.target(&workspace.Service{Name: "mail", Transport: workspace.Redis})
	if err != nil || named.dialURLs() != "redis+unix://:s3cret@/run/redis.sock" {
		t.Errorf("unix:// in REDIS_URL: %s, %v", named.dialURLs(), err)
	}
	for _, text := range []string{"redis+unix://run/redis.sock", "redis+unix://", "redis+unix://a:s3/cret@/run/redis.sock", "redis+sentinel://a", "redis+sentinel://a/", "redis+sentinel:///shop"} {
		if got, err := new(Flags).Parse(t.Context(), text); err == nil || exit.Code(err) != exit.Usage || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}
