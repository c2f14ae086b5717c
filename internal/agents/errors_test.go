package agents

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/msctl/msctl/internal/exit"
)

// TestErrors checks the error for each kind of bad input, and that nothing was sent.
func TestErrors(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, nil)
	s := serve(t)
	t.Run("inputs", func(t *testing.T) { // waits for its parallel tests
		for name, c := range map[string]struct {
			set    [][2]string
			change func(*Options)
			text   string
			code   int
		}{
			"too few agents":  {nil, func(o *Options) { o.Agents = 3 }, "--agents 3: only 2 answered", exit.Unreachable},
			"another pool":    {nil, func(o *Options) { o.Pool = "other" }, "none answered", exit.Unreachable},
			"another version": {nil, func(o *Options) { o.Version = "9" }, "all agents must have version 9", exit.Usage},
			"wrong key":       {nil, func(o *Options) { o.Signer = emptyFleet(t, "", 1).signer }, "trusts another key", exit.Usage},
			"no server":       {nil, func(o *Options) { o.NATS = "nats://127.0.0.1:1" }, "cannot be reached", exit.Unreachable},
			"not a server":    {nil, func(o *Options) { o.NATS = "http://127.0.0.1:1" }, "not the URL of a NATS server", exit.Usage},
			"no such file":    {nil, func(o *Options) { o.NATS += "?creds=/nowhere" }, "creds=/nowhere", exit.Usage},
			"few users":       {[][2]string{{"users", "1"}}, nil, "at least as many --users", exit.Usage},
			"few requests":    {[][2]string{{"requests", "1"}}, nil, "at least as many --requests", exit.Usage},
			"vegeta":          {[][2]string{{"vegeta", t.TempDir() + "/x.bin"}}, nil, "cannot be combined with --vegeta", exit.Usage},
			"pause":           {[][2]string{{"fault", "pause@1s+1s"}}, nil, "pauses a process that `msctl run` started", exit.Usage},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				one := &fleet{options: f.options, url: f.url, signer: f.signer}
				if c.change != nil {
					c.change(&one.options)
				}
				_, err := one.try(t, settings{to: s.address, set: c.set})
				if err == nil || !strings.Contains(err.Error(), c.text) || exit.Code(err) != c.code {
					t.Errorf("the error is %v (exit code %d)", err, exit.Code(err))
				}
			})
		}
	})
	if n := len(s.received()); n > 0 {
		t.Errorf("the service received %d requests", n)
	}
}

// TestPermissions uses a NATS server that does not permit what agents and benches need.
func TestPermissions(t *testing.T) {
	t.Parallel()
	only := func(subjects ...string) *server.Permissions {
		return &server.Permissions{Publish: &server.SubjectPermission{Allow: subjects}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}
	}
	srv := natsServer(t, server.Options{Users: []*server.User{
		{Username: "none", Password: "p", Permissions: only("other")},
		{Username: "half", Password: "p", Permissions: only("msctl.bench.test.find")},
	}})
	at := func(user string) string { return strings.Replace(srv.ClientURL(), "//", "//"+user+":p@", 1) }
	f := emptyFleet(t, at("none"), 1)
	s := serve(t)
	_, err := f.try(t, settings{to: s.address})
	if err == nil || !strings.Contains(err.Error(), "msctl.bench.test.find") || exit.Code(err) != exit.Unreachable {
		t.Errorf("a bench without permissions: %v (%d)", err, exit.Code(err))
	}
	err = ServeAgent(t.Context(), AgentOptions{NATS: at("half"), Pool: "test", Trust: f.signer.Public(), Version: version, Log: t.Logf})
	if err == nil || !strings.Contains(err.Error(), "msctl.bench.test.") || exit.Code(err) != exit.Unreachable {
		t.Errorf("an agent without permissions: %v (%d)", err, exit.Code(err))
	}
	_, err = emptyFleet(t, srv.ClientURL(), 1).try(t, settings{to: s.address})
	if err == nil || !strings.Contains(err.Error(), "rejected the login") || exit.Code(err) != exit.Unreachable {
		t.Errorf("a bench without a login: %v (%d)", err, exit.Code(err))
	}
}

// TestUnreachableTarget names the agent that cannot reach the target.
func TestUnreachableTarget(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, nil)
	_, err := f.run(t, settings{to: "tcp://127.0.0.1:1"}, nil)
	if err == nil || !strings.Contains(err.Error(), "agent ") || exit.Code(err) != exit.Unreachable {
		t.Errorf("the error is %v (exit code %d)", err, exit.Code(err))
	}
}

// TestLogins makes a run over a NATS server with an nkey, and with a user whose password is in
// the environment.
func TestLogins(t *testing.T) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(PasswordVariable, "p")
	srv := natsServer(t, server.Options{Nkeys: []*server.NkeyUser{{Nkey: public}}, Users: []*server.User{{Username: "user", Password: "p"}}})
	s := serve(t)
	for name, url := range map[string]string{
		"nkey":     srv.ClientURL() + "?nkey=" + file,
		"password": strings.Replace(srv.ClientURL(), "//", "//user@", 1),
	} {
		t.Run(name, func(t *testing.T) {
			f := emptyFleet(t, url, 1)
			f.processes(t, 1)
			if r := f.mustRun(t, settings{to: s.address, set: [][2]string{{"requests", "5"}}}, nil); r.Outcomes["ok"] != 5 {
				t.Errorf("the outcomes are %v", r.Outcomes)
			}
		})
	}
}
