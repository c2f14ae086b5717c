package micro

import (
	"context"
	"encoding/json"
	"time"
)

// The reserved patterns that every server answers: its description and its health.
var (
	DescribePattern = Name("msctl.describe")
	HealthPattern   = Name("msctl.health")
)

// Description is a server's reply to DescribePattern.
type Description struct {
	Name     string        `json:"name"`
	Version  string        `json:"version,omitempty"`
	Instance string        `json:"instance"` // different after every start
	Started  time.Time     `json:"started"`
	InFlight int64         `json:"inFlight"` // messages being handled, this one included
	Handlers []HandlerInfo `json:"handlers"`
}

// HandlerInfo describes a handler, with its counts and latencies since the start. P50
// and P99 are quantiles of the handler's run time, in milliseconds.
type HandlerInfo struct {
	Pattern json.RawMessage `json:"pattern"`
	Route   string          `json:"route"`
	Kind    string          `json:"kind"` // message, stream, or event
	Doc     string          `json:"doc,omitempty"`
	Data    *Schema         `json:"data,omitempty"`
	Reply   *Schema         `json:"reply,omitempty"`
	Calls   uint64          `json:"calls"`
	Errors  uint64          `json:"errors"`
	Expired uint64          `json:"expired"` // not started: the deadline had passed
	P50     float64         `json:"p50ms"`
	P99     float64         `json:"p99ms"`
}

// Health is a server's reply to HealthPattern.
type Health struct {
	Status   string            `json:"status"` // ok or error
	Name     string            `json:"name"`
	Version  string            `json:"version,omitempty"`
	Instance string            `json:"instance"`
	Uptime   float64           `json:"uptimeSeconds"`
	Checks   map[string]string `json:"checks,omitempty"` // by name: "ok" or the error
}

type healthCheck struct {
	name  string
	check func(context.Context) error
}

// healthTimeout limits each health check.
const healthTimeout = 2 * time.Second

func (s *Server) registerReserved() {
	defaults := s.defaults
	s.defaults = handlerConfig{} // guards, interceptors, etc. apply to the user's handlers only
	for _, suffix := range []string{"", "." + s.name} {
		Handle(s, Name(HealthPattern.Route()+suffix), s.health)
		s.order[len(s.order)-1].hidden = true
		if !s.noDescribe {
			Handle(s, Name(DescribePattern.Route()+suffix), s.describe)
			s.order[len(s.order)-1].hidden = true
		}
	}
	s.defaults = defaults
}

// HealthOf returns the pattern that asks one of the services that share a broker for its
// health: HealthPattern, a dot, and the name of the server (see WithName).
func HealthOf(name string) Pattern { return Name(HealthPattern.Route() + "." + name) }

// DescribeOf returns the pattern that asks one of the services that share a broker for
// its description, as [HealthOf] does for its health.
func DescribeOf(name string) Pattern { return Name(DescribePattern.Route() + "." + name) }

// Health returns the server's health, as a reply to HealthPattern contains it. It runs the
// checks of [WithHealthCheck], each for up to 2 s.
func (s *Server) Health(ctx context.Context) Health {
	h, _ := s.health(ctx, None{}) // never fails
	return h
}

func (s *Server) health(ctx context.Context, _ None) (Health, error) {
	h := Health{Status: "ok", Name: s.name, Version: s.version, Instance: s.instance, Uptime: time.Since(s.started).Seconds()}
	for _, c := range s.checks {
		if h.Checks == nil {
			h.Checks = map[string]string{}
		}
		h.Checks[c.name] = "ok"
		if err := c.run(ctx); err != nil {
			h.Status, h.Checks[c.name] = "error", err.Error()
		}
	}
	return h, nil
}

// run runs the check. A panic fails this check only.
func (c healthCheck) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p}
		}
	}()
	return c.check(ctx)
}

func (s *Server) describe(context.Context, None) (Description, error) {
	d := Description{Handlers: []HandlerInfo{}, Name: s.name, Version: s.version, Instance: s.instance, Started: s.started, InFlight: s.inFlight.Load()}
	for _, ep := range s.order {
		if ep.hidden {
			continue
		}
		d.Handlers = append(d.Handlers, HandlerInfo{
			Pattern: json.RawMessage(ep.pattern.JSON()),
			Route:   ep.pattern.Route(),
			Kind:    ep.kind.String(),
			Doc:     ep.doc,
			Data:    schemaOf(ep.types.in),
			Reply:   schemaOf(ep.types.out),
			Calls:   ep.stats.calls.Load(),
			Errors:  ep.stats.errors.Load(),
			Expired: ep.stats.expired.Load(),
			P50:     ep.stats.quantile(0.50).Seconds() * 1000,
			P99:     ep.stats.quantile(0.99).Seconds() * 1000,
		})
	}
	return d, nil
}
