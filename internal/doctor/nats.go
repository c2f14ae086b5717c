package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// queueGroups reports services with several instances on NATS that are in no queue group.
func queueGroups(ctx context.Context, e *exam) {
	for _, o := range e.seen {
		if o.target.Kind() != target.NATS {
			continue
		}
		described := e.describedTwice(ctx, o)
		names := e.requestChannels(ctx, o)
		if len(names) == 0 {
			if o.replies == 0 && o.err != nil {
				e.skip(place(o.target), "the subjects of its requests are not known: no service there describes itself")
			}
			continue
		}
		if !described {
			e.monitored(ctx, o, names)
		}
	}
}

// describedTwice asks each service by its name. A queue group gives the question to one instance.
func (e *exam) describedTwice(ctx context.Context, o *observation) (found bool) {
	for _, r := range replicas(o.services) {
		e.checked()
		if r.name == "" {
			continue
		}
		again := r
		several := func() bool {
			asked := &observation{target: o.target}
			asked.target.Service = r.name
			if e.askAgain(ctx, asked) != nil {
				return false
			}
			for _, one := range replicas(asked.services) {
				if again = one; one.several() {
					return true
				}
			}
			return false
		}
		if !lasts(ctx, several) {
			continue
		}
		found = true
		e.found(Finding{
			Code: "no-queue-group", Where: place(o.target),
			Evidence: []string{fmt.Sprintf("%d instances of %s replied to one question (%s): %s", len(again.instances), r.name, micro.DescribeOf(r.name), sentence(again.instances))},
			Cause:    "the instances are in no queue group, so NATS passes every message to all of them: a request gets several replies, and each event is handled by every instance",
			Fix:      "set the same queue group in all instances: micronats.WithQueue(\"" + r.name + "\") in Go, options.queue in NestJS",
		})
	}
	return found
}

func (e *exam) askAgain(ctx context.Context, o *observation) error {
	conn, err := e.Flags.Dial(o.target, target.DialOptions{})
	if err != nil {
		return err
	}
	client := micro.NewClient(conn, micro.WithTimeout(e.Timeout), micro.WithLogger(slog.New(slog.DiscardHandler)))
	defer client.Close()
	return e.gather(ctx, client, o)
}

// monitoringPort is the usual port of NATS's monitoring, which is off by default.
const monitoringPort = "8222"

// maxMonitored limits what is read from the monitoring port.
const maxMonitored = 16 << 20

// connections is the part of NATS's /connz that is used.
type connections struct {
	Connections []struct {
		CID           uint64 `json:"cid"`
		Name          string `json:"name"`
		Subscriptions []struct {
			Subject string `json:"subject"`
			Queue   string `json:"qgroup"`
		} `json:"subscriptions_list_detail"`
	} `json:"connections"`
}

// monitored looks for subjects of requests to which several connections have subscribed without a group.
func (e *exam) monitored(ctx context.Context, o *observation, names []string) {
	if len(o.services) > 0 {
		return // they replied, once for each service
	}
	address := e.Monitoring
	if address == "" {
		host, _, err := net.SplitHostPort(o.target.Addresses[0])
		if err != nil {
			return
		}
		address = "http://" + net.JoinHostPort(host, monitoringPort)
	}
	var groups map[string][]string
	var err error
	several := func() bool {
		groups, err = e.withoutGroup(ctx, address, names)
		return err == nil && len(groups) > 0
	}
	shared := lasts(ctx, several)
	if err != nil {
		e.skip(place(o.target), fmt.Sprintf("NATS reports subscriptions only on its monitoring port, and %s does not reply: start nats-server with -m %s, or set --nats-monitoring", address, monitoringPort))
		return
	}
	e.checked()
	if !shared {
		return
	}
	f := Finding{
		Code: "no-queue-group", Where: place(o.target),
		Cause: "these subscriptions are in no queue group, so NATS passes every message to all of them: a request gets several replies, and each event is handled by every instance",
		Fix:   fmt.Sprintf("set the same queue group in all instances: options: { queue: '%s' }", orElse(o.target.Service, "NAME")),
	}
	for _, subject := range slices.Sorted(maps.Keys(groups)) {
		if len(f.Evidence) < mostListed {
			f.Evidence = append(f.Evidence, fmt.Sprintf("subject %s has %d subscriptions without a queue group: %s", subject, len(groups[subject]), sentence(groups[subject])))
		}
	}
	e.found(f)
}

// withoutGroup returns the connections without a queue group of subjects that have more than one.
func (e *exam) withoutGroup(ctx context.Context, address string, names []string) (map[string][]string, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+"/connz?subs=detail&limit=10000", nil)
	if err != nil {
		return nil, err
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var c connections
	if err := json.NewDecoder(io.LimitReader(res.Body, maxMonitored)).Decode(&c); err != nil || res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("unexpected reply: status %s", res.Status)
	}
	alone := map[string][]string{}
	for _, conn := range c.Connections {
		for _, s := range conn.Subscriptions {
			if s.Queue == "" && slices.Contains(names, s.Subject) {
				alone[s.Subject] = append(alone[s.Subject], strings.TrimSpace(fmt.Sprintf("connection %d %s", conn.CID, conn.Name)))
			}
		}
	}
	maps.DeleteFunc(alone, func(_ string, list []string) bool { return len(list) < 2 })
	return alone, nil
}
