package observe

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// sees checks that an observer of a target sees an event that is sent to it.
func sees(t *testing.T, f *target.Flags, address string) {
	t.Helper()
	to := parseTarget(t, address)
	v := newView(t)
	o, err := Connect(t.Context(), f, to, Options{Note: v.note})
	if err != nil {
		t.Fatal(err)
	}
	v.watch(o)
	conn, err := f.Dial(to, target.DialOptions{Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	c := micro.NewClient(conn)
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Emit(t.Context(), noted, input{"a", "hunter2-seen"}); err != nil {
		t.Fatal(err)
	}
	v.message("the event", of(noted))
}

func TestTLS(t *testing.T) {
	certificates := testenv.NewCertificates(t)
	f := &target.Flags{CA: certificates.CAFile, Cert: certificates.CertFile, Key: certificates.KeyFile}
	nats, redis := testenv.NATS(t, certificates.NATS()...), testenv.Redis(t, certificates.Redis()...)
	for name, address := range map[string]string{"NATS": "nats+tls://" + nats.Addr, "Redis": redis.URL} {
		t.Run(name, func(t *testing.T) {
			sees(t, f, address)
			rejected(t, address, 4, "certificate", "--ca")
		})
	}
	t.Run("proxy", func(t *testing.T) {
		l := microtcp.Listen("127.0.0.1:0", microtcp.WithTLS(certificates.Server()))
		serve(t, l)
		served, err := l.Addr(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		config, err := f.TLSConfig()
		if err != nil {
			t.Fatal(err)
		}
		v := newView(t)
		p, err := Listen(t.Context(), "127.0.0.1:0", parseTarget(t, "tls://"+served.String()), config, Options{Note: v.note})
		if err != nil {
			t.Fatal(err)
		}
		v.watch(p)
		if _, err := micro.Call[output](t.Context(), client(t, "tcp://"+p.Address), echo, input{"a", "hunter2-seen"}); err != nil {
			t.Fatal(err)
		}
		v.message("the request", of(echo))
	})
}

// TestCredentialsFiles checks logins of NATS without a password.
func TestCredentialsFiles(t *testing.T) {
	for option, login := range map[string]testenv.NATSLogin{"nkey": testenv.NATSKey(t), "creds": testenv.NATSCreds(t, time.Now().Add(time.Hour))} {
		t.Run(option, func(t *testing.T) {
			file, text := filepath.Join(t.TempDir(), "login"), login.Creds
			if option == "nkey" {
				text = login.Seed
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			broker := testenv.NATS(t, login.Config...)
			sees(t, new(target.Flags), broker.URL+"?"+option+"="+file)
			rejected(t, broker.URL, 4, "does not take the user's credentials", "creds=FILE")
		})
	}
}

// TestSentinel checks that the master is found by a Sentinel.
func TestSentinel(t *testing.T) {
	sentinel := testenv.Sentinel(t, testenv.PrivateRedis(t))
	sees(t, new(target.Flags), sentinel.URL)
	rejected(t, "redis+sentinel://"+sentinel.Addr+"/other", 4, "no master named other", "")
}
