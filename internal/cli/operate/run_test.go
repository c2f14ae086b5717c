package operate

import (
	"errors"
	"testing"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

func TestExplainNoBroker(t *testing.T) {
	refused := errors.New("connection refused")
	for _, tt := range []struct {
		err  broker.Error
		want string
	}{
		{broker.Error{Transport: workspace.RabbitMQ, Address: "amqp://localhost:5672", Program: "rabbitmq-server", Err: refused},
			"`apt install rabbitmq-server` or `brew install rabbitmq` lets msctl start one; or run `docker run -d -p 127.0.0.1:5672:5672 rabbitmq`, or set RABBITMQ_URL"},
		{broker.Error{Transport: workspace.NATS, Address: "nats://h", Err: refused},
			"start it, or set its address in NATS_URL or under `brokers:` in msctl.yaml"},
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
