package proc

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
)

func TestReadLines(t *testing.T) {
	long := strings.Repeat("x", 300_000)
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"lines", "a\nb\n", []string{"a", "b"}},
		{"no end", "a\nb", []string{"a", "b"}},
		{"empty lines", "\n\na\n", []string{"", "", "a"}},
		{"carriage returns", "a\r\nb\rc\r\n", []string{"a", "b\rc"}},
		{"a long line", "a\n" + long + "\nb\n", []string{"a", long, "b"}},
		{"no text", "\xff\x00\n", []string{"\xff\x00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole": strings.NewReader(tt.text),
				"torn":  iotest.HalfReader(strings.NewReader(tt.text)),
				"fails": io.MultiReader(strings.NewReader(tt.text), iotest.ErrReader(io.ErrUnexpectedEOF)),
			} {
				var got []string
				readLines(r, func(line string) { got = append(got, line) })
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// TestEndlessLine: a line without an end is given in pieces, and nothing of it
// is lost.
func TestEndlessLine(t *testing.T) {
	const size = 2*maxLine + 1000
	pieces, total := 0, 0
	readLines(io.LimitReader(endless{}, size), func(line string) {
		pieces++
		total += len(line)
	})
	if total != size || pieces < 2 {
		t.Errorf("%d bytes in %d pieces, want %d in several", total, pieces, size)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestTail(t *testing.T) {
	var last tail
	for i := range tailLines + 5 {
		last.add(strings.Repeat("x", i))
	}
	lines := last.last()
	if len(lines) != tailLines || len(lines[0]) != 5 || len(lines[tailLines-1]) != tailLines+4 {
		t.Errorf("%d lines, from length %d to %d", len(lines), len(lines[0]), len(lines[len(lines)-1]))
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		glob, base string
		yes, no    []string
	}{
		{"apps/mail/**", "apps/mail", []string{"apps/mail/a", "apps/mail/b/c", "apps/mail"}, []string{"apps/mailer/a", "apps"}},
		{"**/*.ts", "", []string{"a.ts", "a/b/c.ts"}, []string{"a.js", "a.ts/b"}},
		{"./src/*.js", "src", []string{"src/a.js"}, []string{"src/a/b.js", "a.js"}},
		{"a/**/z/*.go", "a", []string{"a/z/x.go", "a/b/c/z/x.go"}, []string{"a/b/x.go", "z/x.go"}},
		{"../mail/src/**", "../mail/src", []string{"../mail/src/a/b"}, []string{"mail/src/a"}},
		{"package.json", ".", []string{"package.json"}, []string{"a/package.json"}},
	} {
		for _, name := range tt.yes {
			if !matchGlob(tt.glob, name) {
				t.Errorf("%s does not match %s", tt.glob, name)
			}
		}
		for _, name := range tt.no {
			if matchGlob(tt.glob, name) {
				t.Errorf("%s matches %s", tt.glob, name)
			}
		}
		if got := globBase(tt.glob); got != tt.base {
			t.Errorf("base of %s is %q, want %q", tt.glob, got, tt.base)
		}
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	for crash := range 40 {
		full := backoffMost
		if crash < 7 {
			full = min(backoffFirst<<crash, backoffMost)
		}
		if d := b.next(); d < full/2 || d >= full {
			t.Errorf("crash %d: %v, want from %v to %v", crash+1, d, full/2, full)
		}
	}
	b.reset()
	if d := b.next(); d > backoffFirst {
		t.Errorf("after a reset: %v", d)
	}
}

// TestEnvironment: where the service and the others are, and whose word counts.
func TestEnvironment(t *testing.T) {
	t.Setenv("PORT", "1")
	t.Setenv("GREETING", "from outside")
	t.Setenv("MSCTL_LISTENERS", "1=3")
	w, err := workspace.Parse("msctl.yaml", []byte(`name: shop
env: {LOG_LEVEL: debug, GREETING: for all}
services:
  items: {path: ./items, port: 3002, env: {GREETING: mine, MAIL_OUT_URL: "tcp://elsewhere:1"}}
  mail-out: {command: node mail.js, port: 3010, host: 0.0.0.0}
  gateway: {kind: gateway, path: ./gateway, port: 3001}
`))
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]map[string]string{
		"items": {
			"MS_HOST": "127.0.0.1", "MS_PORT": "3002", "PORT": "3002", "GREETING": "mine", "LOG_LEVEL": "debug",
			"GATEWAY_URL": "http://127.0.0.1:3001", "MAIL_OUT_URL": "tcp://elsewhere:1", "NO_COLOR": "1", "FORCE_COLOR": "", "MSCTL_LISTENERS": "",
		},
		"mail-out": {"MS_HOST": "0.0.0.0", "PORT": "3010", "GREETING": "for all", "ITEMS_URL": "tcp://127.0.0.1:3002", "MAIL_OUT_URL": ""},
	} {
		got := map[string]string{}
		for _, entry := range environment(w, w.Service(service), false) {
			name, value, _ := strings.Cut(entry, "=")
			if _, asked := want[name]; asked {
				got[name] = value
			}
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s has %s=%q, want %q", service, name, got[name], value)
			}
		}
	}
}

// TestSources: what rebuilds a service, and what does not.
func TestSources(t *testing.T) {
	known := sources{dirs: map[string]bool{"/w/items": true}, files: map[string]bool{"/w/items/page.html": true, "/w/go.mod": true}}
	for path, want := range map[string]bool{
		"/w/items/main.go": true, "/w/items/main_test.go": false, "/w/items/page.html": true, "/w/items/notes.md": false,
		"/w/orders/main.go": false, "/w/go.mod": true, "/w/go.sum": false, "/w/items/x.s": true,
	} {
		if got := known.has(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if !(sources{}).has("/anywhere/x.go") || (sources{}).has("/anywhere/x.md") {
		t.Error("while nothing is known, every source file counts, and only those")
	}
}

// TestMergedChanges: changes that come while a service is busy become one.
func TestMergedChanges(t *testing.T) {
	s := &service{change: make(chan change, 1)}
	s.notify(change{paths: []string{"c"}, stray: true})
	s.notify(change{paths: []string{"b"}})
	s.notify(change{paths: []string{"a", "b"}, stray: true})
	want := change{paths: []string{"a", "b", "c"}}
	got := <-s.change
	if diff := cmp.Diff(want.paths, got.paths); diff != "" || got.stray {
		t.Errorf("%+v (-want +got):\n%s", got, diff)
	}
}
