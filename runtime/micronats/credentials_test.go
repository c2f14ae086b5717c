package micronats

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestKeyPairs: both sides log in with an nkey or a JWT, from memory, a file, or the address. Others are rejected at
// once, and no error, log, or printed value contains a secret.
func TestKeyPairs(t *testing.T) {
	key, creds := testenv.NATSKey(t), testenv.NATSCreds(t, time.Now().Add(time.Hour))
	late, other := testenv.NATSCreds(t, time.Now().Add(-time.Hour)), testenv.NATSKey(t)
	withKey, withCreds := testenv.PrivateNATS(t, key.Config...), testenv.PrivateNATS(t, creds.Config...)
	withLate := testenv.PrivateNATS(t, late.Config...)
	open := testenv.NATS(t)
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "login, with spaces & signs")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	in := func(name, path string) string { return "?" + url.Values{name: {path}}.Encode() }
	missing := filepath.Join(t.TempDir(), "missing")
	for _, tt := range []struct {
		name, url string
		option    Option
		err       string // "" if it is accepted
	}{
		{"an nkey", withKey.URL, WithNKey(key.Seed), ""},
		{"an nkey with line ends", withKey.URL, WithNKey("\n" + key.Seed + "\r\n"), ""},
		{"an nkey file", withKey.URL, WithNKeyFile(file("# user\n" + key.Seed + "\n")), ""},
		{"an nkey file in the address", withKey.URL + in("nkey", file(key.Seed)), nil, ""},
		{"creds", withCreds.URL, WithCredentials(creds.Creds), ""},
		{"creds with line ends of Windows", withCreds.URL, WithCredentials(strings.ReplaceAll(creds.Creds, "\n", "\r\n")), ""},
		{"a creds file", withCreds.URL, WithCredentialsFile(file(creds.Creds)), ""},
		{"a creds file in the address", withCreds.URL + "," + withCreds.URL + in("creds", file(creds.Creds)), nil, ""},
		{"creds that are not needed", open.URL, WithCredentials(creds.Creds), ""},

		{"another nkey", withKey.URL, WithNKey(other.Seed), "does not take the user's credentials"},
		{"no nkey", withKey.URL, nil, "does not take the user's credentials"},
		{"creds of another account", withCreds.URL, WithCredentials(late.Creds), "does not take the user's credentials"},
		{"expired creds", withLate.URL, WithCredentials(late.Creds), "does not take the user's credentials"},
		{"an nkey that is not supported", open.URL, WithNKey(key.Seed), "nkeys not supported by the server"},
		{"a missing file", withCreds.URL, WithCredentialsFile(missing), missing},
		{"a missing file in the address", withCreds.URL + in("creds", missing), nil, missing},
		{"only a seed", withCreds.URL, WithCredentials(creds.Seed), "there is no JWT in them"},
		{"nonsense", withCreds.URL, WithCredentials("s3cr3t-nonsense"), "there is no seed of a user"},
		{"a damaged seed", withKey.URL, WithNKey(key.Seed[:40]), "there is no seed of a user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log testenv.Log
			s := quietServer(micro.WithLogger(log.Logger()))
			var l *Listener
			var c *micro.Client
			var conn *Client
			if tt.option == nil {
				l = Listen(tt.url)
				c, conn = dial(t, tt.url)
			} else {
				l = Listen(tt.url, tt.option)
				c, conn = dial(t, tt.url, tt.option)
			}
			printed := fmt.Sprintf("%+v %#v %+v %#v", conn, conn, l, l)
			if tt.err == "" {
				r := serve(t, s, l)
				if err := l.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer r.end(t)
			} else if err := s.Serve(t.Context(), l); !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("serve: %v", err)
			}
			_, err := micro.Call[string](t.Context(), c, echo, "x")
			if (err == nil) != (tt.err == "") || err != nil && (!errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("call: %v", err)
			}
			for _, text := range []string{log.String(), fmt.Sprint(err), printed} {
				for _, secret := range []string{key.Seed[4:40], creds.Seed[4:40], late.Seed[4:40], other.Seed[4:40], creds.Creds[40:80], "s3cr3t"} {
					if strings.Contains(text, secret) {
						t.Errorf("a secret is in %s", text)
					}
				}
			}
		})
	}
}

// TestRenewedCredentials: a file of credentials is read again for each connection.
func TestRenewedCredentials(t *testing.T) {
	creds, late := testenv.NATSCreds(t, time.Now().Add(time.Hour)), testenv.NATSCreds(t, time.Now().Add(-time.Hour))
	b := testenv.PrivateNATS(t, creds.Config...)
	path := filepath.Join(t.TempDir(), "user.creds")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(creds.Creds)
	start(t, quietServer(), b.URL, WithCredentialsFile(path))
	c := client(t, b.URL, WithCredentialsFile(path))
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
		t.Fatal(err)
	}
	write(late.Creds)
	b.Kill()
	b.Start()
	eventually(t, "the expired credentials to be rejected", func() bool {
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		return errors.Is(err, micro.ErrRefused)
	})
	write(creds.Creds)
	eventually(t, "the renewed credentials to be accepted", func() bool {
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		return err == nil
	})
}

func TestAddressOptions(t *testing.T) {
	seed := testenv.NATSKey(t).Seed
	for _, tt := range []struct{ text, want string }{
		{"nats://a?creds=x", ""},
		{"nats://a,b?nkey=x", ""},
		{"nats://a?creds=x&nkey=y", "only creds=FILE or nkey=FILE"},
		{"nats://a?creds=", "only creds=FILE or nkey=FILE"},
		{"nats://a?nkey=" + seed, "must be a file"},
		{"nats://u:p@a?nkey=x", "cannot be combined"},
		{"nats://t@b,a?creds=x", "cannot be combined"},
	} {
		got := parseServers(tt.text).err
		if (got == nil) != (tt.want == "") || got != nil && (!strings.Contains(got.Error(), tt.want) || strings.Contains(got.Error(), seed)) {
			t.Errorf("%s: %v", tt.text, got)
		}
	}
	if err := CheckCredentials("nats://a?creds=" + filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := CheckCredentials("nats://a"); err != nil {
		t.Error(err)
	}
	c := client(t, "nats://u:p@a", WithNKey(seed))
	if err := c.Emit(t.Context(), note, 1); !errors.Is(err, errTwoLogins) {
		t.Error(err)
	}
	if err := quietServer().Serve(t.Context(), Listen("nats://u:p@a", WithNKey(seed))); !errors.Is(err, errTwoLogins) {
		t.Error(err)
	}
}
