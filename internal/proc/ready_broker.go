package proc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
)

// newBrokerAsker asks a service through its broker. RabbitMQ's queue brings the
// health message to whatever serves it; elsewhere only a service of our runtime
// listens for it, under its name. The queue is not asserted: that is for the
// service to do, with options that we do not know.
func newBrokerAsker(s *workspace.Service, b *broker) asker {
	switch s.Transport {
	case workspace.RabbitMQ:
		return newMessageAsker(microrabbit.Dial(b.url, s.QueueName(), microrabbit.WithTopology(microrabbit.Topology{NoDeclare: true})), micro.HealthPattern, s)
	case workspace.Redis:
		return newMessageAsker(microredis.Dial(b.url), micro.HealthOf(s.Name), s)
	}
	return newMessageAsker(micronats.Dial(b.url), micro.HealthOf(s.Name), s)
}

// readyAsker is the address at which a process states that its listeners are
// ready (micro.InheritEnv).
type readyAsker string

func (a readyAsker) ask(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", string(a))
	if err != nil {
		return fmt.Errorf("ask the process: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	var health micro.Health
	if err != nil || json.Unmarshal(line, &health) != nil {
		return errors.New("the process has not said that it gets messages from the broker")
	}
	return nil
}

func (readyAsker) close() {}

// handshakeAsker asks a broker.
type handshakeAsker struct {
	transport workspace.Transport
	url       string
}

func (a *handshakeAsker) ask(ctx context.Context) error { return handshake(ctx, a.transport, a.url) }

func (*handshakeAsker) close() {}

// settled is how long a process that cannot be asked must have run.
const settled = 2 * time.Second

// patienceAsker asks nobody: it waits. The end of the process ends the wait.
type patienceAsker struct{}

func (patienceAsker) ask(ctx context.Context) error {
	timer := time.NewTimer(settled)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (patienceAsker) close() {}
