package micronats

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

func TestParseServers(t *testing.T) {
	for _, tt := range []struct {
		text string
		urls []string
		safe string
		err  string
	}{
		{"nats://a", []string{"nats://a:4222"}, "nats://a:4222", ""},
		{"a:1", []string{"nats://a:1"}, "nats://a:1", ""},
		{" nats://a:1 , tls://b/ ,", []string{"nats://a:1", "tls://b:4222"}, "nats://a:1,tls://b:4222", ""},
		{"nats+tls://[::1]", []string{"tls://[::1]:4222"}, "tls://[::1]:4222", ""},
		{"nats://u:p%40ss@a", []string{"nats://u:p%40ss@a:4222"}, "nats://u:xxxxx@a:4222", ""},
		{"nats://token@a", []string{"nats://token@a:4222"}, "nats://xxxxx@a:4222", ""},
		{"nats://u:@a", []string{"nats://u:@a:4222"}, "nats://u:xxxxx@a:4222", ""},
		{"", nil, "", "no NATS server"},
		{",", nil, "", "no NATS server"},
		{"http://a", nil, "", "must begin with nats://"},
		{"nats://", nil, "", "no host"},
		{"nats://:4222", nil, "", "no host"},
		{"nats://a/path", nil, "", "may only contain a user"},
		{"nats://a?x=secret", []string{"nats://a:4222"}, "nats://a:4222", ""},
		{"nats://u:p?x@a", nil, "", "percent-encoded"},
		{"nats://a, nats://u:secret/x@b", nil, "", "server 2"},
		{"nats://u:secret#x@b", nil, "", "percent-encoded"},
		{"nats://u:secret%zz@b", nil, "", "percent-encoded"},
		{"nats://a:secret", nil, "", "percent-encoded"},
	} {
		got := parseServers(tt.text)
		if tt.err != "" {
			if got.err == nil || !strings.Contains(got.err.Error(), tt.err) || strings.Contains(got.err.Error(), "secret") {
				t.Errorf("%q: %v", tt.text, got.err)
			}
			continue
		}
		if got.err != nil {
			t.Errorf("%q: %v", tt.text, got.err)
			continue
		}
		if diff := cmp.Diff(tt.urls, got.urls()); diff != "" || got.safe != tt.safe {
			t.Errorf("%q: safe %q\n%s", tt.text, got.safe, diff)
		}
	}
}

// FuzzParseServers: what is accepted is a URL for the driver, and nothing printable
// holds the password.
func FuzzParseServers(f *testing.F) {
	for _, text := range []string{"nats://a", "a:1,b:2", "nats://u:p%40ss@a", "tls://t@[::1]:5", "nats://u:p/q@a", "http://x", "nats://%", "::::", "nats://u:p@a#x"} {
		f.Add(text, "sesame")
	}
	f.Fuzz(func(t *testing.T, text, password string) {
		if s := parseServers(text); s.err == nil {
			for _, u := range s.urls() {
				if parsed, err := url.Parse(u); err != nil || parsed.Hostname() == "" || parsed.Port() == "" && !strings.HasSuffix(parsed.Host, ":") {
					t.Errorf("%q gives %q: %v", text, u, err)
				}
			}
		}
		password = "secret-" + password
		s := parseServers("nats://user:" + password + "@host")
		if printed := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(printed, "secret-") {
			t.Errorf("%q is in %s", password, printed)
		}
		s = parseServers("nats://user:" + url.QueryEscape(password) + "@host")
		if s.err != nil {
			t.Errorf("%q: %v", password, s.err)
		}
	})
}

// FuzzHeader: what is put into a header comes out of it as it was, at this driver
// and by the rules of NestJS'.
func FuzzHeader(f *testing.F) {
	for _, pair := range [][2]string{{"correlation-id", "a1"}, {"", "x"}, {"a b", "c"}, {"k", " v"}, {"k", "a\r\nb: c"}, {"é", "ü"}, {"k:", ":"}, {"k", ""}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		if !fitsHeader(key, value) {
			return
		}
		text := "NATS/1.0\r\n" + key + ": " + value + "\r\n\r\n"
		header, err := nats.DecodeHeadersMsg([]byte(text))
		if err != nil || len(header) != 1 || header.Get(key) != value {
			t.Fatalf("%q: %q, %v", text, header, err)
		}
		m := received(header)
		if m.Get(key) != value {
			t.Errorf("metadata %q: %q", key, m.Get(key))
		}
	})
}

// FuzzReceivedHeader checks that no headers from a peer cause a panic.
func FuzzReceivedHeader(f *testing.F) {
	for _, text := range []string{"NATS/1.0\r\n\r\n", "NATS/1.0 503\r\n\r\n", "NATS/1.0\r\na: b\r\na: c\r\n\r\n", "NATS/1.0\r\ntimeout-ms: 1e9\r\nattempt: -5\r\n\r\n", "NATS", ""} {
		f.Add([]byte(text))
	}
	s := quietServer()
	f.Fuzz(func(t *testing.T, text []byte) {
		header, err := nats.DecodeHeadersMsg(text)
		if err != nil {
			return
		}
		packet, err := wire.Parse([]byte(`{"data":"x","id":"1"}`))
		if err != nil {
			t.Fatal(err)
		}
		m := &inbound{Delivery: Delivery{Header: header}, intake: newIntake(Listen("nats://a"))}
		in := s.Deliver(t.Context(), micro.Delivery{Packet: &packet, To: m, Route: s.RouteAt(echo.Route()), Headers: received(header), Details: &m.Delivery})
		if in == nil {
			t.Fatal("not delivered")
		}
		in.Run()
	})
}

// FuzzCheckSubject: the driver takes for a subject what we take for one.
func FuzzCheckSubject(f *testing.F) {
	for _, text := range []string{"a", "a.b", "", "a..b", ".a", "a.", "a b", "\x00", "é", "*", "a.>", strings.Repeat("x", 4000)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkSubject(text) != nil {
			return
		}
		for token := range strings.SplitSeq(text, ".") {
			if token == "" || strings.ContainsAny(token, " \t\r\n") {
				t.Errorf("%q is no subject", text)
			}
		}
	})
}

// FuzzForeignID: the id of an answer is that of its inbox, or none.
func FuzzForeignID(f *testing.F) {
	for _, id := range []string{``, `"abc"`, `"ab"`, `"abcd"`, `null`, `7`, `""`, `[]`, `{"a":"abc"}`} {
		f.Add([]byte(id))
	}
	f.Fuzz(func(t *testing.T, id []byte) {
		ours := string(id) == `"abc"`
		if ours && foreignID(id, []byte("abc")) {
			t.Errorf("%s is ours", id)
		}
		if len(id) == 5 && id[0] == '"' && id[4] == '"' && !ours && !foreignID(id, []byte("abc")) {
			t.Errorf("%s is not ours", id)
		}
	})
}

func TestParseViolation(t *testing.T) {
	for _, tt := range []struct {
		text string
		want violation
	}{
		{`Permissions Violation for Subscription to "a.b"`, violation{opSubscribe, "a.b"}},
		{`Permissions Violation for Subscription to "{\"cmd\":\"a\"}" using queue "q"`, violation{opSubscribe, `{"cmd":"a"}`}},
		{`Permissions Violation for Publish to "a"`, violation{opPublish, "a"}},
		{`Permissions Violation for Publish with Reply of "a"`, violation{}},
		{`Permissions Violation for Publish to a`, violation{}},
	} {
		got, ok := parseViolation(fmt.Errorf("%w: %s", nats.ErrPermissionViolation, tt.text))
		if ok != (tt.want.subject != "") || ok && got != tt.want {
			t.Errorf("%s: %q, %v", tt.text, got, ok)
		}
	}
	if _, ok := parseViolation(nats.ErrTimeout); ok {
		t.Error("a timeout is not a violation")
	}
}

func TestDelay(t *testing.T) {
	s := defaultSettings()
	for rounds := range 100 {
		d := s.pause(rounds)
		if longest := min(firstWait<<min(max(rounds-1, 0), 16), 2*time.Second); d < longest/2 || d > longest {
			t.Errorf("round %d: %s", rounds, d)
		}
	}
	s.delay = 0
	if d := s.pause(5); d > time.Millisecond {
		t.Error(d)
	}
}

// TestPeerTimeout checks how often the driver pings. 0 and less leave it to the operating system.
func TestPeerTimeout(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{DefaultPeerTimeout: 5 * time.Second, 3 * time.Second: time.Second, 0: 0, -1: 0} {
		l := Listen("nats://a", WithPeerTimeout(timeout))
		o, err := l.options(l.servers, &dialer{})
		if err != nil {
			t.Fatal(err)
		}
		if o.PingInterval != want || o.MaxPingsOut != 2 {
			t.Errorf("%v: a ping every %v, %d unanswered", timeout, o.PingInterval, o.MaxPingsOut)
		}
		if timeout > 0 && l.holdUp != want || timeout <= 0 && l.holdUp != holdUp {
			t.Errorf("%v: a full server reads nothing for %v", timeout, l.holdUp)
		}
	}
}
