package parity_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// row is one request, and what both gateways make of it.
type row struct {
	name   string
	target string   // "POST /items"
	body   string   // JSON, unless header has another Content-Type
	header []string // "Name: value"; "Name:" omits a default
	status int      // of NestJS's response, and of ours unless differs is set

	compare []string // names of the headers that are compared
	// volatile matches what differs from one response to the next, and becomes same.
	volatile *regexp.Regexp
	same     string
	// path is the target of our gateway, if it is another.
	path string

	// differs is the first cell of the row in docs/gateway.md that explains why our response differs.
	differs string
	ours    int    // the status of our response
	want    string // part of our response: header lines and the body
}

// but returns the row with the reason why our response differs, and a part of it.
func (r row) but(differs string, status int, want string) row {
	r.differs, r.ours, r.want = differs, status, want
	return r
}

// limit is a safety net.
const limit = 30 * time.Second

// request returns the bytes of the row's request. They are written as they are, so that nothing cleans them up.
func (r row) request(host string) string {
	header := map[string]string{"Host": host, "Connection": "close"}
	if r.body != "" {
		header["Content-Type"], header["Content-Length"] = "application/json", fmt.Sprint(len(r.body))
	}
	var more []string
	for _, line := range r.header {
		name, value, _ := strings.Cut(line, ":")
		delete(header, name)
		if value != "" {
			more = append(more, line)
		}
	}
	text := r.target + " HTTP/1.1\r\n"
	for _, name := range []string{"Host", "Connection", "Content-Type", "Content-Length"} {
		if value, ok := header[name]; ok {
			text += name + ": " + value + "\r\n"
		}
	}
	for _, line := range more {
		text += line + "\r\n"
	}
	return text + "\r\n" + r.body
}

// response is what a client and the service see of a request.
type response struct {
	status   int
	header   http.Header
	body     string
	messages []message
}

// send sends the row's request to a gateway.
func (r row) send(t *testing.T, to peer) response {
	t.Helper()
	to.service.take()
	conn, err := net.Dial("tcp", to.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	_, sendErr := io.WriteString(conn, r.request(to.addr)) // fails if the gateway has seen enough, and then has sent a response
	verb, _, _ := strings.Cut(r.target, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: verb})
	if err != nil {
		t.Fatalf("%s: %v %v", to.name, err, sendErr)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", to.name, err)
	}
	text := string(body)
	if r.volatile != nil {
		text = r.volatile.ReplaceAllString(text, r.same)
	}
	return response{res.StatusCode, res.Header, text, to.service.take()}
}

// value returns JSON as a value, and other text as it is: the order of members does not matter.
func value(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		return v
	}
	return text
}

// comparable returns the parts of a response that are compared.
func (r row) comparable(res response) map[string]any {
	header := map[string][]string{}
	for _, name := range r.compare {
		header[name] = res.header.Values(name)
	}
	var messages []any
	for _, m := range res.messages {
		messages = append(messages, m.Cmd, value(m.Data))
	}
	return map[string]any{"status": res.status, "header": header, "body": value(res.body), "messages": messages}
}

// internals match what no response may contain.
var internals = regexp.MustCompile(`goroutine|\.go:|github\.com|panic|Go struct|unmarshal|127\.0\.0\.1|dial tcp|` + regexp.QuoteMeta(secret[:8]))

// run sends the rows to both gateways and compares.
func run(t *testing.T, nest, ours peer, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			theirs := r.send(t, nest)
			if r.path != "" {
				r.target = r.path
			}
			mine := r.send(t, ours)
			if internals.MatchString(mine.body) && !strings.Contains(r.target, "/api") {
				t.Errorf("our response contains something internal: %s", mine.body)
			}
			diff := cmp.Diff(r.comparable(theirs), r.comparable(mine))
			if theirs.status != r.status {
				t.Errorf("NestJS: %d %s, want %d", theirs.status, theirs.body, r.status)
			}
			switch {
			case r.differs == "" && diff != "":
				t.Errorf("-NestJS +ours:\n%s", diff)
			case r.differs != "":
				r.explained(t, mine, diff)
			}
		})
	}
}

// explained checks that a response differs as the row states.
func (r row) explained(t *testing.T, mine response, diff string) {
	t.Helper()
	if diff == "" {
		t.Errorf("the responses are the same: remove the reason %q", r.differs)
	}
	var text strings.Builder
	_ = mine.header.Write(&text) // into memory
	if mine.status != r.ours || !strings.Contains(text.String()+mine.body, r.want) {
		t.Errorf("ours: %d %s%s\nwant: %d %s", mine.status, text.String(), mine.body, r.ours, r.want)
	}
	if !slices.Contains(reasons(t), r.differs) {
		t.Errorf("docs/gateway.md does not explain %q", r.differs)
	}
}
