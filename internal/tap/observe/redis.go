package observe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/wire"
)

const redisEffect = "while this is running, the number of receivers that Redis returns for PUBLISH includes msctl, and clients on its runtime warn of a second instance of each service"

// replySuffix follows the channel of a request in that of its replies.
const replySuffix = ".reply"

const (
	redisPing = 10 * time.Second // how often Redis is asked whether it is there
	redisIdle = 3 * redisPing    // without anything from Redis, the connection is lost
)

// redisSession receives the messages of a Redis.
type redisSession struct {
	observer *Observer
	conn     *redisConn
}

func openRedis(ctx context.Context, b *Observer, f *target.Flags, t target.Target) (session, error) {
	if t.Broker.Master != "" {
		master, err := askSentinels(ctx, f, t)
		if err != nil {
			return nil, err
		}
		t.Addresses = []string{master}
	}
	conn, err := loginRedis(ctx, f, t, t.Login.Given)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ask(ctx, "PSUBSCRIBE", "*"); err != nil {
		_ = conn.Close()
		return nil, redisFailure(ctx, t, err)
	}
	return &redisSession{b, conn}, nil
}

// loginRedis connects to the address of t, and logs in.
func loginRedis(ctx context.Context, f *target.Flags, t target.Target, login bool) (*redisConn, error) {
	connecting, cancel := context.WithTimeout(ctx, target.ProbeTimeout)
	defer cancel()
	raw, err := f.Connect(connecting, t)
	if err != nil {
		return nil, err
	}
	conn := newRedisConn(raw)
	if !login {
		return conn, nil
	}
	words := []string{"AUTH", t.Login.User, t.Login.PasswordText()}
	if t.Login.User == "" {
		words = []string{"AUTH", t.Login.PasswordText()}
	}
	if _, err := conn.ask(ctx, words...); err != nil {
		_ = conn.Close()
		return nil, redisFailure(ctx, t, err)
	}
	return conn, nil
}

// redisFailure is the error of a command.
func redisFailure(ctx context.Context, t target.Target, err error) error {
	var answer redisError
	if !errors.As(err, &answer) {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	if strings.HasPrefix(string(answer), "NOPERM") {
		return fmt.Errorf("%w: Redis at %s does not let the user see all messages: %w", micro.ErrForbidden, t.Where(),
			&microredis.PermissionError{Command: "psubscribe", Channels: []string{"*"}, Err: answer})
	}
	return fmt.Errorf("%w: Redis at %s rejected the user: %w", micro.ErrRefused, t.Where(), answer)
}

// askSentinels returns the address of the master.
func askSentinels(ctx context.Context, f *target.Flags, t target.Target) (string, error) {
	var errs []error
	for _, one := range t.Addresses {
		sentinel := t
		sentinel.Addresses = []string{one}
		address, err := askSentinel(ctx, f, sentinel)
		if err == nil {
			return address, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// askSentinel asks one Sentinel. Many have no login; those that require one have that of Redis.
func askSentinel(ctx context.Context, f *target.Flags, t target.Target) (string, error) {
	conn, err := loginRedis(ctx, f, t, false)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	question := []string{"SENTINEL", "get-master-addr-by-name", t.Broker.Master}
	answer, err := conn.ask(ctx, question...)
	if err != nil && t.Login.Given && strings.HasPrefix(err.Error(), "NOAUTH") {
		_ = conn.Close()
		if conn, err = loginRedis(ctx, f, t, true); err != nil {
			return "", err
		}
		answer, err = conn.ask(ctx, question...)
	}
	if err != nil {
		return "", redisFailure(ctx, t, err)
	}
	if list, ok := answer.([]any); ok && len(list) == 2 {
		host, _ := list[0].(string)
		port, _ := list[1].(string)
		return net.JoinHostPort(host, port), nil
	}
	return "", fmt.Errorf("%w: the Sentinel at %s has no master named %s", micro.ErrUnreachable, t.List(), t.Broker.Master)
}

func (s *redisSession) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	pings := time.NewTicker(redisPing)
	done := make(chan struct{})
	defer func() { <-done }()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		defer close(done)
		defer pings.Stop()
		for {
			select {
			case <-pings.C:
				_ = s.conn.send("PING") // that it fails, reading notices
			case <-ended:
				return
			}
		}
	}()
	for {
		if err := s.conn.SetReadDeadline(time.Now().Add(redisIdle)); err != nil {
			return err
		}
		answer, err := s.conn.read(0)
		if err != nil {
			return err
		}
		if refused, ok := answer.(redisError); ok {
			return refused
		}
		if list, ok := answer.([]any); ok && len(list) == 4 && list[0] == "pmessage" {
			s.receive(list)
		}
	}
}

func (s *redisSession) close() { _ = s.conn.Close() }

// receive handles a message: pmessage, the pattern that we have subscribed to, the channel, and the body.
func (s *redisSession) receive(list []any) {
	channel, _ := list[2].(string)
	body, ok := list[3].(string)
	if !ok {
		s.observer.table.drop(1) // it is too large
		return
	}
	if strings.HasPrefix(channel, "__key") || channel == "__sentinel__:hello" {
		return // of Redis itself
	}
	now, table := time.Now(), s.observer.table
	p := parse([]byte(body))
	request, isReply := strings.CutSuffix(channel, replySuffix)
	switch {
	case isNotice(&p):
	case isReply && !isMessage(&p):
		table.reply(&p, now, func() *sent { return redisSent(request, &p).asReply() }, key{channel, idOf(&p)})
	case p.ID == nil || !isMessage(&p):
		table.event(redisSent(channel, &p), now)
	default:
		table.request(redisSent(channel, &p), now, key{channel + replySuffix, idOf(&p)})
	}
}

// redisSent describes a message on a channel.
func redisSent(channel string, p *wire.Packet) *sent {
	return &sent{
		service: "redis", transport: "redis", pattern: addressed(channel, p.Pattern), id: p.ID, data: dataOf(p),
		metadata: metadataOf(p.Metadata, nil), hidden: isReserved(channel),
	}
}
