package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// subscribers asks Redis how many subscribers channels have.
func (e *exam) subscribers(ctx context.Context, t target.Target, channels []string) (map[string]int64, error) {
	urls, _, err := e.Flags.Driver(t)
	if err != nil {
		return nil, err
	}
	if t.Broker.Master != "" {
		return nil, errors.New("msctl doctor does not ask Sentinels: use the address of Redis itself")
	}
	options, err := redis.ParseURL(strings.Replace(urls, "redis+unix://", "unix://", 1))
	if err != nil {
		return nil, errors.New("the address is not one of Redis")
	}
	// The driver logs failed connection attempts to standard error, so it gets a connection that has been opened.
	inner, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	conn, err := e.Flags.Connect(inner, t)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	options.TLSConfig = nil
	options.Dialer = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	options.ReadTimeout, options.MaxRetries, options.PoolSize = e.Timeout, -1, 1
	options.DisableIdentity = true
	c := redis.NewClient(options)
	defer c.Close()
	counts := map[string]int64{}
	for some := range slices.Chunk(channels, 500) {
		part, err := c.PubSubNumSub(ctx, some...).Result()
		if err != nil {
			return nil, fmt.Errorf("PUBSUB NUMSUB: %w", err)
		}
		maps.Copy(counts, part)
	}
	return counts, nil
}

// redisReplicas reports services with several instances on Redis, which passes each message to all of them.
func redisReplicas(ctx context.Context, e *exam) {
	for _, o := range e.seen {
		if o.target.Kind() != target.Redis {
			continue
		}
		e.instances(ctx, o)
		if !o.running() && !o.target.Foreign() {
			if o.err != nil {
				e.skip(place(o.target), "no service there describes itself")
			}
			continue
		}
		names := e.requestChannels(ctx, o)
		if len(names) == 0 {
			e.skip(place(o.target), "the channels of its requests are not known")
			continue
		}
		e.sharedChannels(ctx, o, names)
	}
}

// requestChannels returns the channels to which only one instance should have subscribed: those of
// requests. Events may be meant for several services.
func (e *exam) requestChannels(ctx context.Context, o *observation) []string {
	var names []string
	for _, d := range o.services {
		names = append(names, requestRoutes(d)...)
	}
	if len(o.services) == 0 {
		for _, h := range e.handlersOf(ctx, o.target.Service) {
			if !h.Event {
				names = append(names, h.route)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// requestRoutes returns the routes of the handlers of requests.
func requestRoutes(d micro.Description) (list []string) {
	for _, h := range d.Handlers {
		if h.Kind != "event" {
			list = append(list, h.Route)
		}
	}
	return list
}

// instances reports that one service has described itself more than once.
func (e *exam) instances(ctx context.Context, o *observation) {
	first := true
	services := o.services
	several := func() bool {
		if !first {
			again := &observation{target: o.target}
			if e.askAgain(ctx, again) != nil {
				return false
			}
			services = again.services
		}
		first = false
		return slices.ContainsFunc(replicas(services), replica.several)
	}
	if !lasts(ctx, several) {
		return
	}
	for _, r := range replicas(services) {
		if !r.several() {
			continue
		}
		e.found(Finding{
			Code: "redis-replicas", Where: place(o.target),
			Evidence: []string{fmt.Sprintf("%d instances of %s replied to one question: %s", len(r.instances), r.name, sentence(r.instances))},
			Cause:    fmt.Sprintf("Redis passes every message to all subscribers, so each request and each event of %s is handled %d times", r.name, len(r.instances)),
			Fix:      "run one instance, or use RabbitMQ or NATS, which give each message to one instance",
		})
	}
}

// replica is a service and its instances.
type replica struct {
	name      string
	routes    []string
	instances []string
}

func (r replica) several() bool { return len(r.instances) > 1 }

// replicas groups instances by their services: those with the same name and the same handlers. Different
// services may have the same name, because a name is optional.
func replicas(services []micro.Description) (list []replica) {
	for _, d := range services {
		own := routes(d)
		i := slices.IndexFunc(list, func(r replica) bool { return r.name == d.Name && slices.Equal(r.routes, own) })
		if i < 0 {
			list = append(list, replica{name: d.Name, routes: own})
			i = len(list) - 1
		}
		list[i].instances = append(list[i].instances, orElse(d.Instance, "without an ID"))
	}
	return list
}

// sharedChannels reports channels of requests with several subscribers.
func (e *exam) sharedChannels(ctx context.Context, o *observation, names []string) {
	var counts map[string]int64
	var err error
	several := func() bool {
		counts, err = e.subscribers(ctx, o.target, names)
		return err == nil && len(sharedNames(counts)) > 0
	}
	shared := lasts(ctx, several)
	if err != nil {
		e.skip(place(o.target), "cannot count the subscribers of its channels: "+err.Error())
		return
	}
	e.checked()
	if !shared || slices.ContainsFunc(e.report.Findings, func(f Finding) bool { return f.Code == "redis-replicas" && f.Where == place(o.target) }) {
		return
	}
	list := sharedNames(counts)
	most := counts[list[0]]
	f := Finding{
		Code: "redis-replicas", Where: place(o.target),
		Cause: fmt.Sprintf("Redis passes every message to all subscribers, so each request and each event is handled %d times", most),
		Fix:   "run one instance, or use RabbitMQ or NATS, which give each message to one instance; if two services handle the same pattern, rename one",
	}
	for _, name := range list[:min(len(list), mostListed)] {
		f.Evidence = append(f.Evidence, fmt.Sprintf("PUBSUB NUMSUB %s: %d subscribers", name, counts[name]))
	}
	e.found(f)
}

// mostListed limits the evidence of one kind.
const mostListed = 5

// sharedNames returns the channels with several subscribers, those with the most first.
func sharedNames(counts map[string]int64) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] > 1 {
			list = append(list, name)
		}
	}
	slices.SortStableFunc(list, func(a, b string) int { return int(counts[b] - counts[a]) })
	return list
}
