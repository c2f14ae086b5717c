package microredis

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/micro"
)

// company is what a server knows of others on its channels: each of them handles
// every message too, which is seldom meant.
type company struct {
	confirm time.Duration // between the first look and the second: an instance that is being replaced has gone by then
	every   time.Duration // between looks later on: another instance may start after this one
	told    map[string]bool
}

func defaultCompany() company {
	return company{confirm: 5 * time.Second, every: time.Minute, told: map[string]bool{}}
}

// zombies is how long Redis may count a connection that has gone without a
// farewell, so that after such a loss a server would find itself.
const zombies = 6 * time.Minute

// startLooking looks for others on the channels from time to time; stop ends it.
func (l *Listener) startLooking() (stop func()) {
	names := l.own()
	if len(names) == 0 || l.wildcards {
		return func() {} // of globs Redis tells only how many there are of all
	}
	ctx, cancel := context.WithCancel(context.Background())
	var looking sync.WaitGroup
	looking.Go(func() {
		if l.Ready(ctx) != nil {
			return
		}
		for ctx.Err() == nil {
			if shared := l.shared(ctx, names); len(shared) > 0 && pause(ctx, l.company.confirm) == nil {
				l.tellShared(l.shared(ctx, shared))
			}
			_ = pause(ctx, l.company.every)
		}
	})
	return func() {
		cancel()
		looking.Wait()
	}
}

// own returns the channels that nobody else should have subscribed to: those of
// requests, and that by which this very service is asked for its health. Events
// may well be for several services.
func (l *Listener) own() (names []string) {
	for _, name := range l.names {
		named := strings.HasPrefix(name, micro.HealthOf("").Route()) && name != micro.HealthOf(unnamed).Route()
		if named || l.channels[name].route.Message() && !isReserved(name) {
			names = append(names, name)
		}
	}
	return names
}

// isReserved reports whether a channel is one by which servers tell of themselves.
// Those without a service's name are for all of them.
func isReserved(channel string) bool {
	return strings.HasPrefix(channel, micro.HealthPattern.Route()) || strings.HasPrefix(channel, micro.DescribePattern.Route())
}

// unnamed is the name of a server without one, which many services may have.
const unnamed = "service"

// shared returns those of the channels that more than one connection has
// subscribed to, and that have not been told of. What goes wrong here is no matter:
// a Redis that cannot be reached is told of elsewhere, and without the permission
// to ask one does not know.
func (l *Listener) shared(ctx context.Context, names []string) (shared []string) {
	s := l.link.quietSession()
	if s == nil || s.cluster {
		return nil
	}
	conn, err := dial(ctx, l.link.options)
	if err != nil {
		return nil
	}
	options := *l.link.options
	options.Dialer = once(newSocket(conn))
	c := redis.NewClient(&options)
	defer c.Close()
	for some := range slices.Chunk(names, maxNames) {
		counts, err := c.PubSubNumSub(ctx, some...).Result()
		if err != nil {
			return nil
		}
		for _, name := range some {
			if counts[name] > 1 && !l.company.told[name] {
				shared = append(shared, name)
			}
		}
	}
	return shared
}

// quietSession returns the session, unless this side may still be counted twice.
func (l *link) quietSession() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.silent.IsZero() && time.Since(l.silent) < zombies {
		return nil
	}
	return l.current
}

func (l *Listener) tellShared(names []string) {
	if len(names) == 0 {
		return
	}
	for _, name := range names {
		l.company.told[name] = true
	}
	l.server.Logger().Warn("another instance serves these channels: "+noGroups, "transport", "redis", "address", l.link.options.Addr, "channels", list(names))
}
