package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/agents"
)

// TestFollowedHintsOfBench is TestFollowedHints for bench.
func TestFollowedHintsOfBench(t *testing.T) {
	addr := startHelper(t, "service")
	dir := t.TempDir()
	lines := filepath.Join(dir, "lines.ndjson")
	if err := os.WriteFile(lines, []byte("{\"name\":\"a\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	one := []string{"-n", "1", "--users", "1", "-t", addr}
	bench := func(args ...string) []string { return append(append([]string{"bench"}, args...), one...) }
	followHints(t, []followed{
		{bench("cmd=echo", "--hedge", "9s", "--timeout", "5s"), `use a shorter (--hedge), or a quantile such as p95$`,
			func(w string) []string { return bench("cmd=echo", w, "1s", "--timeout", "5s") }, 0, `100%`},
		{bench("cmd=echo", "--hedge", "9s", "--timeout", "5s"), `use a shorter --hedge, or a quantile such as (p95)$`,
			func(w string) []string { return bench("cmd=echo", "--hedge", w, "--timeout", "5s") }, 0, `100%`},
		{[]string{"bench", "cmd=x", "-n", "1", "--users", "1", "-t", "http://" + down + "/"}, `to send a field named cmd, write (DATA) as JSON$`,
			func(string) []string {
				return []string{"bench", `{"cmd":"x"}`, "-n", "1", "--users", "1", "--timeout", "1s", "-t", "http://" + down + "/"}
			}, 4, ``},
		{[]string{"bench", "-n", "1", "--users", "1", "-t", "http://{{.name}}/x"}, `templates can follow the host: http://host(/items/\{\{\.id\}\})$`,
			func(w string) []string {
				return []string{"bench", "-n", "1", "--users", "1", "--timeout", "1s", "--data-file", lines, "-t", "http://" + down + strings.Replace(w, "id", "name", 1)}
			}, 4, ``},
		{bench("cmd=echo", "a={{zz}}"), `templates support (\{\{seq\}\}), \{\{uuid\}\}, \{\{int 1 100\}\}, `,
			func(w string) []string { return bench("cmd=echo", "a="+w) }, 0, `100%`},
		{bench("cmd=echo", "a={{zz}}"), `(\{\{int 1 100\}\}), \{\{float 0 1\}\}, `,
			func(w string) []string { return bench("cmd=echo", "a="+w) }, 0, `100%`},
		{bench("cmd=echo", "a={{zz}}"), `(\{\{float 0 1\}\}), \{\{pick "a" "b"\}\}, `,
			func(w string) []string { return bench("cmd=echo", "a="+w) }, 0, `100%`},
		{bench("cmd=echo", "a={{zz}}"), `(\{\{pick "a" "b"\}\}), \{\{now\}\}, and \{\{.name\}\} for a member of a line of --data-file$`,
			func(w string) []string { return bench("cmd=echo", "a="+w) }, 0, `100%`},
		{bench("cmd=echo", "a={{zz}}"), `and (\{\{.name\}\}) for a member of a line of --data-file$`,
			func(w string) []string { return bench("cmd=echo", "a="+w, "--data-file", lines) }, 0, `100%`},
		{bench("cmd=echo", "--fault", "pause@100ms+100ms"), `name a service with --to, or use (stall), which holds the messages instead$`,
			func(w string) []string { return bench("cmd=echo", "--fault", w+"@100ms+100ms") }, 0, `100%`},
		{bench("cmd=echo", "--threshold", "on-time>50%"), `state what is on time, such as (--objective 500ms)$`,
			func(w string) []string {
				return bench(append([]string{"cmd=echo", "--threshold", "on-time>50%"}, strings.Fields(strings.Replace(w, "500ms", "1m", 1))...)...)
			}, 0, `on time`},
		{bench("cmd=echo", "--print-policy", "nest", "--hedge", "5ms"), `remove --hedge, or use (--print-policy go)$`,
			func(w string) []string {
				return bench(append([]string{"cmd=echo", "--hedge", "5ms"}, strings.Fields(w)...)...)
			}, 0, `WithHedge`},
		{bench("cmd=echo", "--policy", "recommende"), `did you mean (\w+)\?$`,
			func(w string) []string { return bench("cmd=echo", "--policy", w) }, 0, `100%`},
		{bench("cmd=echo", "--sweep", "zzzzz=1,2"), `these flags can be swept: (timeout), retries, `,
			func(w string) []string { return bench("cmd=echo", "--sweep", w+"=5s,6s") }, 0, ``},
		{[]string{"bench", "--from", filepath.Join(dir, "none.jsonl"), "-t", addr}, `record one with .msctl (tap --record) \S+.$`,
			func(w string) []string { return append(strings.Fields(w), filepath.Join(dir, "r.jsonl"), "--help") }, 0, `--record`},
	})
}

// TestFollowedHintsOfAgents is TestFollowedHints for bench agent and --agents.
func TestFollowedHintsOfAgents(t *testing.T) {
	addr := startHelper(t, "service")
	dir := t.TempDir()
	keys := runMsctl(t, "bench", "key")
	_, seed, _ := strings.Cut(strings.SplitN(keys.stdout, "\n", 2)[0], "seed ")
	seed = strings.TrimSpace(seed)
	signer, err := agents.NewSigner(seed)
	if err != nil {
		t.Fatalf("%v: %+v", err, keys)
	}
	file := filepath.Join(dir, "bench.key")
	if err := os.WriteFile(file, []byte(keys.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	const server = "nats://" + down
	agent := func(args ...string) []string {
		return append([]string{"bench", "agent", "--nats", server, "--trust", signer.Public()}, args...)
	}
	fleet := func(args ...string) []string {
		return append([]string{"bench", "cmd=echo", "--rate", "50/s", "-n", "4", "--agents", "2", "-t", addr}, args...)
	}
	followHints(t, []followed{
		{[]string{"bench", "agent", "--nats", server}, `.msctl (bench key). makes a key$`,
			strings.Fields, 0, `public`},
		{[]string{"bench", "agent", "--nats", server, "--trust", seed}, `.msctl bench key. prints both; the public key begins with (U)$`,
			func(w string) []string { return agent("--pool", w) }, 4, ``},
		{[]string{"bench", "agent", "--nats", server, "--trust", "abc"}, `.msctl (bench key). makes one; it begins with U$`,
			strings.Fields, 0, `public  U`},
		{fleet("--nats", server), `.msctl bench key. makes a seed, and the public key for the agents' (--trust)$`,
			func(w string) []string { return fleet("--nats", server, "--agents-seed", file) }, 4, ``},
		{fleet("--nats", server, "--agents-seed", fileOf(t, dir, "address", "tcp://"+down)), `.msctl (bench key). makes one; it begins with SU$`,
			strings.Fields, 0, `seed    SU`},
		{fleet("--nats", "http://"+down, "--agents-seed", file), `use (nats)://host or nats\+tls://host$`,
			func(w string) []string { return fleet("--nats", w+"://"+down, "--agents-seed", file) }, 4, ``},
		{agent("--print", "kubernetes"), `name the service: (--allow items.shop.svc:3002)$`,
			func(w string) []string {
				return agent(append([]string{"--print", "kubernetes"}, strings.Fields(w)...)...)
			}, 0, `kind: Job`},
		{[]string{"bench", "agent", "--print", "compose", "--trust", signer.Public(), "--allow", "a:1", "--nats", "nats://u:geheim@host"}, `use (@host) with a token in MSCTL_NATS_PASSWORD, or creds=FILE or nkey=FILE after the \?$`,
			func(w string) []string {
				return []string{"bench", "agent", "--print", "compose", "--trust", signer.Public(), "--allow", "a:1", "--nats", "nats://" + w}
			}, 0, `nats://@host`},
	})
}

// fileOf returns the name of a new file with a text.
func fileOf(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
