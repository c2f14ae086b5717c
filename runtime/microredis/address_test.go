package microredis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microredis/internal/redisurl"
)

// TestUnixSocket calls over a Unix socket of Redis.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "redis.sock")
	broker := testenv.PrivateRedis(t, "unixsocket "+path, "requirepass "+secret)
	start(t, quietServer(), Listen("redis+unix://:"+secret+"@"+path))
	for _, url := range []string{"unix://:" + secret + "@" + path, "redis+unix://:" + secret + "@" + path + "?db=1&family=0", withPassword(broker.URL, "", secret)} {
		if got, err := micro.Call[string](t.Context(), client(t, url), echo, "x"); got != "x" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if text := fmt.Sprint(Dial("unix://:" + secret + "@" + path)); text != "microredis.Dial(redis+unix://"+path+")" {
		t.Error(text)
	}
}

// TestSentinel finds the master with Sentinels, of which some are away, and the new one after
// a failover. A Sentinel may require the login of Redis.
func TestSentinel(t *testing.T) {
	first, second := testenv.PrivateRedis(t, "requirepass "+secret), testenv.PrivateRedis(t, "requirepass "+secret)
	for _, password := range []string{"", secret} {
		s := startSentinel(t, password)
		s.is(first)
		url := "redis+sentinel://:" + secret + "@127.0.0.1:1," + s.addr + "/shop/2?family=0"
		start(t, quietServer(), Listen(url))
		c := client(t, url)
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		s.is(second)
		if err := tapInto(t, withPassword(first.URL, "", secret)).Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes").Err(); err != nil {
			t.Fatal(err)
		}
		awaitRecovery(t, c)
		if err := client(t, withPassword(second.URL, "", secret)).Emit(t.Context(), note, 1); err != nil {
			t.Fatal(err)
		}
		if got, err := micro.Call[string](t.Context(), client(t, withPassword(second.URL, "", secret)), echo, "x"); got != "x" || err != nil {
			t.Errorf("the server is not at the new master: %q, %v", got, err)
		}
		if text := fmt.Sprint(Dial(url)); text != "microredis.Dial(redis+sentinel://127.0.0.1:1,"+s.addr+"/shop)" {
			t.Error(text)
		}
		_, err := micro.Call[string](t.Context(), client(t, "redis+sentinel://:"+secret+"@"+s.addr+"/other"), echo, "x")
		if !errors.Is(err, micro.ErrUnreachable) || !strings.Contains(err.Error(), "it has no master named other") {
			t.Errorf("another master: %v", err)
		}
		checkNoSecret(t, err)
	}
	if _, err := micro.Call[string](t.Context(), client(t, "redis+sentinel://h"), echo, "x"); !errors.Is(err, redisurl.ErrInvalid) {
		t.Errorf("without a master: %v", err)
	}
}

// sentinel knows one master, shop.
type sentinel struct {
	addr, password string
	mu             sync.Mutex // guards master
	master         string
}

func (s *sentinel) is(b *testenv.Broker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, s.master, _ = strings.Cut(b.URL, "://")
}

func startSentinel(t *testing.T, password string) *sentinel {
	t.Helper()
	s := &sentinel{password: password}
	s.addr = testenv.ServeEach(t, s.serve)
	return s
}

func (s *sentinel) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for open := s.password == ""; ; {
		words, err := readCommand(in)
		if err != nil {
			return
		}
		answer := "-ERR unknown command\r\n"
		switch command := strings.ToLower(words[0]); {
		case command == "auth" && s.password == "":
			answer = "-ERR AUTH <password> called without any password configured\r\n"
		case command == "auth" && words[len(words)-1] == s.password:
			open, answer = true, "+OK\r\n"
		case !open:
			answer = "-NOAUTH Authentication required.\r\n"
		case command == "sentinel" && words[2] == "shop":
			s.mu.Lock()
			host, port, _ := net.SplitHostPort(s.master)
			s.mu.Unlock()
			answer = fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(host), host, len(port), port)
		case command == "sentinel":
			answer = "*-1\r\n"
		}
		_, _ = io.WriteString(conn, answer)
	}
}
