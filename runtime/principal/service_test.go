package principal_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/principal"
)

type none struct{}

var (
	whoami     = micro.NewMethod[none, string](micro.Cmd("whoami"))
	open       = micro.NewMethod[none, string](micro.Cmd("open"))
	member     = micro.NewMethod[none, string](micro.Cmd("member"))
	remove     = micro.NewMethod[none, string](micro.Cmd("remove"))
	administer = micro.NewMethod[none, string](micro.Cmd("administer"))
)

func subject(ctx context.Context, _ none) (string, error) {
	if p := principal.FromContext(ctx); p != nil {
		return p.Subject, nil
	}
	return "anonymous", nil
}

// TestRequire checks who may call what.
func TestRequire(t *testing.T) {
	t.Parallel()
	key, err := principal.NewKey([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	s := micro.NewServer(principal.Accept(key), micro.WithLogger(slog.New(slog.DiscardHandler)))
	open.Handle(s, subject)
	member.Handle(s, subject, principal.Require())
	remove.Handle(s, subject, principal.Require("items:delete"))
	administer.Handle(s, subject, principal.RequireRole("admin", "owner"))
	client := microtest.Serve(t, s)

	alice := &principal.Principal{Subject: "alice", Scopes: []string{"items:delete"}}
	bob := &principal.Principal{Subject: "bob", Roles: []string{"owner"}}
	for _, c := range []struct {
		name   string
		method micro.Method[none, string]
		caller *principal.Principal
		signed string // instead of caller
		want   string // or a status
	}{
		{"anonymous, open", open, nil, "", "anonymous"},
		{"anonymous, closed", member, nil, "", "401"},
		{"anonymous, scope", remove, nil, "", "401"},
		{"known", member, alice, "", "alice"},
		{"known, open", open, bob, "", "bob"},
		{"scope", remove, alice, "", "alice"},
		{"no scope", remove, bob, "", "403"},
		{"role", administer, bob, "", "bob"},
		{"no role", administer, alice, "", "403"},
		{"forged", open, nil, "e30.e30.AA", "401"},
	} {
		text := c.signed
		if c.caller != nil {
			text = signed(t, key, c.caller)
		}
		got, err := call(t, client, c.method, text)
		var remote *micro.Error
		if errors.As(err, &remote) {
			got = strconv.Itoa(remote.Status)
		} else if err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestForward checks that a service passes the caller on to the next one, and that it does so
// only with the option.
func TestForward(t *testing.T) {
	t.Parallel()
	key, err := principal.NewKey([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	quiet := micro.WithLogger(slog.New(slog.DiscardHandler))
	for name, c := range map[string]struct {
		options []micro.ClientOption
		want    string
	}{
		"forwards": {[]micro.ClientOption{principal.Forward()}, "alice"},
		"does not": {nil, "anonymous"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			last := micro.NewServer(principal.Accept(key), quiet)
			whoami.Handle(last, subject)
			next := microtest.Serve(t, last, c.options...)
			middle := micro.NewServer(principal.Accept(key), quiet)
			whoami.Handle(middle, func(ctx context.Context, _ none) (string, error) { return whoami.Call(ctx, next, none{}) })
			client := microtest.Serve(t, middle)

			got, err := call(t, client, whoami, signed(t, key, &principal.Principal{Subject: "alice"}))
			if err != nil || got != c.want {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// TestAs checks that a client acts on its own account, unless a message has another principal.
func TestAs(t *testing.T) {
	t.Parallel()
	key, err := principal.NewKey([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	serve := func(p *principal.Principal) *micro.Client {
		s := micro.NewServer(principal.Accept(key), micro.WithLogger(slog.New(slog.DiscardHandler)))
		whoami.Handle(s, subject)
		return microtest.Serve(t, s, principal.As(key, p))
	}
	client := serve(&principal.Principal{Subject: "job"})
	for caller, want := range map[string]string{"": "job", "alice": "alice"} {
		text := ""
		if caller != "" {
			text = signed(t, key, &principal.Principal{Subject: caller})
		}
		if got, err := call(t, client, whoami, text); got != want || err != nil {
			t.Errorf("%q: %q, %v", caller, got, err)
		}
	}
	if _, err := call(t, serve(&principal.Principal{Claims: json.RawMessage("{")}), whoami, ""); err == nil {
		t.Error("a principal that cannot be signed was sent")
	}
}

// TestNotVerified checks what happens to principals that a server cannot verify: an event is
// handled as that of an anonymous caller, because no program would send it again, and for a
// server without a key, all callers are anonymous.
func TestNotVerified(t *testing.T) {
	t.Parallel()
	key, err := principal.NewKey([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	other, err := principal.NewKey([]byte(strings.Repeat("o", 32)))
	if err != nil {
		t.Fatal(err)
	}
	alice := &principal.Principal{Subject: "alice"}
	happened := micro.NewTopic[none](micro.Name("happened"))
	for name, c := range map[string]struct {
		accepts *principal.Key
		guards  []micro.HandlerOption
		want    string // the caller that the event's handler sees; empty if it is not called
		status  int    // of a request
	}{
		"another key":          {key, nil, "anonymous", 401},
		"another key, guarded": {key, []micro.HandlerOption{principal.Require()}, "", 401},
		"no key":               {nil, nil, "anonymous", 0},
		"no key, guarded":      {nil, []micro.HandlerOption{principal.Require()}, "", 401},
		"the same key":         {other, nil, "alice", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan string, 1)
			s := micro.NewServer(principal.Accept(c.accepts), micro.WithLogger(slog.New(slog.DiscardHandler)))
			whoami.Handle(s, subject, c.guards...)
			happened.Handle(s, func(ctx context.Context, _ none) error {
				who, err := subject(ctx, none{})
				seen <- who
				return err
			}, c.guards...)
			client := microtest.Serve(t, s, principal.As(other, alice))
			if err := happened.Emit(t.Context(), client, none{}); err != nil {
				t.Fatal(err)
			}
			_, err := call(t, client, whoami, "") // after the event, on the same connection
			var remote *micro.Error
			if errors.As(err, &remote) && remote.Status != c.status || (err == nil) != (c.status == 0) {
				t.Errorf("a request: %v, want status %d", err, c.status)
			}
			if c.want != "" {
				if got := <-seen; got != c.want {
					t.Errorf("the event came from %q, want %q", got, c.want)
				}
			}
		})
	}
}

func signed(t *testing.T, key *principal.Key, p *principal.Principal) string {
	t.Helper()
	text, err := key.Sign(p)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// call returns the reply to a message with a signed principal, if that is not empty.
func call(t *testing.T, client *micro.Client, m micro.Method[none, string], signed string) (got string, err error) {
	t.Helper()
	req := &micro.Request{Pattern: m.Pattern(), Data: []byte(`{}`)}
	if signed != "" {
		req.Metadata.Set(principal.MetadataKey, signed)
	}
	err = client.Do(t.Context(), req, micro.ReplyFunc(func(v micro.Value) error {
		if v.Undefined() {
			return nil
		}
		return json.Unmarshal(v.Raw, &got)
	}))
	return got, err
}
