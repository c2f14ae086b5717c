package proc

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/proc/socket"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
)

// unit is what is known about a service, or a broker, before anything runs.
type unit struct {
	spec *workspace.Service
	// inherits is set if the supervisor opens the listening socket, so that a new
	// process can take over without a gap.
	inherits bool
	dir      string   // the working directory
	env      []string // complete, except for the variables that change with each start
	needs    []string // the services to wait for
	url      string   // where other services reach it, without a password
	// reportsReady is set if each process reports on a private socket when its
	// listeners are ready: through a broker, a different process might answer.
	reportsReady bool
	broker       *broker.Broker // the broker that it is reached through, or that it runs
	runsBroker   bool
	debugAt      string // where debuggers attach; "" if it is not debugged
}

// overlaps reports whether a new process can serve while the old one is still running.
func (u *unit) overlaps() bool { return (u.inherits || u.reportsReady) && u.debugAt == "" }

// plan returns the selected services and their dependencies, each after all services
// that it depends on.
func plan(o Options) []unit {
	w := o.Workspace
	var units []unit
	for _, s := range w.Order(o.Services...) {
		built := s.Path != ""
		units = append(units, unit{
			spec:         s,
			inherits:     built && s.Port != 0 && socket.CanPass,
			dir:          w.WorkDir(s),
			env:          environment(w, s, o.Color),
			needs:        slices.Clone(s.DependsOn),
			url:          serviceURL(w, s),
			reportsReady: built && s.Transport.Broker() && s.Ready == workspace.ReadyMessage && socket.CanPass,
			debugAt:      debugAddress(o.Debug, s.Name),
		})
	}
	return units
}

// isLocalhost reports whether a host is a name of the loopback interface, which may stand
// for an address of either family.
func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// listenHost returns the address that a service listens on. For localhost it is the
// loopback address, so that a workspace is not reachable from the network.
func listenHost(s *workspace.Service) string {
	if isLocalhost(s.Host) {
		return "127.0.0.1"
	}
	return s.Host
}

// reachable returns the addresses at which a program that opens its port itself may
// answer. With localhost, that depends on the program and on the hosts file: NestJS
// listens on the first address that the name has.
func reachable(s *workspace.Service) []string {
	hosts := []string{s.Host}
	switch {
	case isLocalhost(s.Host):
		hosts = []string{"127.0.0.1", "::1"}
	case s.Host == "0.0.0.0":
		hosts = []string{"127.0.0.1"}
	case s.Host == "::":
		hosts = []string{"::1", "127.0.0.1"}
	}
	for i, host := range hosts {
		hosts[i] = net.JoinHostPort(host, strconv.Itoa(s.Port))
	}
	return hosts
}

// address returns the host and port that a service listens on.
func address(s *workspace.Service) string {
	return net.JoinHostPort(listenHost(s), strconv.Itoa(s.Port))
}

// serviceURL returns where a service is reached, before the brokers have been checked.
func serviceURL(w *workspace.Workspace, s *workspace.Service) string {
	if url, _ := w.Broker(s.Transport, s, w.Getenv); url != "" {
		return broker.Target(url, s)
	}
	return plannedURL(s)
}

// plannedURL returns where others reach a service with a port before it is ready. A
// program that opens its port itself may choose either family of localhost.
func plannedURL(s *workspace.Service) string {
	if s.Path == "" {
		return scheme(s) + "://" + s.Addr()
	}
	return scheme(s) + "://" + address(s)
}

// peers returns the variables with the addresses of the other services; found are the
// addresses at which services have answered, by name.
func peers(w *workspace.Workspace, s *workspace.Service, found map[string]string) (env []string) {
	for _, other := range w.Services {
		if other != s && other.Port != 0 && !other.Transport.Broker() {
			env = append(env, urlVariable(other)+"="+cmp.Or(found[other.Name], plannedURL(other)))
		}
	}
	return env
}

// environment returns the environment of a service's processes, except for the addresses
// of other services. Later entries take precedence: the `env` of the workspace and of the
// service, .env, .env.local, and the environment of msctl. The address of this service is
// not taken from there, because it differs between services; its `env` may change it.
func environment(w *workspace.Workspace, s *workspace.Service, color bool) []string {
	var env []string
	configured := func(include func(service, name string) bool) {
		for service, entries := range map[string]map[string]string{"": w.Env, s.Name: s.Env} {
			for name, value := range entries {
				_, own := s.Env[name]
				if include(strings.TrimSpace(service+" "+name), name) && (service != "" || !own) {
					env = append(env, name+"="+value)
				}
			}
		}
	}
	if s.Path != "" {
		env = append(env, "GOGC=400") // as in the generated Dockerfile, so that measurements apply there, too
	}
	configured(func(string, string) bool { return true })
	for name, value := range w.Local.Vars {
		env = append(env, name+"="+value)
	}
	env = append(env, slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, micro.InheritEnv+"=") || strings.HasPrefix(entry, reported.Env+"=")
	})...)
	own := map[string]string{}
	if s.Port != 0 {
		port := strconv.Itoa(s.Port)
		own["MS_HOST"], own["MS_PORT"], own["PORT"] = listenHost(s), port, port
	}
	if color {
		own["FORCE_COLOR"], own["CLICOLOR_FORCE"] = "1", "1"
	} else {
		own["NO_COLOR"] = "1"
	}
	for name, value := range own {
		env = append(env, name+"="+value)
	}
	configured(func(entry, name string) bool {
		_, msctls := own[name]
		return msctls || w.Local.Extends[entry]
	})
	return env
}

// Lookup returns a variable as the processes of a service of the workspace get it, except for
// the addresses of other services.
func Lookup(w *workspace.Workspace, s *workspace.Service, name string) (string, bool) {
	for _, entry := range slices.Backward(environment(w, s, false)) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// overridden describes the entries of `env` in msctl.yaml that have no effect, because the
// environment or a file takes precedence.
func overridden(w *workspace.Workspace, services []unit) (notes []string) {
	from := map[string][]string{}
	note := func(entry, name, value string) {
		other, ok := w.Local.LookupEnv(name)
		if !ok || other == value || w.Local.Extends[entry] || slices.Contains([]string{"MS_HOST", "MS_PORT", "PORT", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"}, name) {
			return
		}
		source := ".env or .env.local"
		if _, shell := os.LookupEnv(name); shell {
			source = "the environment"
		}
		if !slices.Contains(from[source], name) {
			from[source] = append(from[source], name)
		}
	}
	for name, value := range w.Env {
		note(name, name, value)
	}
	for _, u := range services {
		for name, value := range u.spec.Env {
			note(u.spec.Name+" "+name, name, value)
		}
	}
	for _, source := range slices.Sorted(maps.Keys(from)) {
		slices.Sort(from[source])
		notes = append(notes, fmt.Sprintf("variables of %s override those in %s: %s", source, workspace.FileName, strings.Join(from[source], ", ")))
	}
	return notes
}

// urlVariable returns the environment variable with the address of a service:
// ITEMS_URL, or MAIL_OUT_URL for mail-out.
func urlVariable(s *workspace.Service) string {
	return strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_URL"
}

func scheme(s *workspace.Service) string {
	if s.Kind == workspace.KindGateway {
		return "http"
	}
	return string(s.Transport)
}
