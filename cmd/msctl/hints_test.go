package main

import (
	"regexp"
	"strings"
	"testing"
)

// followed is a mistake on the command line whose hint is followed.
type followed struct {
	args   []string
	hint   string // a regular expression; its group is what to write
	follow func(written string) []string
	code   int
	stdout string // a part of it
}

// down is an address where nothing listens: exit code 4 shows that a target is valid.
const down = "127.0.0.1:1"

// TestFollowedHints makes mistakes on the command line, and then follows the hint. Hints
// about services, brokers, workspaces, and runs are followed in the scripts whose names end with
// hints.
func TestFollowedHints(t *testing.T) {
	addr := startHelper(t, "service")
	followHints(t, []followed{
		{[]string{"send", "cmd=echo", "n=$UNSET_77", "-t", addr}, `for the text \$UNSET_77 itself, write (\S+)$`,
			func(w string) []string { return []string{"send", "cmd=echo", "n=" + w, "-t", addr} }, 0, `{"n":"$UNSET_77"}`},
		{[]string{"send", "cmd=metadata", "-m", "k=@none", "-t", addr}, `for a text that starts with @, write (\S+)$`,
			func(w string) []string { return []string{"send", "cmd=metadata", "-m", "k=" + w, "-t", addr} }, 0, `{"k":"@none"}`},
		{[]string{"send", "", "-t", addr}, `use a pattern such as cmd=findAllItems, '([^']+)', or`,
			func(w string) []string { return []string{"send", w, "-t", addr} }, 0, `"id":1`},
		{[]string{"send", "cmd=echo", "--timeot", "1s", "-t", addr}, `did you mean (--\S+)\?`,
			func(w string) []string { return []string{"send", "cmd=echo", w, "10s", "-t", addr} }, 0, `{}`},
		{[]string{"sned", "cmd=echo"}, `did you mean .msctl (\w+).\?`,
			func(w string) []string { return []string{w, "cmd=echo", "-t", addr} }, 0, `{}`},
		{[]string{"send", "cmd=x", "-m", "a=b", "--print-code", "nest"}, `use (--print-code go)$`,
			func(w string) []string { return append([]string{"send", "cmd=x", "-m", "a=b"}, strings.Fields(w)...) }, 0, `req.Metadata.Set("a", "b")`},
		{[]string{"send", "cmd=x", "--print-code", "curl", "--to", "tls://a:1"}, `use (--print-code go) or nest$`,
			func(w string) []string {
				return append([]string{"send", "cmd=x", "--to", "tls://a:1"}, strings.Fields(w)...)
			}, 0, `WithTLS`},
		{[]string{"send", "cmd=x", "--print-code", "curl", "--to", "redis://a"}, `use --print-code go or (nest)$`,
			func(w string) []string { return []string{"send", "cmd=x", "--to", "redis://a", "--print-code", w} }, 0, `Transport.REDIS`},
		{[]string{"send", "cmd=x", "--to", "amqp://" + down}, `add it after the host: (\S+)/QUEUE or `,
			func(w string) []string { return []string{"send", "cmd=x", "--to", w + "/q"} }, 4, ``},
		{[]string{"send", "cmd=x", "--to", "amqp://" + down + "/q?durabel=false"}, `did you mean (\S+)\?`,
			func(w string) []string {
				return []string{"send", "cmd=x", "--to", "amqp://" + down + "/q?" + w + "=false"}
			}, 4, ``},
		{[]string{"send", "cmd=x", "--to", "amqp://" + down + "/v/a/b"}, `write a / in a name as (%2F)$`,
			func(w string) []string { return []string{"send", "cmd=x", "--to", "amqp://" + down + "/v/a" + w + "b"} }, 4, ``},
		{[]string{"send", "cmd=x", "--to", "http://" + down}, `use (tcp)://host:port$`,
			func(w string) []string { return []string{"send", "cmd=x", "--to", w + "://" + down} }, 4, ``},
		{[]string{"bench", "cmd=x", "-n", "1", "-H", "a: b", "-t", addr}, `use (--meta) KEY=VALUE for messages$`,
			func(w string) []string {
				return []string{"bench", "cmd=echo", "-n", "1", "--users", "1", w, "a=b", "-t", addr}
			}, 0, `100%`},
		{[]string{"bench", "cmd=x", "--sweep", "timeot=1s,2s", "-t", addr}, `did you mean (\w+)\?`,
			func(w string) []string {
				return []string{"bench", "cmd=echo", "-n", "1", "--users", "1", "--sweep", w + "=10s,20s", "-t", addr}
			}, 0, ``},
		{[]string{"emit", "--raw", "[1]", "--to", "redis://" + down}, `write .msctl emit PATTERN (--raw) BODY.$`,
			func(w string) []string { return []string{"emit", "x", w, "[1]", "--to", "redis://" + down} }, 4, ``},
		{[]string{"send", "cmd=x", "--to", "tpc://" + down}, `did you mean (\w+)://host:port\?`,
			func(w string) []string { return []string{"send", "cmd=x", "--to", w + "://" + down} }, 4, ``},
		{[]string{"send", "cmd=x", "--to", "amqp://" + down + "//q"}, `for the default vhost, write /(QUEUE)$`,
			func(w string) []string { return []string{"send", "cmd=x", "--to", "amqp://" + down + "/" + w} }, 4, ``},
		{[]string{"send", "cmd=x", "--to", "amqp://" + down + "/a%zz"}, `write a % in a name as (%25), a space as %20$`,
			func(w string) []string { return []string{"send", "cmd=x", "--to", "amqp://" + down + "/a" + w + "zz"} }, 4, ``},
		{[]string{"send", "cmd=x", "--to", "amqp://me@" + down + "/q"}, `write user(:password@)host, or set the password in MSCTL_PASSWORD$`,
			func(w string) []string { return []string{"send", "cmd=x", "--to", "amqp://me" + w + down + "/q"} }, 4, ``},
		{[]string{"send", "cmd=x", "--to", "amqp://" + down + "/q?exchange=e&exchangeType=topc"}, `use (topic), direct, fanout, or headers$`,
			func(w string) []string {
				return []string{"send", "cmd=x", "--to", "amqp://" + down + "/q?exchange=e&exchangeType=" + w}
			}, 4, ``},
		{[]string{"send", "cmd=x", "--to", "amqp://" + down + "/q?exchange=e&exchangeArguments=5"}, `write exchangeArguments=\{"NAME":VALUE\}, or (exchangeArguments\.)NAME=VALUE$`,
			func(w string) []string {
				return []string{"send", "cmd=x", "--to", "amqp://" + down + "/q?exchange=e&" + w + "alternate-exchange=u"}
			}, 4, ``},
		{[]string{"send", "cmd=echo", "--zzzzzz", "-t", addr}, `.msctl send (--help). lists the flags$`,
			func(w string) []string { return []string{"send", w} }, 0, `--timeout`},
		{[]string{"zzzzzz"}, `.msctl (--help). lists the commands$`,
			func(w string) []string { return []string{w} }, 0, `bench`},
		{[]string{"bench", "cmd=echo", "-m", "a={{bad}}", "-n", "1", "--users", "1", "-t", addr}, `metadata templates support (\{\{seq\}\}), `,
			func(w string) []string {
				return []string{"bench", "cmd=echo", "-m", "a=" + w, "-n", "1", "--users", "1", "-t", addr}
			}, 0, `100%`},
		{[]string{"bench", "cmd=echo", "--fault", "latency=1ms", "-t", "redis+sentinel://" + down + "/m"}, `use the address of Redis itself: (redis)://HOST:6379$`,
			func(w string) []string {
				return []string{"bench", "cmd=echo", "--fault", "latency=1ms", "-n", "1", "--users", "1", "--timeout", "1s", "-t", w + "://" + down}
			}, 4, ``},
		{[]string{"completion", "zhs"}, `did you mean .msctl completion (\w+).\?`,
			func(w string) []string { return []string{"completion", w} }, 0, `msctl`},
	})
}

// followHints makes each mistake, and follows its hint.
func followHints(t *testing.T, list []followed) {
	t.Helper()
	for _, tt := range list {
		failed := runMsctl(t, tt.args...)
		hint := regexp.MustCompile(`(?m)^hint: .*` + tt.hint).FindStringSubmatch(failed.stderr)
		if failed.code == 0 || hint == nil {
			t.Errorf("msctl %q: no hint %q: %+v", tt.args, tt.hint, failed)
			continue
		}
		args := tt.follow(hint[1])
		if got := runMsctl(t, args...); got.code != tt.code || !strings.Contains(got.stdout, tt.stdout) {
			t.Errorf("msctl %q, which follows the hint of msctl %q: %+v", args, tt.args, got)
		}
	}
}
