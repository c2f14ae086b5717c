package doctor

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/workspace"
)

// process is a program that listens on a port.
type process struct {
	pid  int
	name string
}

// ports reports ports of the workspace that programs outside of it use: those at which another program than the
// service replies, or something that is no service.
func ports(ctx context.Context, e *exam) {
	for _, s := range e.all() {
		host, port := e.portOf(s)
		if port == 0 || !isLoopbackName(host) {
			continue
		}
		e.checked()
		if accepts(ctx, net.JoinHostPort(host, strconv.Itoa(port)), e.Timeout) != nil || e.serves(s.Name) {
			continue // it is free, or in the right hands
		}
		processes, known := listeners(port)
		// A service that does not reply may still be the right one, unless a run knows better.
		if e.ours(processes) || len(e.Runs) == 0 && !e.wrong(s.Name) {
			continue
		}
		f := Finding{
			Code: "port-in-use", Where: fmt.Sprintf("%s, port %d", s.Name, port),
			Evidence: []string{fmt.Sprintf("something listens on port %d, and it is not %s", port, s.Name)},
			Cause:    fmt.Sprintf("%s cannot start while another program uses its port", s.Name),
			Fix:      fmt.Sprintf("stop that program, or change the port of %s in msctl.yaml", s.Name),
		}
		for _, p := range processes {
			f.Evidence = append(f.Evidence, fmt.Sprintf("process %d listens there: %s", p.pid, p.name))
		}
		if !known {
			f.Evidence = append(f.Evidence, "which process that is cannot be found out on this system")
		} else if len(processes) == 0 {
			f.Evidence = append(f.Evidence, "the process belongs to another user, or to a container")
		}
		e.found(f)
	}
}

// portOf returns where a service listens: at the address in msctl.yaml, unless the run has chosen another one.
func (e *exam) portOf(s *workspace.Service) (host string, port int) {
	for _, t := range slices.Concat(e.Targets, e.Gateways) {
		if t.Service == s.Name && t.Broker == nil {
			host, text, err := net.SplitHostPort(hostPort(t))
			port, failure := strconv.Atoi(text)
			if err == nil && failure == nil {
				return host, port
			}
		}
	}
	return s.Host, s.Port
}

// serves reports whether a service of the workspace has replied at its address, or its gateway has.
func (e *exam) serves(name string) bool {
	for _, o := range e.seen {
		if o.target.Service == name {
			return o.replies > 0 && !e.wrong(name)
		}
	}
	return !slices.ContainsFunc(e.report.Findings, func(f Finding) bool { return e.isOf(f, name) })
}

// wrong reports whether something else than the service has replied at its address.
func (e *exam) wrong(name string) bool {
	return slices.ContainsFunc(e.report.Findings, func(f Finding) bool {
		return (f.Code == "wrong-protocol" || f.Code == "wrong-service") && e.isOf(f, name)
	})
}

// isOf reports whether a finding is about the address of a service.
func (e *exam) isOf(f Finding, name string) bool {
	return slices.ContainsFunc(slices.Concat(e.Targets, e.Gateways), func(t target.Target) bool { return t.Service == name && place(t) == f.Where })
}

// ours reports whether `msctl run` has started one of the processes, or is one of them.
func (e *exam) ours(list []process) bool {
	for _, p := range list {
		for pid, steps := p.pid, 0; pid > 1 && steps < 64; pid, steps = parentOf(pid), steps+1 {
			if slices.Contains(e.Runs, pid) {
				return true
			}
		}
	}
	return false
}

// holder names the processes that listen at an address of this machine, as evidence.
func (e *exam) holder(address string) (evidence []string) {
	_, text, err := net.SplitHostPort(address)
	port, failure := strconv.Atoi(text)
	if err != nil || failure != nil || !target.Local(address) {
		return nil
	}
	processes, _ := listeners(port)
	for _, p := range processes {
		evidence = append(evidence, fmt.Sprintf("process %d listens on port %d: %s", p.pid, port, p.name))
	}
	return evidence
}
