package micronats

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

const secret = "p@ss/w:rd"

// withUser puts a user and password into a URL, as people must: percent-encoded.
func withUser(url, userinfo string) string { return strings.Replace(url, "://", "://"+userinfo+"@", 1) }

// TestCredentials checks that a user with a password, or a token, is accepted, and that
// others are rejected at once with a clear error that contains no secret.
func TestCredentials(t *testing.T) {
	user := testenv.PrivateNATS(t, `authorization { user: shop, password: "`+secret+`" }`)
	token := testenv.PrivateNATS(t, `authorization { token: "`+secret+`" }`)
	encoded := "p%40ss%2Fw%3Ard"
	for _, tt := range []struct {
		name, url string
		ok        bool
	}{
		{"user", withUser(user.URL, "shop:"+encoded), true},
		{"token", withUser(token.URL, encoded), true},
		{"wrong password", withUser(user.URL, "shop:"+encoded+"2"), false},
		{"wrong token", withUser(token.URL, encoded+"2"), false},
		{"no user", user.URL, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log testenv.Log
			s := quietServer(micro.WithLogger(log.Logger()))
			l := Listen(tt.url)
			c, conn := dial(t, tt.url, WithDialTimeout(soon))
			printed := fmt.Sprintf("%+v %#v %+v %#v", conn, conn, l, l) // before goroutines use them
			if tt.ok {
				r := serve(t, s, l)
				if err := l.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer r.end(t)
			} else {
				err := s.Serve(t.Context(), l)
				wantRefused(t, "serve", err)
			}
			began := time.Now()
			_, err := micro.Call[string](t.Context(), c, echo, "x")
			if tt.ok && err != nil {
				t.Error(err)
			}
			if !tt.ok {
				wantRefused(t, "call", err)
				if time.Since(began) > soon/2 { // it does not wait for the dial timeout
					t.Errorf("it took %s", time.Since(began))
				}
			}
			for _, text := range []string{log.String(), fmt.Sprint(err), printed, *l.servers.text()} {
				for _, s := range []string{secret, encoded, "ss/w", "ss%2F"} {
					if strings.Contains(text, s) {
						t.Errorf("the secret is in %s", text)
					}
				}
			}
		})
	}
}

// text gives a test what is printed of servers.
func (s *servers) text() *string {
	text := fmt.Sprintf("%v %+v %#v", *s, *s, *s)
	return &text
}

func wantRefused(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, micro.ErrRefused) || !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("%s: %v", what, err)
	}
}

// TestPermissions checks that a missing permission is reported at once: to subscribe to a
// handler's subject, to publish, or to receive replies.
func TestPermissions(t *testing.T) {
	b := testenv.PrivateNATS(t, `authorization { users: [
		{user: all, password: x}
		{user: few, password: x, permissions: {
			publish: {deny: ["secret.>", "{\"cmd\":\"echo\"}"]}, subscribe: {deny: ["secret.>", "msctl.>"]}
		}}
		{user: deaf, password: x, permissions: {subscribe: {deny: "_INBOX.>"}}}
	] }`)
	few := withUser(b.URL, "few:x")
	s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
	micro.Handle(s, micro.Name("secret.plans"), func(context.Context, int) (int, error) { return 1, nil })
	err := s.Serve(t.Context(), Listen(few, WithQueue("g")))
	wantRefused(t, "serve", err)
	if err == nil || !strings.Contains(err.Error(), `"secret.plans"`) {
		t.Error(err)
	}
	start(t, quietServer(), few) // that msctl.health is refused is no reason to end
	c := client(t, few)
	for _, p := range []micro.Pattern{micro.Name("secret.plans"), echo} {
		_, err := micro.Call[int](t.Context(), c, p, 1)
		wantRefused(t, "call "+p.String(), err)
		if err == nil || errors.Is(err, micro.ErrNotServed) || !strings.Contains(err.Error(), "publish") {
			t.Error(err)
		}
	}
	if _, err := micro.Call[string](t.Context(), client(t, withUser(b.URL, "all:x")), echo, "x"); err != nil {
		t.Error(err)
	}
	_, err = micro.Call[string](t.Context(), client(t, withUser(b.URL, "deaf:x")), echo, "x")
	wantRefused(t, "deaf", err)
	if _, err := micro.Call[string](t.Context(), client(t, withUser(b.URL, "deaf:x"), WithInboxPrefix("answers")), echo, "x"); err != nil {
		t.Errorf("with another inbox: %v", err)
	}
}

func TestTLS(t *testing.T) {
	ours, others := testenv.NewCertificates(t), testenv.NewCertificates(t)
	lines := fmt.Sprintf("cert_file: %q, key_file: %q", ours.CertFile, ours.KeyFile)
	b := testenv.PrivateNATS(t, "tls { "+lines+" }")
	mutual := testenv.PrivateNATS(t, fmt.Sprintf("tls { %s, ca_file: %q, verify: true }", lines, ours.CAFile))
	trusting, known := ours.Trusting(), ours.Client
	start(t, quietServer(), b.URL, WithTLS(trusting))
	start(t, quietServer(), mutual.URL, WithTLS(known))
	for _, tt := range []struct {
		name   string
		url    string
		config *tls.Config
		ok     bool
	}{
		{"trusted", "tls://" + b.Addr, trusting, true},
		{"trusted, whatever the scheme", "nats://" + b.Addr, trusting, true},
		{"the other name", "nats+tls://" + b.Addr, trusting, true},
		{"not trusted", "tls://" + b.Addr, others.Trusting(), false},
		{"the system's authorities", "tls://" + b.Addr, nil, false},
		{"the system's authorities, not asked for", "nats://" + b.Addr, nil, false},
		{"mutual", "tls://" + mutual.Addr, known, true},
		{"mutual, unknown", "tls://" + mutual.Addr, trusting, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var opts []DialOption
			if tt.config != nil {
				opts = append(opts, WithTLS(tt.config))
			}
			got, err := micro.Call[string](t.Context(), client(t, tt.url, opts...), echo, "é")
			if tt.ok && (err != nil || got != "é") || !tt.ok && (!errors.Is(err, micro.ErrUnreachable) || errors.Is(err, micro.ErrRefused)) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	var log testenv.Log
	doubts := serve(t, quietServer(micro.WithLogger(log.Logger())), Listen("tls://"+b.Addr, WithTLS(others.Trusting())))
	eventually(t, "a server that does not trust the broker waits", func() bool {
		return strings.Contains(log.String(), "cannot reach the broker yet") && strings.Contains(log.String(), "certificate")
	})
	doubts.end(t)
	plain := testenv.NATS(t)
	_, err := micro.Call[string](t.Context(), client(t, "tls://"+plain.Addr), echo, "x")
	if !errors.Is(err, micro.ErrUnreachable) || !bytes.Contains([]byte(err.Error()), []byte("secure")) {
		t.Errorf("a broker without TLS: %v", err)
	}
}
