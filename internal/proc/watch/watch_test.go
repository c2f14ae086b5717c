package watch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		glob, base     string
		match, noMatch []string
	}{
		{"apps/mail/**", "apps/mail", []string{"apps/mail/a", "apps/mail/b/c", "apps/mail"}, []string{"apps/mailer/a", "apps"}},
		{"**/*.ts", "", []string{"a.ts", "a/b/c.ts"}, []string{"a.js", "a.ts/b"}},
		{"./src/*.js", "src", []string{"src/a.js"}, []string{"src/a/b.js", "a.js"}},
		{"a/**/z/*.go", "a", []string{"a/z/x.go", "a/b/c/z/x.go"}, []string{"a/b/x.go", "z/x.go"}},
		{"../mail/src/**", "../mail/src", []string{"../mail/src/a/b"}, []string{"mail/src/a"}},
		{"package.json", ".", []string{"package.json"}, []string{"a/package.json"}},
	} {
		for _, name := range tt.match {
			if !matchGlob(tt.glob, name) {
				t.Errorf("%s does not match %s", tt.glob, name)
			}
		}
		for _, name := range tt.noMatch {
			if matchGlob(tt.glob, name) {
				t.Errorf("%s matches %s", tt.glob, name)
			}
		}
		if got := globBase(tt.glob); got != tt.base {
			t.Errorf("globBase(%q) = %q, want %q", tt.glob, got, tt.base)
		}
	}
}

// TestSources checks which files rebuild a service.
func TestSources(t *testing.T) {
	known := Sources{dirs: map[string]bool{"/w/items": true}, files: map[string]bool{"/w/items/page.html": true, "/w/go.mod": true}}
	for path, want := range map[string]bool{
		"/w/items/main.go": true, "/w/items/main_test.go": false, "/w/items/page.html": true, "/w/items/notes.md": false,
		"/w/orders/main.go": false, "/w/go.mod": true, "/w/go.sum": false, "/w/items/x.s": true,
	} {
		if got := known.has(path); got != want {
			t.Errorf("has(%s) = %v, want %v", path, got, want)
		}
	}
	if !(Sources{}).has("/anywhere/x.go") || (Sources{}).has("/anywhere/x.md") {
		t.Error("the zero Sources must contain every source file and no other file")
	}
}

// TestMergedChanges checks that changes are merged while a service is busy.
func TestMergedChanges(t *testing.T) {
	s := &Subscription{Changes: make(chan Change, 1)}
	s.send(Change{Paths: []string{"c"}, Stray: true})
	s.send(Change{Paths: []string{"b"}})
	s.send(Change{Paths: []string{"a", "b"}, Stray: true})
	want := Change{Paths: []string{"a", "b", "c"}}
	if diff := cmp.Diff(want, <-s.Changes); diff != "" {
		t.Errorf("change (-want +got):\n%s", diff)
	}
}
