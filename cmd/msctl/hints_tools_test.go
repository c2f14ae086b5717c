package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestFollowedHintsOfTools is TestFollowedHints for targets and the commands that need no workspace.
func TestFollowedHintsOfTools(t *testing.T) {
	addr := startHelper(t, "service")
	dir := t.TempDir()
	seed := fileOf(t, dir, "user.nk", "SUACH75SWCM5D2JMJM6EKLR2WDARVGZT4QC6LX3AGHSWOMVAKERABBBRWM\n")
	bad := fileOf(t, dir, "bad.creds", "no credentials\n")
	to := func(target string) []string { return []string{"send", "cmd=x", "--timeout", "1s", "--to", target} }
	followHints(t, []followed{
		{to("amqp://" + down + "/q?a=%zz"), `write (OPTION=VALUE)&OPTION=VALUE$`,
			func(string) []string { return to("amqp://" + down + "/q?durable=false&noAck=true") }, 4, ``},
		{to("amqp://" + down + "/q?zzzzzzzz=1"), `the options are .*\b(durable), exchange, `,
			func(w string) []string { return to("amqp://" + down + "/q?" + w + "=false") }, 4, ``},
		{to("some.host"), `use an address, such as --to (tcp://some.host):3002$`,
			func(w string) []string { return to(strings.Replace(w, "some.host", down, 1)) }, 4, ``},
		{to("zzz://" + down), `use the name of a service in msctl.yaml, or an address that begins with (tcp://), tls://, `,
			func(w string) []string { return to(w + down) }, 4, ``},
		{to("amqp://:p@" + down + "/q"), `RabbitMQ requires (user:password@)$`,
			func(w string) []string { return to("amqp://" + w + down + "/q") }, 4, ``},
		{to("nats://u:p@" + down + "?creds=" + bad), `remove the user, or (creds) and nkey after the \?$`,
			func(string) []string { return to("nats://u:p@" + down) }, 4, ``},
		{to("nats://" + down + "?creds=" + bad), `creds=FILE is a .creds file, and (nkey=)FILE contains the seed of a user \(SU…\)$`,
			func(w string) []string { return to("nats://" + down + "?" + w + seed) }, 4, ``},
		{append(to("tcp://"+down), "--insecure"), `use (tls)://, unix\+tls://, `,
			func(w string) []string { return append(to(w+"://"+down), "--insecure") }, 4, ``},
		{[]string{"send", "cmd=echo", "a", "-t", addr}, `data can be (JSON), @file.json, - for standard input, or fields$`,
			func(string) []string { return []string{"send", "cmd=echo", `{"a":1}`, "-t", addr} }, 0, `{"a":1}`},
		{[]string{"send", "cmd=echo", "a", "-t", addr}, `data can be JSON, (@)file.json, - for standard input, or fields$`,
			func(w string) []string {
				return []string{"send", "cmd=echo", w + fileOf(t, dir, "data.json", `{"b":2}`), "-t", addr}
			}, 0, `{"b":2}`},
		{[]string{"send", "cmd=echo", "--print-code", "go", "--insecure", "-t", "tls://" + down}, `add them to the (TLS options) in the code$`,
			func(string) []string {
				return []string{"send", "cmd=echo", "--print-code", "go", "-t", "tls://" + down}
			}, 0, `WithTLS(&tls.Config`},
		{[]string{"doctor", "--ignore", "zzz", addr}, `the codes are .*\b(clock-skew), declared-differently, `,
			func(w string) []string { return []string{"doctor", "--ignore", w, addr} }, 0, ``},
		{[]string{"doctor", "--ignore", "clock-skw", addr}, `did you mean (\S+)\?$`,
			func(w string) []string { return []string{"doctor", "--ignore", w, addr} }, 0, ``},
		{[]string{"mock", "--listen", "nats://" + down}, `for example, (--pattern cmd=findItem)$`,
			func(w string) []string {
				return append([]string{"mock", "--listen", "nats://" + down}, strings.Fields(w)...)
			}, 4, ``},
		{[]string{"mock", "--from", filepath.Join(dir, "none.jsonl")}, `record one with .msctl (tap --record) \S+.$`,
			func(w string) []string { return append(strings.Fields(w), filepath.Join(dir, "r.jsonl"), "--help") }, 0, `--record`},
		{[]string{"new"}, `for example, .msctl (new shop).$`,
			func(w string) []string { return append(strings.Fields(w), "--yes") }, 0, ``},
	})
}
