package doctor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestTCP(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Run("healthy", func(t *testing.T) {
		healthy(t, examine(t, at(t, serveTCP(t, server("items", "find")))), "reachability", "frame lengths")
	})
	for _, version := range testenv.Versions() {
		t.Run("healthy NestJS "+string(version), func(t *testing.T) {
			healthy(t, examine(t, at(t, testenv.Nest(t, version).Addr)), "reachability", "frame lengths")
		})
	}
	t.Run("two addresses", func(t *testing.T) {
		a, free := serveTCP(t, server("items", "find")), "127.0.0.1:"+testenv.Port(t)
		f := one(t, examine(t, at(t, "tcp://"+a+","+free)), "not-running")
		if !strings.Contains(f.Where, free) {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("not running", func(t *testing.T) {
		mentions(t, one(t, examine(t, at(t, "127.0.0.1:"+testenv.Port(t))), "not-running"), "connection refused", "is it running, and is the address correct?")
	})
	t.Run("HTTP", func(t *testing.T) {
		web := httptest.NewServer(http.NotFoundHandler())
		defer web.Close()
		address := strings.TrimPrefix(web.URL, "http://")
		f := within(t, at(t, address), "wrong-protocol")
		mentions(t, f, "speaks HTTP, not NestJS's TCP transport")
		if runtime.GOOS == "linux" {
			mentions(t, f, fmt.Sprintf("process %d listens on port", os.Getpid()))
		}
	})
	t.Run("TLS", func(t *testing.T) {
		web := httptest.NewTLSServer(http.NotFoundHandler())
		defer web.Close()
		mentions(t, one(t, examine(t, at(t, strings.TrimPrefix(web.URL, "https://"))), "wrong-protocol"), "over TLS")
	})
	t.Run("no TLS", func(t *testing.T) {
		mentions(t, one(t, examine(t, at(t, "tls://"+serveTCP(t, server("items", "find")))), "wrong-protocol"), "does not use TLS")
	})
	t.Run("a service where a web server is expected", func(t *testing.T) {
		p := at(t)
		p.Gateways = append(p.Gateways, parse(t, "http://"+serveTCP(t, server("items", "find"))+"/"))
		f := within(t, p, "wrong-protocol")
		mentions(t, f, "speaks NestJS's TCP transport, not HTTP")
	})
	t.Run("silent", func(t *testing.T) {
		addr := testenv.ServeEach(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		mentions(t, within(t, at(t, addr), "no-reply"), "did not reply in time", "stalled, or not a NestJS service")
	})
}

// counter is a peer that counts frame lengths in its own way. It replies that it has no handler.
func counter(t *testing.T, receives, sends func([]byte) int) (address string) {
	t.Helper()
	return testenv.ServeEach(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			head, err := r.ReadString('#')
			length, parseErr := strconv.Atoi(strings.TrimSuffix(head, "#"))
			if err != nil || parseErr != nil {
				return
			}
			var body []byte
			for receives(body) < length || !utf8.Valid(body) {
				b, err := r.ReadByte()
				if err != nil {
					return
				}
				body = append(body, b)
			}
			text := string(body)
			at := strings.Index(text, `"id":`)
			if at < 0 || !strings.HasSuffix(text, "}") {
				return // it does not end where a packet does
			}
			id := strings.TrimSuffix(text[at+len(`"id":`):], "}")
			reply := []byte(`{"err":"There is no matching message handler defined in the remote service.","id":` + id + `,"isDisposed":true}`)
			if _, err := fmt.Fprintf(c, "%d#%s", sends(reply), reply); err != nil {
				return
			}
		}
	})
}

func TestFrameLengths(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tt := range []struct {
		name            string
		receives, sends counting
	}{
		{"bytes", countings()[1], countings()[1]},
		{"code points", countings()[2], countings()[2]},
		{"bytes in replies only", countings()[0], countings()[1]},
		{"code points in replies only", countings()[0], countings()[2]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mentions(t, within(t, at(t, counter(t, tt.receives.count, tt.sends.count)), "frame-length"), "counts the length of a frame in "+tt.sends.name, "UTF-16 code units")
		})
	}
	healthy(t, examine(t, at(t, counter(t, units, units))), "frame lengths")
}

// ownAddress returns an address of this machine that is not the one for which a listener on 127.0.0.1 accepts connections.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	if runtime.GOOS == "linux" {
		return "127.0.0.2"
	}
	t.Skip("this machine has only a loopback interface")
	return ""
}

func TestLoopbackListener(t *testing.T) {
	service := func(t *testing.T, host, port string) Subject {
		t.Helper()
		return workspaceAt(t, "name: shop\nservices:\n  items:\n    path: ./items\n    host: "+host+"\n    port: "+port+"\n", nil)
	}
	t.Run("another address of this machine", func(t *testing.T) {
		nest := testenv.Nest(t, testenv.Nest12)
		r := examine(t, service(t, ownAddress(t), strconv.Itoa(nest.Port)))
		i := slices.Index(codes(r), "loopback-listener")
		if i < 0 {
			t.Fatalf("got %+v", r)
		}
		mentions(t, r.Findings[i], fmt.Sprintf("127.0.0.1:%d accepts them", nest.Port), "host: '0.0.0.0'")
	})
	t.Run("the name of a container", func(t *testing.T) {
		nest := testenv.Nest(t, testenv.Nest12)
		r := examine(t, service(t, "items.invalid", strconv.Itoa(nest.Port)))
		i := slices.Index(codes(r), "loopback-listener")
		if i < 0 {
			t.Fatalf("got %+v", r)
		}
		mentions(t, r.Findings[i], "items.invalid is unknown on this machine", "something listens on 127.0.0.1")
	})
	t.Run("an unknown host", func(t *testing.T) {
		r := examine(t, service(t, "items.invalid", testenv.Port(t)))
		if !slices.Contains(codes(r), "unknown-host") {
			t.Fatalf("got %+v", r)
		}
	})
	t.Run("healthy", func(t *testing.T) {
		host := ownAddress(t)
		l := microtcp.Listen(host + ":0")
		start(t, server("items", "find"), l)
		addr, err := l.Addr(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(addr.String())
		healthy(t, examine(t, service(t, host, port)), "loopback listeners")
	})
}

func TestPorts(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(web.URL, "http://"))
	yaml := "name: shop\nservices:\n  items:\n    path: ./items\n    host: 127.0.0.1\n    port: " + port + "\n"
	p := workspaceAt(t, yaml, nil)
	p.Timeout = 2 * time.Second // a web server waits for the end of a line
	r := examine(t, p)
	if got := strings.Join(codes(r), " "); got != "wrong-protocol port-in-use" {
		t.Fatalf("got %+v", r)
	}
	mentions(t, r.Findings[1], "something listens on port "+port)
	if runtime.GOOS == "linux" {
		mentions(t, r.Findings[1], fmt.Sprintf("process %d listens there", os.Getpid()))
	}
	p.Runs = []int{os.Getpid()}
	if r := examine(t, p); runtime.GOOS == "linux" && slices.Contains(codes(r), "port-in-use") {
		t.Errorf("got %+v: the process is one of the run", r)
	}

	other := serveTCP(t, server("orders", "find"))
	_, port, _ = net.SplitHostPort(other)
	r = examine(t, workspaceAt(t, "name: shop\nservices:\n  items:\n    path: ./items\n    host: 127.0.0.1\n    port: "+port+"\n  orders:\n    path: ./orders\n    host: 127.0.0.1\n    port: "+testenv.Port(t)+"\n", nil))
	if got := strings.Join(codes(r), " "); got != "wrong-service not-running port-in-use" {
		t.Fatalf("got %+v", r)
	}
	mentions(t, r.Findings[0], "orders 1.0.0", "the port of items belongs to orders")
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Examine(ctx, at(t, "127.0.0.1:1")); err == nil {
		t.Error("no error")
	}
}
