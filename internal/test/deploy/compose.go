package deploy

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// checkCompose reads a compose file with the library of docker compose, with all profiles, and checks what it does not.
func checkCompose(ctx context.Context, text string, environment map[string]string) []string {
	project, err := loadCompose(ctx, environment, "*", text)
	if err != nil {
		return []string{err.Error()}
	}
	c := composition{project: project}
	for _, name := range project.ServiceNames() {
		s := project.Services[name]
		c.container(s)
		c.secrets(s)
		c.network(s)
		for other, dependency := range s.DependsOn {
			if dependency.Condition != types.ServiceConditionHealthy {
				c.problem("%s does not wait until %s is healthy", s.Name, other)
			}
			if optional := len(project.Services[other].Profiles) > 0; optional == dependency.Required {
				c.problem("%s requires %s: %v, but whether it has a profile is %v", s.Name, other, dependency.Required, optional)
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

// loadCompose reads compose files as docker compose does.
func loadCompose(ctx context.Context, environment map[string]string, profile string, texts ...string) (*types.Project, error) {
	details := types.ConfigDetails{WorkingDir: "/shop", Environment: environment}
	for i, text := range texts {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: fmt.Sprintf("compose%d.yaml", i), Content: []byte(text)})
	}
	return loader.LoadWithContext(ctx, details, func(o *loader.Options) { o.Profiles = []string{profile} })
}

// checkPublished checks the file that publishes the ports of brokers and databases for the programs of a machine.
func checkPublished(ctx context.Context, environment map[string]string, texts ...string) (problems []string) {
	project, err := loadCompose(ctx, environment, "*", texts...)
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range project.ServiceNames() {
		s := project.Services[name]
		if s.Build != nil {
			continue
		}
		if len(s.Ports) != 1 || s.Ports[0].HostIP != "127.0.0.1" || s.Ports[0].Published != fmt.Sprint(s.Ports[0].Target) {
			problems = append(problems, fmt.Sprintf("%s does not publish its port for this machine only: %v", name, s.Ports))
		}
		if _, reachable := s.Networks["outside"]; !reachable {
			problems = append(problems, name+" is only on internal networks, on which ports cannot be published")
		}
	}
	return problems
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
	if _, set := s.Environment["PRINCIPAL_SECRET_FILE"]; !set && s.Name != "web" {
		c.problem("%s does not have PRINCIPAL_SECRET_FILE", s.Name)
	}
}

// secrets checks that each secret is in a file of the container, and none in its environment or its command.
func (c *composition) secrets(s types.ServiceConfig) {
	files := map[string]bool{}
	for _, f := range s.Secrets {
		files["/run/secrets/"+f.Source] = false
		if !strings.HasPrefix(c.project.Secrets[f.Source].File, "/shop/secrets/") {
			c.problem("the secret %s is not in a file of the folder secrets", f.Source)
		}
	}
	for variable, value := range s.Environment {
		name, isFile := strings.CutSuffix(variable, "_FILE")
		file := deref(value)
		switch _, has := files[file]; {
		case isFile && !has:
			c.problem("%s does not have the secret that %s names", s.Name, variable)
		case isFile:
			files[file] = true
		case private.MatchString(name) && !passwordless.MatchString(file):
			c.problem("%s: the secret %s is not in a file", s.Name, variable)
		}
	}
	shell := strings.Join(s.Command, " ")
	for file, read := range files {
		if !read && !strings.Contains(shell, "$(cat "+file+")") {
			c.problem("%s does not read its secret %s", s.Name, file)
		}
	}
}

// passwordless matches an address without a password, and nothing.
var passwordless = regexp.MustCompile(`^([a-z]+://([a-z]+@)?[a-z0-9.-]+(:\d+)?(/[^@]*)?)?$`)

// network checks that only the gateway and the web client can be reached, and that brokers and databases have profiles.
func (c *composition) network(s types.ServiceConfig) {
	public := slices.Contains([]string{"gateway", "web"}, s.Name)
	for _, p := range s.Ports {
		if !public {
			c.problem("%s publishes its port %d", s.Name, p.Target)
		}
	}
	if own := slices.Equal(s.Profiles, []string{s.Name}); own == (s.Build != nil) {
		c.problem("%s has the profiles %q", s.Name, s.Profiles)
	}
	for name := range s.Networks {
		if outside := !c.project.Networks[name].Internal; outside && !public && s.Name != "notifications" {
			c.problem("%s is on the network %s, which is not internal", s.Name, name)
		}
	}
}

// address checks that an address is that of a service on a common network.
func (c *composition) address(s types.ServiceConfig, variable, host, port string) {
	other, known := c.project.Services[host]
	if !known || deref(cmp.Or(other.Environment["MS_PORT"], other.Environment["PORT"])) != port {
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
