package parity_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
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

	"github.com/msctl/msctl/internal/test/testenv"
)

// row is one request, and what both gateways make of it.
type row struct {
	name   string
	target string   // "POST /items"
	body   string   // JSON, unless header has another Content-Type
	header []string // "Name: value"; "Name:" omits a default
	status int      // of NestJS's response, and of ours unless differs is set
	or     int      // another status of NestJS's response, which depends on timing; 0 for none

	compare []string // names of the headers that are compared
	// volatile matches what differs from one response to the next, and becomes same.
	volatile *regexp.Regexp
	same     string
	// tls is the newest version of TLS that the client supports; 0 for a connection without TLS. Over TLS, it also supports HTTP/2.
	tls uint16
	// toTLS sends a request without TLS to the port of TLS.
	toTLS bool
	// ends closes the client's side of the connection after the request.
	ends bool
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
func (r row) send(t *testing.T, certificates *testenv.Certificates, to peer) response {
	t.Helper()
	to.service.take()
	var a answer
	if r.tls != 0 {
		a = r.sendOverTLS(t, certificates, to.tls)
	} else {
		addr := to.addr
		if r.toTLS {
			addr = to.tls
		}
		a = r.sendPlain(t, addr)
	}
	if a.err != nil && r.status != 0 {
		t.Fatalf("%s: %v", to.name, a.err)
	}
	if r.volatile != nil {
		a.body = r.volatile.ReplaceAllString(a.body, r.same)
	}
	return response{a.status, a.header, a.body, to.service.take()}
}

// answer is a response, or the reason why there is none.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// sendPlain writes the bytes of the row's request as they are.
func (r row) sendPlain(t *testing.T, addr string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	_, sendErr := io.WriteString(conn, r.request(addr)) // fails if the gateway has seen enough, and then has sent a response
	if half, ok := conn.(interface{ CloseWrite() error }); ok && r.ends {
		sendErr = errors.Join(sendErr, half.CloseWrite())
	}
	verb, _, _ := strings.Cut(r.target, " ")
	reader := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(reader, &http.Request{Method: verb})
		if err != nil {
			return answer{err: errors.Join(err, sendErr)}
		}
		if res.StatusCode != http.StatusContinue {
			return read(res)
		}
	}
}

// sendOverTLS sends the row's request as a browser would.
func (r row) sendOverTLS(t *testing.T, certificates *testenv.Certificates, addr string) answer {
	t.Helper()
	config := certificates.Trusting()
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, r.tls
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}, Timeout: limit}
	defer client.CloseIdleConnections()
	verb, path, _ := strings.Cut(r.target, " ")
	req, err := http.NewRequest(verb, "https://"+addr+path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range r.header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	return read(res)
}

// protocol is the name of a header that has the version of HTTP, so that rows can compare it.
const protocol = "Protocol-Of-The-Response"

// read reads a response. A body that is compressed becomes what it was.
func read(res *http.Response) answer {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{err: err}
	}
	res.Header.Set(protocol, res.Proto)
	res.Header.Del("Connection")
	if res.Close {
		res.Header.Set("Connection", "close")
	}
	text, err := unpacked(res.Header.Get("Content-Encoding"), body)
	return answer{res.StatusCode, res.Header, text, err}
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
func run(t *testing.T, certificates *testenv.Certificates, nest, ours peer, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			theirs := r.send(t, certificates, nest)
			if r.path != "" {
				r.target = r.path
			}
			mine := r.send(t, certificates, ours)
			if internals.MatchString(mine.body) && !strings.Contains(r.target, "/api") {
				t.Errorf("our response contains something internal: %s", mine.body)
			}
			diff := cmp.Diff(r.comparable(theirs), r.comparable(mine))
			if theirs.status != r.status && (r.or == 0 || theirs.status != r.or) {
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
	if diff == "" && r.or == 0 {
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
