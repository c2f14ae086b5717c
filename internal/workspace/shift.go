package workspace

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
)

// Shifted returns a copy of the workspace in which every port is greater by offset, so
// that two workspaces with the same ports can run at the same time. Values of `env` that
// refer to one of the ports change with it: the port itself in a variable whose name
// contains PORT, and addresses on this machine, such as tcp://localhost:3002.
func (w *Workspace) Shifted(offset int) (*Workspace, error) {
	ports := map[string]string{}
	shifted := *w
	shifted.Services = make([]*Service, len(w.Services))
	for i, s := range w.Services {
		copied := *s
		if s.Port != 0 {
			copied.Port += offset
			if copied.Port < 1 || copied.Port > 65535 {
				return nil, fmt.Errorf("the port of service %s would be %d: must be between 1 and 65535", s.Name, copied.Port)
			}
			ports[strconv.Itoa(s.Port)] = strconv.Itoa(copied.Port)
		}
		shifted.Services[i] = &copied
	}
	shifted.Env = shiftEnv(w.Env, ports)
	for _, s := range shifted.Services {
		s.Env = shiftEnv(s.Env, ports)
	}
	return &shifted, nil
}

// localPort matches a port of this machine in an address.
var localPort = regexp.MustCompile(`((?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):)(\d+)\b`)

func shiftEnv(env map[string]string, ports map[string]string) map[string]string {
	env = maps.Clone(env)
	for name, value := range env {
		if to := ports[value]; to != "" && strings.Contains(strings.ToUpper(name), "PORT") {
			env[name] = to
			continue
		}
		env[name] = localPort.ReplaceAllStringFunc(value, func(address string) string {
			parts := localPort.FindStringSubmatch(address)
			if to := ports[parts[2]]; to != "" {
				return parts[1] + to
			}
			return address
		})
	}
	return env
}
