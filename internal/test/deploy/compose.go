package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// checkCompose reads a compose file with the library of docker compose, with all profiles, and checks what it does not.
func checkCompose(ctx context.Context, text string, environment map[string]string) []string {
	project, err := loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir: "/shop", Environment: environment,
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(text)}},
	}, func(o *loader.Options) { o.Profiles = []string{"*"} })
	if err != nil {
		return []string{err.Error()}
	}
	c := composition{project: project}
	for _, name := range project.ServiceNames() {
		s := project.Services[name]
		c.container(s)
		c.network(s)
		for other, dependency := range s.DependsOn {
			if dependency.Condition != types.ServiceConditionHealthy {
				c.problem("%s does not wait until %s is healthy", s.Name, other)
			}
		}
		for variable, value := range s.Environment {
			if host := address.FindStringSubmatch(deref(value)); host != nil {
				c.address(s, variable, host[1], host[2])
			}
		}
	}
	return c.problems
}

// composition collects the problems of a compose file.
type composition struct {
	project  *types.Project
	problems []string
}

func (c *composition) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// container checks the rights of a container. Those of brokers, whose images are not ours, are wider.
func (c *composition) container(s types.ServiceConfig) {
	if s.HealthCheck == nil || len(s.HealthCheck.Test) == 0 {
		c.problem("%s has no health check", s.Name)
	}
	if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		c.problem("%s may gain privileges", s.Name)
	}
	if s.Build == nil {
		return
	}
	if !s.ReadOnly {
		c.problem("%s has a writable root file system", s.Name)
	}
	if !slices.Contains(s.CapDrop, "ALL") {
		c.problem("%s has capabilities", s.Name)
	}
	if !slices.ContainsFunc(s.Secrets, func(f types.ServiceSecretConfig) bool {
		return deref(s.Environment["PRINCIPAL_SECRET_FILE"]) == "/run/secrets/"+f.Source
	}) {
		c.problem("%s does not have the secret that PRINCIPAL_SECRET_FILE names", s.Name)
	}
}

// network checks that only the gateway can be reached from other machines.
func (c *composition) network(s types.ServiceConfig) {
	for _, p := range s.Ports {
		if s.Name != "gateway" && !strings.HasPrefix(p.HostIP, "127.") {
			c.problem("%s publishes its port %d", s.Name, p.Target)
		}
	}
	for name := range s.Networks {
		if outside := !c.project.Networks[name].Internal; outside && s.Build != nil && !slices.Contains([]string{"gateway", "notifications"}, s.Name) {
			c.problem("%s is on the network %s, which is not internal", s.Name, name)
		}
	}
}

// address checks that an address is that of a service on a common network.
func (c *composition) address(s types.ServiceConfig, variable, host, port string) {
	other, known := c.project.Services[host]
	if !known || deref(other.Environment["MS_PORT"]) != port {
		c.problem("%s: %s is %s:%s, and no service has this address", s.Name, variable, host, port)
		return
	}
	for name := range s.Networks {
		if _, common := other.Networks[name]; common {
			return
		}
	}
	c.problem("%s and %s have no common network", s.Name, host)
}
