package runlog

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// TestRunTextWithBrokers checks that a broker of the run has its own name, that its
// quiet lines are not printed, and that services are listed with their broker.
func TestRunTextWithBrokers(t *testing.T) {
	w, err := workspace.Parse("msctl.yaml", []byte(`name: shop
services:
  mail: {path: ./mail, transport: rabbitmq}
  nats: {command: x, transport: nats}
`))
	if err != nil {
		t.Fatal(err)
	}
	events := []proc.Event{
		{Kind: proc.KindBroker, Service: "rabbitmq", Text: "no RabbitMQ answers: starting one", URL: "amqp://127.0.0.1:1"},
		{Kind: proc.KindBroker, Text: "using NATS at nats://app:***@h", URL: "nats://app:***@h"},
		{Kind: proc.KindLog, Service: "rabbitmq", Stream: proc.StreamOut, Text: "routine", Quiet: true},
		{Kind: proc.KindReady, Service: "rabbitmq", Pid: 5, Took: 4 * time.Second, URL: "amqp://127.0.0.1:1"},
		{Kind: proc.KindReady, Service: "mail", Pid: 7, Took: 41 * time.Millisecond, URL: "amqp://127.0.0.1:1/mail"},
		{Kind: proc.KindReady, Service: "nats", Pid: 8, Took: 2 * time.Second, URL: "nats://app:***@h", Text: "not verified"},
		{Kind: proc.KindAllReady, Took: 6 * time.Second},
		{Kind: proc.KindLog, Service: "rabbitmq", Stream: proc.StreamOut, Text: "an alarm"},
		{Kind: proc.KindSwapped, Service: "nats", Pid: 9, Took: 2 * time.Second, URL: "nats://app:***@h", Text: "not verified"},
		{Kind: proc.KindStopping, Service: "mail", Pid: 7},
		{Kind: proc.KindStopping, Service: "rabbitmq", Pid: 5},
		{Kind: proc.KindStopped, Service: "rabbitmq", Pid: 5, Took: 20 * time.Millisecond},
	}
	s, b := term.NewTest("", term.Facts{})
	p := New(s, w, proc.New(proc.Options{Workspace: w}).Services(), Options{})
	for _, e := range events {
		p.Print(e)
	}
	want := `rabbitmq    │ no RabbitMQ answers: starting one
msctl       │ using NATS at nats://app:***@h
rabbitmq    │ ✓ ready in 4s, pid 5
mail        │ ✓ ready in 41ms, pid 7
nats        │ ✓ running, pid 8; not verified

  shop is ready in 6s

  mail         amqp://localhost:1/mail  ready in 41ms
  nats         nats://app:***@h         running

  Changed services are rebuilt and replaced. Press Ctrl-C to stop.

nats        │ ✓ swapped, pid 9; not verified
mail        │ draining, pid 7
rabbitmq    │ stopped in 20ms, pid 5
`
	if diff := cmp.Diff(want, b.Err.String()); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("rabbitmq    │ an alarm\n", b.Out.String()); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
	p.o.All = true
	p.Print(events[2])
	if diff := cmp.Diff("rabbitmq    │ an alarm\nrabbitmq    │ routine\n", b.Out.String()); diff != "" {
		t.Errorf("stdout with quiet lines (-want +got):\n%s", diff)
	}
}

// TestParseLine checks that a JSON line is parsed back to the same event.
func TestParseLine(t *testing.T) {
	s, b := term.NewTest("", term.Facts{})
	p := New(s, &workspace.Workspace{Name: "shop"}, nil, Options{JSON: true})
	want := proc.Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), Kind: proc.KindLog, Service: "nats", Text: "well", URL: "nats://h", Quiet: true,
	}
	p.Print(want)
	got, ok := parseLine(b.Out.String())
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("%v (-want +got):\n%s", ok, diff)
	}
}
