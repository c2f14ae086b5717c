// Package doctor names the misconfigurations of services: what was seen, what it means, and what to
// do about it. It sends only the messages msctl.describe and msctl.health, opens connections, and reads;
// it consumes nothing. The package contains no user interface.
//
// [Examine] asks the services, and then makes the checks of [Checks]. Each is in a file of its own.
package doctor

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/workspace"
)

// Finding is one misconfiguration.
type Finding struct {
	Code     string   `json:"code"`     // one of the codes in docs/doctor.md
	Where    string   `json:"where"`    // the service, address, or chain of services
	Evidence []string `json:"evidence"` // what was seen, one sentence each
	Cause    string   `json:"cause"`
	Fix      string   `json:"fix"`
}

// Unchecked is a check that could not be made.
type Unchecked struct {
	Check  string `json:"check"` // the name of the check
	Where  string `json:"where,omitempty"`
	Reason string `json:"reason"`
}

// Report is the result of an examination.
type Report struct {
	Checked    []string    `json:"checked"` // the names of the checks that were made
	Findings   []Finding   `json:"findings"`
	NotChecked []Unchecked `json:"notChecked"`
}

// Healthy reports whether nothing was found, although something was checked.
func (r Report) Healthy() bool { return len(r.Findings) == 0 && len(r.Checked) > 0 }

// Subject is what is examined.
type Subject struct {
	// Workspace is nil outside of a workspace.
	Workspace *workspace.Workspace
	// Single limits the examination to the targets: the other services of the workspace are only a source of knowledge.
	Single bool
	// Targets are the services, and Gateways the addresses of the gateways.
	Targets, Gateways []target.Target
	Flags             *target.Flags
	// Timeout limits each question. The zero value is not valid.
	Timeout time.Duration
	// Recording holds recorded messages; nil for none.
	Recording *Recording
	// Runs are the processes of `msctl run` for the workspace.
	Runs []int
	// Monitoring is the address of the monitoring port of NATS, as http://host:port; "" to try the default port.
	Monitoring string
}

// Check is one kind of check.
type Check struct {
	Name string // as in reports
	// Needs names what it needs.
	Needs string
	run   func(context.Context, *exam)
}

// Checks lists all checks, in the order in which they are made and reported.
func Checks() []Check {
	return []Check{
		{"reachability", "the addresses of the services", reachability},
		{"ports", "the ports of the workspace", ports},
		{"loopback listeners", "the addresses of the services, compose.yaml, and sources", loopback},
		{"frame lengths", "services on TCP", frames},
		{"handlers of a queue", "services on RabbitMQ", mixedHandlers},
		{"declarations", "services on RabbitMQ with declared options", declarations},
		{"unacknowledged messages", "services on RabbitMQ", unacknowledged},
		{"replicas on Redis", "services on Redis", redisReplicas},
		{"queue groups on NATS", "services on NATS", queueGroups},
		{"handlers and callers", "sources of NestJS services, or recorded messages", handlersAndCallers},
		{"timeouts", "sources of NestJS services, or recorded messages", timeouts},
		{"retries", "sources of NestJS services, or recorded messages", retries},
		{"metadata", "the versions of NestJS services, and sources or recorded messages", metadata},
		{"clocks", "recorded messages", clocks},
	}
}

// Examine asks the services, and makes all checks. The error is that of the context.
func Examine(ctx context.Context, p Subject) (Report, error) {
	e := &exam{Subject: p}
	e.ask(ctx)
	for _, c := range Checks() {
		if ctx.Err() != nil {
			return Report{}, context.Cause(ctx)
		}
		e.check = c.Name
		c.run(ctx, e)
	}
	if ctx.Err() != nil {
		return Report{}, context.Cause(ctx)
	}
	return e.report, nil
}

// exam is one examination. It is used by one goroutine.
type exam struct {
	Subject
	check   string // the name of the check that is being made
	seen    []*observation
	report  Report
	sources *sources // nil before they have been read
}

// found adds a finding, and marks the check as made. The same thing is found once.
func (e *exam) found(f Finding) {
	e.checked()
	same := func(other Finding) bool {
		return other.Code == f.Code && other.Where == f.Where && other.Cause == f.Cause
	}
	if !slices.ContainsFunc(e.report.Findings, same) {
		e.report.Findings = append(e.report.Findings, f)
	}
}

// checked marks the check as made.
func (e *exam) checked() {
	if !slices.Contains(e.report.Checked, e.check) {
		e.report.Checked = append(e.report.Checked, e.check)
	}
}

// skip reports that the check could not be made somewhere.
func (e *exam) skip(where, reason string) {
	u := Unchecked{e.check, where, reason}
	if !slices.Contains(e.report.NotChecked, u) {
		e.report.NotChecked = append(e.report.NotChecked, u)
	}
}

// confirmDelay is how long a state must last to be a finding: services are replaced, and both
// instances run for a moment.
const confirmDelay = 2 * time.Second

// lasts reports whether a state holds now and after confirmDelay.
func lasts(ctx context.Context, holds func() bool) bool {
	if !holds() {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(confirmDelay):
		return holds()
	}
}

// all returns the services of the workspace; none if only a target is examined.
func (e *exam) all() []*workspace.Service {
	if e.Workspace == nil || e.Single {
		return nil
	}
	return e.Workspace.Services
}

// place names a target in a report.
func place(t target.Target) string { return t.Name() + target.AtAddress(t) }

// sentence joins words as in "a, b, and c".
func sentence(words []string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	case 2:
		return words[0] + " and " + words[1]
	}
	return strings.Join(words[:len(words)-1], ", ") + ", and " + words[len(words)-1]
}

// orElse returns a text, or another one if it is empty.
func orElse(text, other string) string { return cmp.Or(text, other) }
