package proc

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// unit is what is known of a service before anything runs.
type unit struct {
	spec *workspace.Service
	// handover says that its listening socket is the supervisor's, so that a
	// new process takes over from the old one without a pause.
	handover bool
	dir      string   // where its program runs
	env      []string // complete, but for what differs from start to start
	needs    []string // the services it waits for
	where    string   // where others find it, without a password
	// states says that each process tells on a socket of its own when its
	// listeners are ready: through a broker another might answer in its place.
	states     bool
	broker     *broker // that it is reached through, or that it runs
	runsBroker bool
}

// overlaps reports whether a new process can serve beside the old one.
func (u *unit) overlaps() bool { return u.handover || u.states }

// plan orders the selected services and what they depend on, each after all
// that it depends on.
func plan(w *workspace.Workspace, selected []string, color bool) []unit {
	var units []unit
	for _, s := range w.Order(selected...) {
		units = append(units, unit{
			spec:     s,
			handover: s.Path != "" && s.Port != 0 && canHandOver,
			dir:      w.WorkDir(s),
			env:      environment(w, s, color),
			needs:    slices.Clone(s.DependsOn),
			states:   s.Path != "" && s.Transport.Broker() && s.Ready == workspace.ReadyMessage && canHandOver,
			where:    where(w, s),
		})
	}
	return units
}

// listenHost is the address a service listens on: the loopback address for one
// that is found at localhost, so that a workspace on a laptop is not open to
// its network.
func listenHost(s *workspace.Service) string {
	if s.Host == "localhost" {
		return "127.0.0.1"
	}
	return s.Host
}

// address is where a service listens and is asked.
func address(s *workspace.Service) string {
	return net.JoinHostPort(listenHost(s), strconv.Itoa(s.Port))
}

// where is where a service is found as far as it is known before the brokers
// have been looked for.
func where(w *workspace.Workspace, s *workspace.Service) string {
	if broker, _ := w.Broker(s.Transport, s, os.Getenv); broker != "" {
		return brokerTarget(broker, s)
	}
	return scheme(s) + "://" + address(s)
}

// environment is the environment of a service's processes: ours, then where it
// listens and where the others are, then what msctl.yaml says for all and for
// this one; later entries win.
func environment(w *workspace.Workspace, s *workspace.Service, color bool) []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, micro.InheritEnv+"=")
	})
	if s.Path != "" && os.Getenv("GOGC") == "" {
		env = append(env, "GOGC=400") // as in the generated Dockerfile, so that what is measured here holds there
	}
	if s.Port != 0 {
		port := strconv.Itoa(s.Port)
		env = append(env, "MS_HOST="+listenHost(s), "MS_PORT="+port, "PORT="+port)
	}
	for _, other := range w.Services {
		if other != s && other.Port != 0 && !other.Transport.Broker() {
			env = append(env, urlVariable(other)+"="+scheme(other)+"://"+address(other))
		}
	}
	if color {
		env = append(env, "FORCE_COLOR=1", "CLICOLOR_FORCE=1")
	} else {
		env = append(env, "NO_COLOR=1")
	}
	for _, own := range []map[string]string{w.Env, s.Env} {
		for name, value := range own {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// urlVariable is the variable that tells others where a service is: ITEMS_URL,
// and MAIL_OUT_URL for mail-out.
func urlVariable(s *workspace.Service) string {
	return strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_URL"
}

func scheme(s *workspace.Service) string {
	if s.Kind == workspace.KindGateway {
		return "http"
	}
	return string(s.Transport)
}
