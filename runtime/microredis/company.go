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

// company configures how a server looks for other instances on its channels. Each of
// them handles every message, which is rarely intended.
type company struct {
	confirm time.Duration // the delay before a finding is confirmed, in which an instance that is being replaced stops
	every   time.Duration // the interval of the checks, since another instance may start later
	told    map[string]bool
}

func defaultCompany() company {
	return company{confirm: 5 * time.Second, every: time.Minute, told: map[string]bool{}}
}

// zombies is how long Redis may count a connection that was lost without being closed.
// During that time a server would mistake its own old connection for another instance.
const zombies = 6 * time.Minute

// startLooking periodically looks for other instances on the channels, until stop is
// called.
func (l *Listener) startLooking() (stop func()) {
	names := l.own()
	if len(names) == 0 || l.wildcards {
		return func() {} // for globs, Redis reports only the total number of subscriptions
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

// own returns the channels to which only this instance should have subscribed: those of
// requests, and that of this service's health check. Events may be meant for several
// services.
func (l *Listener) own() (names []string) {
	for _, name := range l.names {
		named := strings.HasPrefix(name, micro.HealthOf("").Route()) && name != micro.HealthOf(unnamed).Route()
		if named || l.channels[name].route.Message() && !isReserved(name) {
			names = append(names, name)
		}
	}
	return names
}

// isReserved reports whether a channel is used for health checks or descriptions of
// services. Channels without the name of a service address all services.
func isReserved(channel string) bool {
	return strings.HasPrefix(channel, micro.HealthPattern.Route()) || strings.HasPrefix(channel, micro.DescribePattern.Route())
}

// unnamed is the default name of a server, which several services may share.
const unnamed = "service"

// shared returns the channels that have more than one subscriber and have not been
// logged yet. It ignores errors: an unreachable Redis is logged elsewhere, and without
// the permission for PUBSUB NUMSUB there is nothing to report.
func (l *Listener) shared(ctx context.Context, names []string) (shared []string) {
	s := l.link.quietSession()
	if s == nil || s.cluster {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.link.options.DialTimeout)
	defer cancel()
	conn, err := l.link.connect(ctx, s.address, s.target)
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

// quietSession returns the current session, or nil while Redis may still count a lost
// connection of this server.
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
