package attack_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(configVariable); text != "" {
		if err := serveGateway(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// limit is a safety net for anything that waits.
const limit = 60 * time.Second

// target is a gateway under attack, in a process of its own.
type target struct {
	addr string
	tls  string // the address over TLS
	pid  int
	log  *testenv.Log
	evil *evilIssuer

	certificates *testenv.Certificates // of tls
	// sign returns a token with some members of a good one replaced; nil removes a member.
	sign  func(changes map[string]any) string
	token string // a good one

	good   atomic.Int64 // good requests that succeeded
	failed atomic.Pointer[string]
}

// startTarget starts the gateway of this package, and good traffic to it.
func startTarget(t *testing.T, evil *evilIssuer, c config) *target {
	t.Helper()
	sign := func(changes map[string]any) string { return hs256(secret, header("HS256"), claims(changes)) }
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := &target{log: &testenv.Log{}, evil: evil, sign: sign, token: sign(nil)}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), configVariable+"="+string(text))
	cmd.Stderr = g.log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the gateway: %v\n%s", err, g.log)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the gateway did not start: %v\n%s", err, g.log)
	}
	g.addr, g.tls, _ = strings.Cut(strings.TrimSpace(line), " ")
	g.pid = cmd.Process.Pid
	g.keepGood(t)
	return g
}

// keepGood sends good requests, one after the other, until the test ends. No attack may affect them.
func (g *target) keepGood(t *testing.T) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}, Timeout: limit}
	stop := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := g.sendGood(client); err != nil {
				text := err.Error()
				g.failed.CompareAndSwap(nil, &text)
			} else {
				g.good.Add(1)
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		sending.Wait()
		client.CloseIdleConnections()
	})
}

func (g *target) sendGood(client *http.Client) error {
	req, err := http.NewRequest("POST", "http://"+g.addr+"/items", strings.NewReader(cup))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+g.token)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated || !strings.Contains(string(body), `"name":"Cup"`) {
		return fmt.Errorf("a good request got %d %s %w", res.StatusCode, body, err)
	}
	return nil
}

// unaffected waits for more good requests, and checks that none has failed.
func (g *target) unaffected(t *testing.T) {
	t.Helper()
	from := g.good.Load()
	testenv.Eventually(t, limit, "good requests succeed", func() bool { return g.good.Load() >= from+5 || g.failed.Load() != nil })
	if failure := g.failed.Load(); failure != nil {
		t.Fatal(*failure)
	}
}

// peakMemory returns the most memory that the process has used so far, in bytes, or 0 where the system does not report it.
func (g *target) peakMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.pid))
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// dial connects to the gateway.
func (g *target) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answer is a response, and how the connection continued.
type answer struct {
	status int
	header http.Header
	body   string
	more   []byte // what followed until the gateway closed the connection
	err    error
}

// exchange writes a request as it is, and reads the response. It does not fail if the gateway closes the connection before it has
// read everything.
func (g *target) exchange(t *testing.T, request string) answer {
	t.Helper()
	conn := g.dial(t)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, request) // fails if the gateway has seen enough
	}()
	defer func() {
		_ = conn.Close()
		<-sent
	}()
	reader := bufio.NewReader(conn)
	verb, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(reader, &http.Request{Method: verb})
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{err: err}
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(body)}
	if res.Close {
		a.more, _ = io.ReadAll(reader) // a reset ends it, too
	}
	return a
}

// internals match what no response may contain.
var internals = regexp.MustCompile(`goroutine|\.go:|github\.com|panic|Go struct|unmarshal|127\.0\.0\.1|root:|jose|jwt|JWKS`)

// refused checks a response.
func (a answer) refused(t *testing.T, status int) {
	t.Helper()
	if a.err != nil || a.status != status {
		t.Fatalf("%d %s %v, want %d", a.status, a.body, a.err, status)
	}
	if internals.MatchString(a.body) {
		t.Errorf("the response contains something internal: %s", a.body)
	}
	if bytes.Contains(a.more, []byte("HTTP/1.1")) {
		t.Errorf("a second response followed: %s", a.more)
	}
	var problem struct{ StatusCode int }
	if a.header.Get("Content-Type") == "application/json; charset=utf-8" && (json.Unmarshal([]byte(a.body), &problem) != nil || problem.StatusCode != status) {
		t.Errorf("the body is not that of an error: %s", a.body)
	}
}
