package microredis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/internal/stagger"
)

// openBySentinel opens a session with the master that the first Sentinel names whose master is
// ready: one of them may be silent, or may not know yet that there is another master.
func (l *link) openBySentinel(ctx context.Context) (*session, error) {
	var mu sync.Mutex // guards errs
	errs := map[string]error{}
	s, err := stagger.First(ctx, l.memory.Order(l.sentinels.Addresses), stagger.Noting(&l.memory, func(ctx context.Context, sentinel string) (*session, error) {
		s, err := l.openNamedBy(ctx, sentinel)
		if err != nil {
			mu.Lock()
			errs[sentinel] = fmt.Errorf("sentinel %s: %w", sentinel, err)
			mu.Unlock()
		}
		return s, err
	}))
	if err == nil {
		return s, nil
	}
	mu.Lock()
	defer mu.Unlock()
	return nil, l.joined(errs, err)
}

// joined joins the errors of the Sentinels, by their addresses. What one of them rejects is final
// only if each one does. Without any, it returns otherwise.
func (l *link) joined(errs map[string]error, otherwise error) error {
	final := len(errs) == len(l.sentinels.Addresses)
	for _, err := range errs {
		final = final && isRefusal(err)
	}
	var all []error
	for _, sentinel := range l.sentinels.Addresses {
		switch err := errs[sentinel]; {
		case err == nil:
		case isRefusal(err) && !final:
			all = append(all, errors.New(err.Error()))
		default:
			all = append(all, err)
		}
	}
	if len(all) == 0 {
		return otherwise
	}
	return errors.Join(all...)
}

// openNamedBy opens a session with the master that one Sentinel names. Sentinels often have no
// login; those that require one have that of Redis.
func (l *link) openNamedBy(ctx context.Context, sentinel string) (*session, error) {
	found, err := l.ask(ctx, sentinel, "", "")
	if isLoginError(err) && l.options.Password != "" {
		found, err = l.ask(ctx, sentinel, l.options.Username, l.options.Password)
	}
	switch {
	case errors.Is(err, redis.Nil):
		return nil, fmt.Errorf("it has no master named %s", l.sentinels.Master)
	case err != nil:
		return nil, err
	case len(found) != 2:
		return nil, fmt.Errorf("unexpected reply: %.100q", found)
	}
	return l.openHost(ctx, net.JoinHostPort(found[0], found[1]))
}

// ask asks one Sentinel for the host and the port of the master.
func (l *link) ask(ctx context.Context, sentinel, username, password string) ([]string, error) {
	conn, err := l.connectAny(ctx, sentinel)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	o := *l.options
	o.Addr, o.Username, o.Password = sentinel, username, password
	o.Dialer = once(newSocket(conn))
	c := redis.NewSentinelClient(&o)
	defer c.Close()
	return c.GetMasterAddrByName(ctx, l.sentinels.Master).Result()
}

// connectAny opens a connection to the first of the IP addresses of an address that answers.
func (l *link) connectAny(ctx context.Context, address string) (net.Conn, error) {
	targets, err := stagger.Resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	return stagger.First(ctx, l.memory.Order(targets), stagger.Noting(&l.memory, func(ctx context.Context, target string) (net.Conn, error) {
		return l.connect(ctx, address, target)
	}))
}
