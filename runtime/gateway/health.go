package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// healthTarget is a service that /health checks.
type healthTarget struct {
	name    string
	client  *micro.Client
	pattern micro.Pattern
}

// healthTimeout limits an entire health check.
const healthTimeout = 3 * time.Second

// healthReport is a report in terminus's format.
type healthReport struct {
	Status  string                   `json:"status"` // ok, error, or shutting_down
	Info    map[string]healthOfOther `json:"info"`
	Error   map[string]healthOfOther `json:"error"`
	Details map[string]healthOfOther `json:"details"`
}

type healthOfOther struct {
	// ResponseTime is the time until the answer, in milliseconds.
	ResponseTime int64             `json:"responseTime"`
	Status       string            `json:"status"` // up or down
	Message      string            `json:"message,omitempty"`
	Checks       map[string]string `json:"checks,omitempty"`
}

func (g *Gateway) addHealth() {
	g.quiet("GET /health", func(w http.ResponseWriter, req *http.Request) {
		report := g.checkHealth(req.Context())
		status := http.StatusOK
		if report.Status != "ok" {
			status = http.StatusServiceUnavailable
		}
		w.Header().Set("Cache-Control", "no-store")
		body, err := json.Marshal(report)
		if err != nil {
			exchangeOf(req.Context()).fail(w, internalProblem(err))
			return
		}
		writeJSON(w, status, body)
	})
	g.quiet("GET /health/live", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		writeJSON(w, http.StatusOK, []byte(`{"status":"ok"}`))
	})
	g.quiet("GET /health/ready", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if g.draining.Load() {
			writeJSON(w, http.StatusServiceUnavailable, []byte(`{"status":"shutting_down"}`))
			return
		}
		writeJSON(w, http.StatusOK, []byte(`{"status":"ok"}`))
	})
}

// checkHealth checks all services concurrently.
func (g *Gateway) checkHealth(ctx context.Context) healthReport {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	found := make([]healthOfOther, len(g.health))
	var asking sync.WaitGroup
	for i, target := range g.health {
		asking.Go(func() {
			start := time.Now()
			found[i] = askHealth(ctx, target)
			found[i].ResponseTime = time.Since(start).Milliseconds()
		})
	}
	asking.Wait()
	report := healthReport{
		Status: "ok",
		Info:   map[string]healthOfOther{}, Error: map[string]healthOfOther{}, Details: map[string]healthOfOther{},
	}
	for i, target := range g.health {
		report.Details[target.name] = found[i]
		if found[i].Status == "up" {
			report.Info[target.name] = found[i]
			continue
		}
		report.Error[target.name] = found[i]
		report.Status = "error"
	}
	if g.draining.Load() {
		report.Status = "shutting_down"
	}
	if g.healthSummary {
		g.hideHealth(ctx, &report)
	}
	return report
}

// hideHealth removes the services from a report, and logs those that are down.
func (g *Gateway) hideHealth(ctx context.Context, report *healthReport) {
	for name, service := range report.Error {
		g.log.WarnContext(ctx, "a service is down", "to", name, "message", service.Message)
	}
	clear(report.Info)
	clear(report.Error)
	clear(report.Details)
}

// askHealth checks one service. The report of a service that is down contains no
// addresses, since /health is public.
func askHealth(ctx context.Context, target healthTarget) healthOfOther {
	h, err := micro.Call[micro.Health](ctx, target.client, target.pattern, micro.None{})
	var remote *micro.Error
	switch {
	case err == nil && h.Status == "ok":
		return healthOfOther{Status: "up", Checks: h.Checks}
	case err == nil:
		return healthOfOther{Status: "down", Message: "the service reports that it is not well", Checks: h.Checks}
	case errors.Is(err, micro.ErrNoHandler):
		return healthOfOther{Status: "up"} // a service without our runtime that replies to messages
	case errors.As(err, &remote):
		return healthOfOther{Status: "down", Message: fmt.Sprintf("the service answered with an error: %s", remote.Message)}
	case errors.Is(err, micro.ErrTimeout):
		return healthOfOther{Status: "down", Message: "no answer in time"}
	case errors.Is(err, micro.ErrUnreachable):
		return healthOfOther{Status: "down", Message: "unreachable"}
	case errors.Is(err, micro.ErrConnectionLost):
		return healthOfOther{Status: "down", Message: "connection lost"}
	}
	return healthOfOther{Status: "down", Message: "the health answer could not be had"}
}
