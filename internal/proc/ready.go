package proc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/microtcp"
)

// minBrokerTimeout is how long a broker may take to start, even if ReadyTimeout is
// shorter: users set that for their services.
const minBrokerTimeout = 90 * time.Second

// publicTimeout is how long a process that has answered on its probe may take to answer on
// its port.
const publicTimeout = 3 * time.Second

// awaitReady returns nil when the process has answered. It gives up when the process ends
// or takes too long. A process that is the only one of its service should answer on the
// service's port as well; if it does not, awaitReady emits a warning.
func (s *service) awaitReady(ctx context.Context, p *process, alone bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.readyTimeout())
	defer cancel()
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		select {
		case <-p.Exited:
			cancel()
		case <-s.stop:
			cancel()
		case <-done:
		}
	})
	defer wait.Wait()
	defer close(done)
	switch {
	case s.reportsReady:
		if err := poll(ctx, readyReport(p.probe)); err != nil || s.spec.ReadyPattern == "" {
			return err
		}
		return poll(ctx, s.check("", false)) // a different process may answer; this one is able to
	case p.probe == "" && s.spec.Port != 0:
		c := s.checkOpened(p)
		err := poll(ctx, c)
		p.at = c.found
		return c.diagnose(ctx, err)
	case p.probe == "":
		return poll(ctx, s.check("", false))
	}
	if err := poll(ctx, s.check(p.probe, true)); err != nil || !alone {
		return err
	}
	public, cancel := context.WithTimeout(ctx, publicTimeout)
	defer cancel()
	if err := poll(public, s.check(address(s.spec), false)); err != nil && ctx.Err() == nil && s.debugAt == "" {
		s.emit(Event{Kind: KindWarning, Text: fmt.Sprintf(
			"running, but not answering on port %d: it should listen on MS_PORT (a gateway on PORT)", s.spec.Port)})
	}
	return nil
}

// readyTimeout returns how long a process may take to answer.
func (s *service) readyTimeout() time.Duration {
	if s.runsBroker {
		return max(s.run.options.ReadyTimeout, minBrokerTimeout)
	}
	return s.run.options.ReadyTimeout
}

// checker checks whether a process answers.
type checker interface {
	// check returns nil if there is any answer. It waits for one until ctx ends.
	check(ctx context.Context) error
	close()
}

const (
	firstPollDelay = 25 * time.Millisecond
	maxPollDelay   = 250 * time.Millisecond
	checkTimeout   = 5 * time.Second
)

// errNotQueried is the last error of a process that has not been queried yet.
var errNotQueried = errors.New("not queried yet")

// poll repeats a check until it succeeds, and then closes the checker. It returns the last
// error if ctx ends first.
func poll(ctx context.Context, c checker) error {
	defer c.close()
	delay := firstPollDelay
	timer := time.NewTimer(0)
	defer timer.Stop()
	last := errNotQueried
	for {
		select {
		case <-ctx.Done():
			return last
		case <-timer.C:
		}
		once, cancel := context.WithTimeout(ctx, checkTimeout)
		err := c.check(once)
		cancel()
		if err == nil || errors.Is(err, micro.ErrForbidden) { // waiting does not change the user's permissions
			return err
		}
		if ctx.Err() == nil || errors.Is(last, errNotQueried) || errors.Is(err, micro.ErrTimeout) { // the end of ctx is no reason, but no answer is one
			last = err
		}
		timer.Reset(delay)
		delay = min(2*delay, maxPollDelay)
	}
}

// check returns how to query the service. On the probe of a gateway, it is whether the
// process is live; anywhere else, it is the health that any client may query.
func (s *service) check(addr string, probe bool) checker {
	switch {
	case s.runsBroker:
		return brokerCheck{s.broker}
	case s.spec.Ready == workspace.ReadyHTTP && probe:
		return httpCheck("http://" + addr + "/health/live")
	case s.spec.Ready == workspace.ReadyHTTP:
		return httpCheck("http://" + addr + "/health")
	case s.spec.Ready == workspace.ReadyProcess:
		return settleCheck(s.run.options.settleTime)
	case s.broker != nil:
		return newBrokerMessageCheck(s.spec, s.broker.URL)
	}
	c := newMessageCheck(microtcp.Dial(addr), micro.HealthPattern, s.spec)
	c.connects = true
	return c
}

// messageCheck sends a message. Every server answers: ours with its health, NestJS with an
// error because it has no handler for the pattern.
type messageCheck struct {
	client   *micro.Client
	pattern  micro.Pattern
	invalid  error // in the pattern of msctl.yaml
	connects bool  // to the service itself, so that a timeout means that it accepts connections
}

// newMessageCheck sends a message with the pattern in `ready`, or with pattern if `ready`
// has none.
func newMessageCheck(conn micro.Conn, pattern micro.Pattern, s *workspace.Service) *messageCheck {
	c := &messageCheck{client: micro.NewClient(conn), pattern: pattern}
	if s.ReadyPattern != "" {
		c.pattern, c.invalid = micro.ParsePattern(s.ReadyPattern)
	}
	return c
}

// newBrokerMessageCheck sends a message through a broker. On RabbitMQ, whichever process
// consumes the queue receives the health message. On the other brokers, only a service
// with our runtime subscribes to it, under the service's name.
func newBrokerMessageCheck(s *workspace.Service, url string) *messageCheck {
	switch s.Transport {
	case workspace.RabbitMQ:
		// The service declares the queue itself, with options that msctl does not know.
		return newMessageCheck(microrabbit.Dial(url, s.QueueName(), microrabbit.WithTopology(microrabbit.Topology{NoDeclare: true})), micro.HealthPattern, s)
	case workspace.Redis:
		return newMessageCheck(microredis.Dial(url), micro.HealthOf(s.Name), s)
	}
	return newMessageCheck(micronats.Dial(url), micro.HealthOf(s.Name), s)
}

func (c *messageCheck) check(ctx context.Context) error {
	if c.invalid != nil {
		return fmt.Errorf("pattern in `ready`: %w", c.invalid)
	}
	err := c.client.Do(ctx, &micro.Request{Pattern: c.pattern}, micro.ReplyFunc(func(micro.Value) error { return nil }))
	var remote *micro.Error
	switch {
	case errors.As(err, &remote) && remote.Remote():
		return nil
	case errors.Is(err, micro.ErrTimeout) && c.connects:
		return fmt.Errorf("it accepts connections, but does not answer %s: %w", c.pattern, err)
	}
	return err
}

func (c *messageCheck) close() { _ = c.client.Close() }

// httpCheck is a URL. Each check opens a new connection.
type httpCheck string

func (url httpCheck) check(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, string(url), nil)
	if err != nil {
		return fmt.Errorf("query %s: %w", url, err)
	}
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("query %s: %w", url, err)
	}
	_ = res.Body.Close()
	if res.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("query %s: status %d", url, res.StatusCode)
	}
	return nil
}

func (httpCheck) close() {}

// readyReport is the address at which a process reports that its listeners are ready
// (micro.InheritEnv).
type readyReport string

func (addr readyReport) check(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", string(addr))
	if err != nil {
		return fmt.Errorf("query the process: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	var health micro.Health
	if err != nil || json.Unmarshal(line, &health) != nil {
		return errors.New("the process has not reported that it receives messages from the broker")
	}
	return nil
}

func (readyReport) close() {}

// brokerCheck checks a broker of the run.
type brokerCheck struct{ *broker.Broker }

func (c brokerCheck) check(ctx context.Context) error {
	return broker.Handshake(ctx, c.Transport, c.URL)
}

func (brokerCheck) close() {}

// settleCheck succeeds after that time. It is for processes that cannot be queried: if the
// process ends, so does ctx.
type settleCheck time.Duration

func (d settleCheck) check(ctx context.Context) error {
	timer := time.NewTimer(time.Duration(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (settleCheck) close() {}
