package microredis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// sentinels are the Sentinels that know the address of a master.
type sentinels struct {
	master    string
	addresses []string
	url       string // of the first one, with the login
}

const sentinelPort = "26379"

// sentinelsOf parses redis+sentinel://[user:password@]host[:port],host[:port]/master[/db], or
// the same with rediss+sentinel. It returns nil for a URL of another form. As in NestJS's
// lists of addresses, the scheme, the login, and the path may be repeated for each host.
func sentinelsOf(text string) (*sentinels, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	plain, ok := strings.CutSuffix(scheme, "+sentinel")
	if !ok || plain != "redis" && plain != "rediss" {
		return nil, nil
	}
	s := &sentinels{}
	login, path := "", ""
	for one := range strings.SplitSeq(rest, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), scheme+"://")
		if at := strings.LastIndexByte(one, '@'); at >= 0 {
			login, one = one[:at+1], one[at+1:]
		}
		host, after, _ := strings.Cut(one, "/")
		if after != "" {
			path = after
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), sentinelPort)
		}
		s.addresses = append(s.addresses, host)
	}
	path, _, _ = strings.Cut(path, "?")
	s.master, _, _ = strings.Cut(path, "/")
	if s.master == "" {
		return nil, errors.New("the name of the master is missing")
	}
	s.url = plain + "://" + login + s.addresses[0]
	return s, nil
}

// at returns the options for the current address of Redis, which Sentinels know.
func (l *link) at(ctx context.Context) (*redis.Options, error) {
	if l.sentinels == nil {
		return l.options, nil
	}
	var errs []error
	for _, address := range l.sentinels.addresses {
		found, err := l.ask(ctx, address)
		if err == nil {
			o := *l.options
			o.Addr = found
			return &o, nil
		}
		errs = append(errs, fmt.Errorf("sentinel %s: %w", address, err))
	}
	return nil, errors.Join(errs...)
}

// ask asks one Sentinel for the address of the master. Sentinels often have no login; those
// that require one have that of Redis.
func (l *link) ask(ctx context.Context, address string) (string, error) {
	o := *l.options
	o.Addr, o.Username, o.Password = address, "", ""
	found, err := l.askAs(ctx, &o)
	if isLoginError(err) && l.options.Password != "" {
		o.Username, o.Password = l.options.Username, l.options.Password
		found, err = l.askAs(ctx, &o)
	}
	switch {
	case errors.Is(err, redis.Nil):
		return "", fmt.Errorf("it has no master named %s", l.sentinels.master)
	case err != nil:
		return "", err
	case len(found) != 2:
		return "", fmt.Errorf("unexpected reply: %.100q", found)
	}
	return net.JoinHostPort(found[0], found[1]), nil
}

func (l *link) askAs(ctx context.Context, o *redis.Options) ([]string, error) {
	conn, err := dial(ctx, o)
	if err != nil {
		return nil, err
	}
	options := *o
	options.Dialer = once(newSocket(conn))
	c := redis.NewSentinelClient(&options)
	defer c.Close()
	return c.GetMasterAddrByName(ctx, l.sentinels.master).Result()
}
