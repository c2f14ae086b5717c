package microredis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestTLS: who trusts whom, by the URL's scheme and by WithTLS.
func TestTLS(t *testing.T) {
	certs := testenv.NewCertificates(t)
	broker := testenv.Redis(t, certs.Redis()...)
	trusting := WithTLS(certs.Client)
	start(t, quietServer(), Listen(broker.URL, trusting))
	plain := strings.Replace(broker.URL, "rediss:", "redis:", 1)
	tests := []struct {
		name, url string
		opts      []DialOption
		is        error
	}{
		{"rediss", broker.URL, []DialOption{trusting}, nil},
		{"redis, with TLS", plain, []DialOption{trusting}, nil},
		{"not trusted", broker.URL, []DialOption{WithTLS(&tls.Config{RootCAs: x509.NewCertPool()})}, micro.ErrRefused},
		{"the system's authorities", broker.URL, nil, micro.ErrRefused},
		{"another name", broker.URL, []DialOption{WithTLS(&tls.Config{RootCAs: certs.Client.RootCAs, ServerName: "example.com"})}, micro.ErrRefused},
		{"without TLS", plain, []DialOption{WithDialTimeout(100 * time.Millisecond)}, micro.ErrUnreachable},
	}
	for _, tt := range tests {
		text := strings.Repeat("é😀", 50_000)
		got, err := micro.Call[string](t.Context(), client(t, tt.url, tt.opts...), echo, text)
		if !errors.Is(err, tt.is) || tt.is == nil && got != text {
			t.Errorf("%s: %d bytes, %v", tt.name, len(got), err)
		}
	}
	if err := quietServer().Serve(t.Context(), Listen(broker.URL)); err == nil {
		t.Error("a server that does not trust the broker serves")
	}
}

// TestNoTLS: TLS to a port without it is told of, at once.
func TestNoTLS(t *testing.T) {
	broker := testenv.Redis(t)
	c := client(t, strings.Replace(broker.URL, "redis:", "rediss:", 1), WithDialTimeout(200*time.Millisecond))
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Error(err)
	}
}

const secret = "hunter2"

// withPassword puts user and password into a URL.
func withPassword(url, user, password string) string {
	return strings.Replace(url, "://", "://"+user+":"+password+"@", 1)
}

// quiet checks that texts tell no secret.
func quiet(t *testing.T, texts ...any) {
	t.Helper()
	for _, text := range texts {
		if s := fmt.Sprintf("%v %+v %#v", text, text, text); strings.Contains(s, secret) {
			t.Errorf("it tells the password: %.300s", s)
		}
	}
}

// TestPassword: the right one lets in, another is an error that says so at once, on
// both sides, and none is ever told.
func TestPassword(t *testing.T) {
	broker := testenv.Redis(t, "requirepass "+secret, "user reader on >"+secret+"2 ~* &* +@all")
	var log logged
	url := withPassword(broker.URL, "", secret)
	s := quietServer(micro.WithLogger(log.logger()))
	start(t, s, Listen(url))
	tests := []struct {
		name, url string
		is        error
	}{
		{"the default user", url, nil},
		{"a user with a database", withPassword(broker.URL, "reader", secret+"2") + "/3", nil},
		{"a wrong password", withPassword(broker.URL, "", secret+"x"), micro.ErrRefused},
		{"a wrong password of a user", withPassword(broker.URL, "reader", secret), micro.ErrRefused},
		{"no such user", withPassword(broker.URL, secret+"user", "x"), micro.ErrRefused},
		{"none", broker.URL, micro.ErrRefused},
	}
	for _, tt := range tests {
		c := client(t, tt.url, withLogger(log.logger()))
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		if !errors.Is(err, tt.is) {
			t.Errorf("%s: %v", tt.name, err)
		}
		quiet(t, err)
		if tt.is == nil {
			continue
		}
		err = quietServer(micro.WithLogger(log.logger())).Serve(t.Context(), Listen(tt.url))
		if err == nil {
			t.Errorf("%s: a server serves", tt.name)
		}
		quiet(t, err)
	}
	quiet(t, log.String(), Listen(url), Dial(url))
	if got := fmt.Sprint(Listen(url), Dial("rediss://x:"+secret+"@h/3"), Dial("h:"+secret)); got != "microredis.Listen("+broker.URL+") microredis.Dial(rediss://h:6379) microredis.Dial(not a URL)" {
		t.Error(got)
	}
}

// TestPermissions: channels that the user may not use are told by name.
func TestPermissions(t *testing.T) {
	broker := testenv.Redis(t, "user guest on >"+secret+" ~* resetchannels &allowed* +@all", "user mute on >"+secret+" ~* resetchannels &allowed* +@all -publish")
	s := quietServer()
	allowed := micro.Name("allowed")
	micro.Handle(s, allowed, func(context.Context, micro.None) (int, error) { return 1, nil })
	start(t, s, Listen(broker.URL))
	guest := client(t, withPassword(broker.URL, "guest", secret))
	if _, err := micro.Call[int](t.Context(), guest, allowed, nil); err != nil {
		t.Errorf("what is allowed: %v", err)
	}
	for range 2 { // asked again each time: permissions change
		_, err := micro.Call[string](t.Context(), guest, echo, "x")
		if !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), "NOPERM") || !strings.Contains(err.Error(), echo.Route()) {
			t.Errorf("a reply channel that is not allowed: %v", err)
		}
		quiet(t, err)
	}
	if err := guest.Emit(t.Context(), note, 1); !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), note.Route()) {
		t.Errorf("an event that is not allowed: %v", err)
	}
	if _, err := micro.Call[int](t.Context(), guest, allowed, nil); err != nil {
		t.Errorf("after all that: %v", err)
	}
	mute := client(t, withPassword(broker.URL, "mute", secret))
	if _, err := micro.Call[int](t.Context(), mute, allowed, nil); !errors.Is(err, micro.ErrRefused) {
		t.Errorf("who may not publish: %v", err)
	}
	err := quietServer().Serve(t.Context(), Listen(withPassword(broker.URL, "guest", secret)))
	if err == nil || !strings.Contains(err.Error(), "NOPERM") || !strings.Contains(err.Error(), echo.Route()) {
		t.Errorf("a server: %v", err)
	}
}

// TestFewPermissions: the rights that docs/transports.md names are enough.
func TestFewPermissions(t *testing.T) {
	broker := testenv.Redis(t, "user few on >"+secret+" resetchannels &* -@all +ping +publish +subscribe +unsubscribe")
	url := withPassword(broker.URL, "few", secret)
	l := Listen(url)
	l.company.confirm, l.company.every = time.Millisecond, time.Millisecond // it may not ask, and goes on
	r := start(t, quietServer(), l)
	c := client(t, url)
	for range 10 {
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil || got != "x" {
			t.Errorf("%q, %v", got, err)
		}
	}
	r.end(t)
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrNotServed) {
		t.Errorf("when it has stopped: %v", err)
	}
}

// TestBadURL: a URL that is none is an error of the first message, and tells
// nothing of itself.
func TestBadURL(t *testing.T) {
	for _, url := range []string{"", "localhost:6379", "http://localhost", "redis://:" + secret + "/x@localhost", "redis://user:" + secret + "#@h", "redis://h:" + secret, "redis://h/" + secret, "redis://h?" + secret + "=1", "://" + secret} {
		c := client(t, url)
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		if !errors.Is(err, micro.ErrUnreachable) {
			t.Errorf("%q: %v", url, err)
		}
		quiet(t, err)
	}
}

func FuzzURL(f *testing.F) {
	for _, rest := range []string{"@localhost", "@localhost:6379/0", "@h:x", "@/", "#@h", "/@h?a=b", "%zz@h", ":"} {
		f.Add(rest)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		options, err := parse("redis://user:"+secret+rest, defaultSettings())
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
		if err == nil && strings.Contains(connectError(options, errSilent).Error(), secret) && !strings.Contains(rest, secret) {
			t.Errorf("the address of %q has the password", rest)
		}
	})
}
