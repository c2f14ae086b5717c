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

// TestTLS checks the combinations of URL schemes, WithTLS, and trusted certificates.
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

// TestNoTLS checks that TLS to a port without TLS fails at once with an explanation.
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

// checkNoSecret checks that texts do not contain the secret.
func checkNoSecret(t *testing.T, texts ...any) {
	t.Helper()
	for _, text := range texts {
		if s := fmt.Sprintf("%v %+v %#v", text, text, text); strings.Contains(s, secret) {
			t.Errorf("the text contains the password: %.300s", s)
		}
	}
}

// TestPassword checks that the right password is accepted, that a wrong one is an error at
// once for client and server, and that no text contains a password.
func TestPassword(t *testing.T) {
	broker := testenv.Redis(t, "requirepass "+secret, "user reader on >"+secret+"2 ~* &* +@all")
	var log testenv.Log
	url := withPassword(broker.URL, "", secret)
	s := quietServer(micro.WithLogger(logger(&log)))
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
		c := client(t, tt.url, withLogger(logger(&log)))
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		if !errors.Is(err, tt.is) {
			t.Errorf("%s: %v", tt.name, err)
		}
		checkNoSecret(t, err)
		if tt.is == nil {
			continue
		}
		err = quietServer(micro.WithLogger(logger(&log))).Serve(t.Context(), Listen(tt.url))
		if err == nil {
			t.Errorf("%s: the server started", tt.name)
		}
		checkNoSecret(t, err)
	}
	checkNoSecret(t, log.String(), Listen(url), Dial(url))
	if got := fmt.Sprint(Listen(url), Dial("rediss://x:"+secret+"@h/3"), Dial("h:"+secret)); got != "microredis.Listen("+broker.URL+") microredis.Dial(rediss://h:6379) microredis.Dial(not a URL)" {
		t.Error(got)
	}
}

// TestPermissions checks that errors name the channels that the user may not use.
func TestPermissions(t *testing.T) {
	broker := testenv.Redis(t, "user guest on >"+secret+" ~* resetchannels &allowed* +@all", "user mute on >"+secret+" ~* resetchannels &allowed* +@all -publish")
	s := quietServer()
	allowed := micro.Name("allowed")
	micro.Handle(s, allowed, func(context.Context, micro.None) (int, error) { return 1, nil })
	start(t, s, Listen(broker.URL))
	guest := client(t, withPassword(broker.URL, "guest", secret))
	if _, err := micro.Call[int](t.Context(), guest, allowed, nil); err != nil {
		t.Errorf("an allowed request: %v", err)
	}
	for range 2 { // the subscription is tried again each time, since permissions may change
		_, err := micro.Call[string](t.Context(), guest, echo, "x")
		if !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), "NOPERM") || !strings.Contains(err.Error(), echo.Route()) {
			t.Errorf("a forbidden reply channel: %v", err)
		}
		checkNoSecret(t, err)
	}
	if err := guest.Emit(t.Context(), note, 1); !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), note.Route()) {
		t.Errorf("a forbidden event: %v", err)
	}
	if _, err := micro.Call[int](t.Context(), guest, allowed, nil); err != nil {
		t.Errorf("an allowed request afterwards: %v", err)
	}
	mute := client(t, withPassword(broker.URL, "mute", secret))
	if _, err := micro.Call[int](t.Context(), mute, allowed, nil); !errors.Is(err, micro.ErrRefused) {
		t.Errorf("a user who may not publish: %v", err)
	}
	err := quietServer().Serve(t.Context(), Listen(withPassword(broker.URL, "guest", secret)))
	if err == nil || !strings.Contains(err.Error(), "NOPERM") || !strings.Contains(err.Error(), echo.Route()) {
		t.Errorf("a server: %v", err)
	}
}

// TestFewPermissions checks that the permissions in docs/transports.md are sufficient.
func TestFewPermissions(t *testing.T) {
	broker := testenv.Redis(t, "user few on >"+secret+" resetchannels &* -@all +ping +publish +subscribe +unsubscribe")
	url := withPassword(broker.URL, "few", secret)
	l := Listen(url)
	l.company.confirm, l.company.every = time.Millisecond, time.Millisecond // PUBSUB NUMSUB is forbidden; the server continues
	r := start(t, quietServer(), l)
	c := client(t, url)
	for range 10 {
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil || got != "x" {
			t.Errorf("%q, %v", got, err)
		}
	}
	r.end(t)
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrNotServed) {
		t.Errorf("after the server has stopped: %v", err)
	}
}

// TestBadURL checks that an invalid URL is an error of the first message, and that the
// error does not contain the URL.
func TestBadURL(t *testing.T) {
	for _, url := range []string{"", "localhost:6379", "http://localhost", "redis://:" + secret + "/x@localhost", "redis://user:" + secret + "#@h", "redis://h:" + secret, "redis://h/" + secret, "redis://h?" + secret + "=1", "://" + secret} {
		c := client(t, url)
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		if !errors.Is(err, micro.ErrUnreachable) {
			t.Errorf("%q: %v", url, err)
		}
		checkNoSecret(t, err)
	}
}

func FuzzURL(f *testing.F) {
	for _, rest := range []string{"@localhost", "@localhost:6379/0", "@h:x", "@/", "#@h", "/@h?a=b", "%zz@h", ":"} {
		f.Add(rest)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		options, _, err := parse("redis://user:"+secret+rest, defaultSettings())
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
		if err == nil && strings.Contains(connectError(options, errSilent).Error(), secret) && !strings.Contains(rest, secret) {
			t.Errorf("the address of %q has the password", rest)
		}
	})
}

// TestForeignOptions checks that the options of other clients in a URL are ignored.
func TestForeignOptions(t *testing.T) {
	for _, query := range []string{"family=0", "protocol=3&client_name=x&db=two", "ssl_cert_reqs=none&dial_timeout=1s", ""} {
		if o, _, err := parse("redis://u:p@h:1/3?"+query, defaultSettings()); err != nil || o.Addr != "h:1" || o.ClientName != "" {
			t.Errorf("%s: %+v, %v", query, o, err)
		}
	}
	if _, _, err := parse("redis://u:p?x@h", defaultSettings()); err == nil {
		t.Error("a password that is not encoded is not an error")
	}
}
