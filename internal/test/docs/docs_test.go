// Package docs checks that the tests that docs/transports.md names exist.
package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
)

// TestEvents checks that a test is named for every event and transport, and that it exists.
func TestEvents(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "transports.md"))
	if err != nil {
		t.Fatal(err)
	}
	events, err := parseEvents(string(text))
	if err != nil {
		t.Fatal(err)
	}
	known, err := findTests(testenv.Root())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range events {
		if seen[e.name] {
			t.Errorf("%s: named twice", e.name)
		}
		seen[e.name] = true
		for _, problem := range e.problems(known) {
			t.Error(problem)
		}
	}
	if len(events) < 30 {
		t.Errorf("%d events, want at least 30", len(events))
	}
}

// TestProblems checks that each mistake is found.
func TestProblems(t *testing.T) {
	known, err := findTests(testenv.Root())
	if err != nil {
		t.Fatal(err)
	}
	const (
		top    = section + "\n\n| event | | TCP | RabbitMQ | Redis | NATS |\n|---|---|---|---|---|---|\n"
		client = "| nothing listens | client | fails | fails | fails | fails |\n"
		server = "| | server | – | waits | waits | waits |\n"
		named  = "| | tests | `TestTLS` | `TestTLS`, `micro.TestCall` | `TestBadURL` | `conformance/close` |\n"
	)
	for name, c := range map[string]struct{ text, want string }{
		"correct":                   {top + client + server + named, ""},
		"not applicable":            {top + "| x | client | – | a | a | a |\n" + server + "| | tests | – | `TestTLS` | `TestTLS` | `TestTLS` |\n", ""},
		"NestJS":                    {top + client + server + "| | NestJS | – | hangs | – | – |\n" + named, ""},
		"a subtest":                 {top + client + server + strings.Replace(named, "TestBadURL", "TestOwnReplies/no such case", 1), "nothing listens: there is no test TestOwnReplies/no such case for Redis"},
		"no section":                {client, `no section "` + section + `"`},
		"no tests":                  {top + client + server, "nothing listens: requires rows for client, server, and tests"},
		"no test of one":            {top + client + server + strings.Replace(named, "`TestBadURL`", "–", 1), "nothing listens: no test for Redis"},
		"a test of another package": {top + client + server + strings.Replace(named, "TestBadURL", "TestReplicasUnderLoad", 1), "nothing listens: there is no test TestReplicasUnderLoad for Redis"},
		"an unknown scenario":       {top + client + server + strings.Replace(named, "/close", "/closed", 1), "nothing listens: there is no test conformance/closed for NATS"},
		"an empty cell":             {top + strings.Replace(client, "fails", "", 1), `nothing listens: an empty cell in the row for "client"`},
		"a missing cell":            {top + strings.Replace(client, "| fails |", "|", 1), "nothing listens: a row with 5 cells, want 6"},
		"a second row":              {top + client + server + server, `nothing listens: a second row for "server"`},
		"another row":               {top + strings.Replace(client, "client", "Client", 1), `nothing listens: a row for "Client"`},
		"another table":             {section + "\n\n| a | b |\n", "row outside of a table of events: | a | b |"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			events, err := parseEvents(c.text)
			if err != nil {
				got = append(got, err.Error())
			}
			for _, e := range events {
				if err == nil {
					got = append(got, e.problems(known)...)
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
