package operate

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/proc/debug"
	"github.com/msctl/msctl/internal/workspace"
)

// debugged are the services that --debug names, and what their debuggers need.
type debugged struct {
	ports     map[string]int // by service
	delve     string
	traceable []string
}

// parseDebug returns the ports of --debug: SERVICE or SERVICE:PORT. Without PORT, it is the
// usual port of the debugger plus the number of the service in msctl.yaml plus --port-offset,
// so that it stays the same whatever else is debugged.
func (o *runOptions) parseDebug(w *workspace.Workspace) (map[string]int, error) {
	ports := map[string]int{}
	users := map[int]string{}
	for _, text := range o.debug {
		name, number, given := strings.Cut(text, ":")
		s := w.Service(name)
		if s == nil {
			return nil, unknownService(w, name)
		}
		if !slices.Contains(w.Order(o.services...), s) {
			return nil, exit.WithHint(exit.Usagef("--debug %s: this service is not part of the run", name), "add it: `msctl run %s %s`", strings.Join(o.services, " "), name)
		}
		port := debug.DefaultPort(s.Path != "") + slices.Index(w.Services, s) + o.portOffset
		if given {
			var err error
			if port, err = strconv.Atoi(number); err != nil {
				return nil, exit.Usagef("--debug %s: invalid port %q", name, number)
			}
		}
		switch {
		case port < 1 || port > 65535:
			return nil, exit.Usagef("--debug %s: invalid port %d: must be between 1 and 65535", name, port)
		case users[port] != "" && users[port] != name:
			return nil, exit.Usagef("--debug: %s and %s cannot both use port %d", users[port], name, port)
		}
		ports[name], users[port] = port, name
	}
	for _, s := range w.Services {
		if name := users[s.Port]; name != "" {
			return nil, exit.Usagef("--debug %s: port %d is that of service %s", name, s.Port, s.Name)
		}
	}
	return ports, nil
}

// debugged finds what the debuggers of --debug need.
func (o *runOptions) debugged(ctx context.Context, w *workspace.Workspace) (d debugged, err error) {
	if d.ports, err = o.parseDebug(w); err != nil {
		return d, err
	}
	for name := range d.ports {
		if w.Service(name).Path == "" || d.delve != "" {
			continue
		}
		if d.delve, err = debug.FindDelve(ctx); err != nil {
			return d, exit.WithHint(exit.WithText(err, "debugging "+name+" requires Delve: "+err.Error()),
				"install it: `go install github.com/go-delve/delve/cmd/dlv@latest`")
		}
		if debug.NeedsTraceable() {
			d.traceable, err = ownCommand(debug.TraceableName)
		}
	}
	return d, err
}

// explainDebugPort adds to the error of a debug port how to choose another one.
func explainDebugPort(err *proc.DebugPortError) error {
	other := err.Port + 100
	if other > 65535 {
		other = err.Port - 100
	}
	return exit.WithHint(err, "stop that program, or choose another port: --debug %s:%d", err.Service, other)
}
