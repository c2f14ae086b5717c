package node_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/test/testenv"
	protocol "github.com/msctl/msctl/runtime/tap"
)

// link is how a service of a chain is reached, as arguments of tap-service.mjs.
type link map[string]string

func (l link) args() (args []string) {
	for name, value := range l {
		args = append(args, "--"+name, value)
	}
	return args
}

// newLinks returns links to services over a transport.
func newLinks(t *testing.T, transport string, names ...string) []link {
	t.Helper()
	var links []link
	for _, name := range names {
		links = append(links, link{"name": name, "transport": transport})
	}
	for _, l := range links {
		switch transport {
		case "tcp":
			l["port"] = freePort(t)
		case "rmq":
			l["queue"] = testenv.Unique(t, l["name"])
		}
	}
	var broker *testenv.Broker
	switch transport {
	case "rmq":
		broker = testenv.RabbitMQ(t)
	case "redis":
		broker = testenv.Redis(t)
	case "nats":
		broker = testenv.NATS(t)
	}
	for _, l := range links {
		if broker != nil {
			l["url"] = broker.URL
		}
	}
	return links
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

// chain is a program that serves HTTP, and the services a and b that it leads to.
type chain struct {
	*collector
	edge string // the URL of the program that serves HTTP
}

func startChain(t *testing.T, transport string, versions [3]testenv.Version) *chain {
	t.Helper()
	for _, version := range versions {
		testenv.NeedNest(t, version)
	}
	c := &chain{collector: listen(t)}
	links := newLinks(t, transport, "a", "b")
	a, b := links[0], links[1]
	script, port := preload(t), freePort(t)
	next := func(l link) string {
		text, _ := json.Marshal(l) // never fails for strings
		return string(text)
	}
	c.start(t, versions[2], script, "b", append([]string{"tap-service.mjs"}, b.args()...)...)
	c.start(t, versions[1], script, "a", append([]string{"tap-service.mjs", "--next", next(b)}, a.args()...)...)
	c.start(t, versions[0], script, "edge", "tap-service.mjs", "--name", "edge", "--http", "--port", port, "--next", next(a))
	c.edge = "http://127.0.0.1:" + port
	return c
}

func (c *chain) get(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.edge+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// tree returns the tree below an HTTP request, as text.
func tree(messages []tap.Message, path string) string {
	last := map[string]tap.Message{}
	for _, m := range messages {
		if seen, ok := last[m.Span]; !ok || seen.Open {
			last[m.Span] = m
		}
	}
	children := map[string][]tap.Message{}
	for _, m := range last {
		children[m.Parent] = append(children[m.Parent], m)
	}
	var b strings.Builder
	var write func(m tap.Message, depth int)
	write = func(m tap.Message, depth int) {
		fmt.Fprintf(&b, "%s%s\n", strings.Repeat("  ", depth), line(m))
		below := children[m.Span]
		slices.SortFunc(below, func(a, b tap.Message) int { return cmp.Compare(a.Start, b.Start) })
		for _, child := range below {
			if child.Trace == m.Trace {
				write(child, depth+1)
			}
		}
	}
	for _, m := range children[""] {
		if m.Kind == protocol.HTTP && m.Path == path {
			write(m, 0)
		}
	}
	return b.String()
}

var word = regexp.MustCompile(`"cmd":"(\w+)"|^"\w+\.(\w+)"$`)

func line(m tap.Message) string {
	words := []string{string(m.Kind), m.Service}
	if m.Kind == protocol.HTTP {
		words = append(words, m.Pattern)
	} else {
		words = append(words, strings.Join(word.FindStringSubmatch(m.Pattern)[1:], ""))
	}
	if m.Attempt > 1 {
		words = append(words, fmt.Sprintf("attempt %d", m.Attempt))
	}
	if m.Open {
		return strings.Join(append(words, "open"), " ")
	}
	words = append(words, string(m.Outcome))
	if m.Status != 0 {
		words = append(words, strconv.Itoa(m.Status))
	}
	if m.Values > 1 {
		words = append(words, fmt.Sprintf("%d values", m.Values))
	}
	if m.Error != nil {
		words = append(words, strconv.Quote(m.Error.Message))
		if m.Error.Own {
			words = append(words, "of its own")
		}
		if m.Error.Status != 0 {
			words = append(words, strconv.Itoa(m.Error.Status))
		}
	}
	return strings.Join(words, " ")
}

// scenarios are the requests to the chain, with their trees.
func scenarios(transport string) map[string]string {
	internal := `"Internal server error"`
	of := map[string]string{
		"/hop": `
http edge GET /hop ok 200
  send edge hop ok
    handle a hop ok
      send a hop ok
        handle b hop ok
`, "/fail": `
http edge GET /fail error 502
  send edge fail error ` + internal + `
    handle a fail error ` + internal + `
      send a fail error ` + internal + `
        handle b fail error "out of stock" of its own
`, "/wrap": `
http edge GET /wrap error 502
  send edge wrap error "no such item" 404
    handle a wrap error "no such item" 404
      send a wrap error "no such item" 404
        handle b wrap error "no such item" of its own 404
`, "/twice": `
http edge GET /twice ok 200
  send edge twice ok
    handle a twice ok
      send a twice ok
        handle b twice ok
      send a hop ok
        handle b hop ok
`, "/count": `
http edge GET /count ok 200
  send edge count ok 3 values
    handle a count ok 3 values
      send a count ok 3 values
        handle b count ok 3 values
`, "/retry": `
http edge GET /retry ok 200
  send edge retry ok
    handle a retry ok
      send a retry error ` + internal + `
        handle b retry error "not yet" of its own
      send a retry attempt 2 error ` + internal + `
        handle b retry error "not yet" of its own
      send a retry attempt 3 ok
        handle b retry ok
`, "/late": `
http edge GET /late ok 200
  send edge late ok
    handle a late ok
      send a late timeout
        handle b late open
`, "/missing": `
http edge GET /missing ok 200
  send edge missing ok
    handle a missing ok
      send a unknown no handler "There is no matching message handler defined in the remote service."
        handle b unknown no handler "no handler for this pattern" of its own
`, "/seen": `
http edge GET /seen ok 200
  emit edge seen ok
    handle a seen ok
      emit a seen ok
        handle b seen ok
`, "/fails": `
http edge GET /fails ok 200
  emit edge fails ok
    handle a fails ok
      emit a fails ok
        handle b fails error "event failed" of its own
`,
	}
	switch transport {
	case "redis":
		delete(of, "/missing") // no reply
	case "nats":
		of["/missing"] = `
http edge GET /missing ok 200
  send edge missing ok
    handle a missing ok
      send a unknown no handler "Empty response. There are no subscribers listening to that message (\"{\"cmd\":\"unknown\",\"svc\":\"b\"}\")"
`
	}
	return of
}

func testChain(t *testing.T, transport string, versions [3]testenv.Version) {
	t.Helper()
	c := startChain(t, transport, versions)
	for path, want := range scenarios(transport) {
		c.get(t, path)
		got := ""
		c.await(t, path+", want:"+want, func(all []tap.Message) bool {
			got = tree(all, path)
			return got == want[1:]
		})
		if d := diff.Diff(want[1:], got); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
	checkRecords(t, c.all, transport, versions)
}

// checkRecords checks what the trees do not show.
func checkRecords(t *testing.T, all []tap.Message, transport string, versions [3]testenv.Version) {
	t.Helper()
	calls := map[string]bool{}
	ids := map[string]int{}
	for _, m := range all {
		if strings.Contains(text([]tap.Message{m}), "hunter2") {
			t.Errorf("a record contains a password: %s", text([]tap.Message{m}))
		}
		if m.Dropped > 0 {
			t.Errorf("%d records were dropped", m.Dropped)
		}
		if m.Kind == protocol.HTTP || m.Open {
			continue
		}
		if m.Transport != transport {
			t.Errorf("transport %q, want %q", m.Transport, transport)
		}
		if want := `{"item":7,"password":"***"}`; string(m.Data) != want || m.In == 0 {
			t.Errorf("data %s (%d bytes), want %s", m.Data, m.In, want)
		}
		if strings.Contains(m.Pattern, `"retry"`) && m.Service == "a" && m.Kind == protocol.Send {
			calls[m.Call] = true
		}
		if m.ID != nil {
			ids[string(m.ID)]++
		}
		if m.Error != nil && m.Error.Own && m.Kind == protocol.Handle && m.Outcome == protocol.Failed && !strings.Contains(m.Error.Stack, "tap-service.mjs") && m.Error.Status == 0 {
			t.Errorf("no stack of the original error: %+v", m.Error)
		}
	}
	if len(calls) != 1 {
		t.Errorf("the attempts of a request belong to %d calls, want 1", len(calls))
	}
	both := 0
	for _, n := range ids {
		if n == 2 {
			both++
		}
	}
	if both == 0 {
		t.Error("no packet ID occurs at both ends")
	}
	checkRuntime(t, all, versions)
}

func checkRuntime(t *testing.T, all []tap.Message, versions [3]testenv.Version) {
	t.Helper()
	major := map[testenv.Version]string{testenv.Nest10: "10.4.22", testenv.Nest11: "11.2.6", testenv.Nest12: "12.1.1"}
	for i, service := range []string{"edge", "a", "b"} {
		for _, m := range all {
			if m.Service == service && !strings.HasSuffix(m.Runtime, "@nestjs/microservices "+major[versions[i]]) {
				t.Errorf("runtime of %s is %q", service, m.Runtime)
				break
			}
		}
	}
}

var (
	all12 = [3]testenv.Version{testenv.Nest12, testenv.Nest12, testenv.Nest12}
	all11 = [3]testenv.Version{testenv.Nest11, testenv.Nest11, testenv.Nest11}
	all10 = [3]testenv.Version{testenv.Nest10, testenv.Nest10, testenv.Nest10}
	mixed = [3]testenv.Version{testenv.Nest12, testenv.Nest10, testenv.Nest11}
)

// TestChain checks the trees of every version on TCP, and of a chain of all versions on RabbitMQ. With MSCTL_TEST_ALL, it checks
// every version on every transport.
func TestChain(t *testing.T) {
	everything := os.Getenv("MSCTL_TEST_ALL") != ""
	for _, transport := range []string{"tcp", "rmq", "redis", "nats"} {
		for _, versions := range [][3]testenv.Version{all12, all11, all10, mixed} {
			if !everything && (transport == "tcp") == (versions == mixed) || !everything && transport != "tcp" && transport != "rmq" {
				continue
			}
			t.Run(fmt.Sprint(transport, "/", strings.Join([]string{string(versions[0]), string(versions[1]), string(versions[2])}, "-")), func(t *testing.T) {
				testChain(t, transport, versions)
			})
		}
	}
}
