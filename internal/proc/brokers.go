package proc

import (
	"context"

	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/workspace"
)

// findBrokers determines the brokers of the run's services.
func (r *run) findBrokers(ctx context.Context, session string) (*broker.Set, error) {
	services := make([]*workspace.Service, len(r.Supervisor.units))
	for i, u := range r.Supervisor.units {
		services[i] = u.spec
	}
	return broker.Find(ctx, r.work, services, r.options.NATS, session)
}

// brokerUnits returns the units of the brokers that are started for the run.
func brokerUnits(brokers *broker.Set) (units []unit) {
	for _, b := range brokers.All {
		if p := b.Program; p != nil {
			units = append(units, unit{
				spec: &workspace.Service{Name: p.Name, Command: p.Words, Transport: b.Transport, Ready: workspace.ReadyMessage},
				dir:  p.Dir, env: p.Env, broker: b, runsBroker: true, url: workspace.Redacted(b.URL),
			})
		}
	}
	return units
}

// servedBy returns a copy of units that use the brokers and wait for those that are
// started for the run.
func servedBy(units []unit, brokers *broker.Set) []unit {
	out := make([]unit, len(units))
	for i, u := range units {
		for _, b := range brokers.All {
			if b.Program != nil {
				u.needs = append(u.needs, b.Program.Name)
			}
		}
		u.env = append(u.env, brokers.Env(u.spec)...)
		if u.broker = brokers.Of(u.spec); u.broker != nil {
			u.url = broker.Target(u.broker.URL, u.spec)
		}
		out[i] = u
	}
	return out
}

// announceBrokers emits an event for each broker that the run uses.
func (r *run) announceBrokers(brokers *broker.Set) {
	for _, b := range brokers.All {
		e := Event{Kind: KindBroker, URL: workspace.Redacted(b.URL), Text: b.String()}
		if b.Program != nil {
			e.Service = b.Program.Name
		}
		r.emit(e)
	}
}
