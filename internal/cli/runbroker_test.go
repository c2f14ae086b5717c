package cli

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// TestRunTextWithBrokers: a broker of the run has its own name, is quiet unless
// something is wrong, and services are shown where they are behind it.
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
		{Kind: proc.KindBroker, Text: "uses the NATS at nats://app:xxxxx@h", URL: "nats://app:xxxxx@h"},
		{Kind: proc.KindLog, Service: "rabbitmq", Stream: proc.StreamOut, Text: "all is well", Quiet: true},
		{Kind: proc.KindReady, Service: "rabbitmq", Pid: 5, Took: 4 * time.Second, URL: "amqp://127.0.0.1:1"},
		{Kind: proc.KindReady, Service: "mail", Pid: 7, Took: 41 * time.Millisecond, URL: "amqp://127.0.0.1:1/mail"},
		{Kind: proc.KindReady, Service: "nats", Pid: 8, Took: 2 * time.Second, URL: "nats://app:xxxxx@h", Text: "nobody asked it"},
		{Kind: proc.KindAllReady, Took: 6 * time.Second},
		{Kind: proc.KindLog, Service: "rabbitmq", Stream: proc.StreamOut, Text: "an alarm"},
		{Kind: proc.KindSwapped, Service: "nats", Pid: 9, Took: 2 * time.Second, URL: "nats://app:xxxxx@h", Text: "nobody asked it"},
		{Kind: proc.KindStopping, Service: "mail", Pid: 7},
		{Kind: proc.KindStopping, Service: "rabbitmq", Pid: 5},
		{Kind: proc.KindStopped, Service: "rabbitmq", Pid: 5, Took: 20 * time.Millisecond},
	}
	s, b := term.NewTest("", term.Facts{})
	p := newRunPrinter(s, runOptions{log: logText}, w, proc.New(proc.Options{Workspace: w}).Services())
	for _, e := range events {
		p.one(e)
	}
	want := `rabbitmq    │ no RabbitMQ answers: starting one
msctl       │ uses the NATS at nats://app:xxxxx@h
rabbitmq    │ ✓ ready in 4s, pid 5
mail        │ ✓ ready in 41ms, pid 7
nats        │ ✓ runs, pid 8; nobody asked it

  shop is ready in 6s

  mail         amqp://localhost:1/mail  answered in 41ms
  nats         nats://app:xxxxx@h       runs

  Changes are rebuilt and swapped in; Ctrl-C stops.

nats        │ ✓ swapped, pid 9; nobody asked it
mail        │ draining, pid 7
rabbitmq    │ stopped in 20ms, pid 5
`
	if diff := cmp.Diff(want, b.Err.String()); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("rabbitmq    │ an alarm\n", b.Out.String()); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
	p.loud = true
	p.one(events[2])
	if diff := cmp.Diff("rabbitmq    │ an alarm\nrabbitmq    │ all is well\n", b.Out.String()); diff != "" {
		t.Errorf("stdout for who looks for it (-want +got):\n%s", diff)
	}
}

// TestBrokerEventsComeBack: what a detached run writes is read as it was.
func TestBrokerEventsComeBack(t *testing.T) {
	s, b := term.NewTest("", term.Facts{})
	p := newRunPrinter(s, runOptions{log: logJSON}, &workspace.Workspace{Name: "shop"}, nil)
	want := proc.Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), Kind: proc.KindLog, Service: "nats", Text: "well", URL: "nats://h", Quiet: true,
	}
	p.one(want)
	got, ok := parseRunLine(b.Out.String())
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("%v (-want +got):\n%s", ok, diff)
	}
}

func TestExplainNoBroker(t *testing.T) {
	refused := errors.New("connection refused")
	for _, tt := range []struct {
		err  proc.BrokerError
		want string
	}{
		{proc.BrokerError{Transport: workspace.RabbitMQ, Address: "amqp://localhost:5672", Program: "rabbitmq-server", Err: refused},
			"`apt install rabbitmq-server` or `brew install rabbitmq` lets msctl start one; or `docker compose up -d rabbitmq`, or set RABBITMQ_URL to one elsewhere"},
		{proc.BrokerError{Transport: workspace.NATS, Address: "nats://h", Err: refused},
			"start it, or say in NATS_URL or under `brokers:` in msctl.yaml where it is"},
	} {
		s, _ := term.NewTest("", term.Facts{})
		err := explainRun(s, runOptions{log: logText}, &tt.err)
		if got := exit.Hint(err); got != tt.want {
			t.Errorf("hint %q, want %q", got, tt.want)
		}
		if got := err.Error(); got != tt.err.Error() {
			t.Errorf("error %q, want %q", got, tt.err.Error())
		}
	}
}
