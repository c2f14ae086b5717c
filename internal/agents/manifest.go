package agents

import (
	"cmp"
	"embed"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/template"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/secret"
)

//go:embed manifests
var manifests embed.FS

// Manifest describes agents for a cluster, which WriteTo prints.
type Manifest struct {
	// Kind is one of ManifestKinds.
	Kind string
	// Count is the number of agents, and Image their image, whose entrypoint is msctl.
	Count int
	Image string
	// Agent are the options of the agents. Without a URL of a NATS server, the manifest
	// contains a server.
	Agent AgentOptions
}

// ManifestKinds returns the kinds of manifests.
func ManifestKinds() []string { return []string{"kubernetes", "kubernetes-pool", "compose"} }

// Server is the NATS server of a manifest, as its agents see it.
const (
	kubernetesServer = "nats://@msctl-bench-nats:4222"
	composeServer    = "nats://@nats:4222"
)

// Write prints the manifest. The error is a usage error: the URL contains a password, or an
// option is missing.
func (m *Manifest) Write(w io.Writer) error {
	if err := CheckPublic(m.Agent.Trust); err != nil {
		return err
	}
	if _, err := parseAllow(m.Agent.Allow); err != nil {
		return err
	}
	if secret.URL(m.Agent.NATS) != m.Agent.NATS {
		return exit.WithHint(exit.Usagef("--nats contains a login, which a manifest does not"), "use @host with a token in %s, or creds=FILE or nkey=FILE after the ?", PasswordVariable)
	}
	if len(m.Agent.Allow) == 0 {
		return exit.WithHint(exit.Usagef("--print requires --allow: on the loopback interface, agents find no service"), "name the service: --allow items.shop.svc:3002")
	}
	name, server, pool := "kubernetes.yaml.tmpl", kubernetesServer, m.Kind == "kubernetes-pool"
	if m.Kind == "compose" {
		name, server = "compose.yaml.tmpl", composeServer
	}
	args := []string{"bench", "agent", "--nats", cmp.Or(m.Agent.NATS, server), "--trust", m.Agent.Trust}
	poolFlag := ""
	if m.Agent.Pool != DefaultPool {
		args, poolFlag = append(args, "--pool", m.Agent.Pool), " --pool "+m.Agent.Pool
	}
	for _, allow := range m.Agent.Allow {
		args = append(args, "--allow", allow)
	}
	if m.Kind == "kubernetes" {
		args = append(args, "--once")
	}
	escape := strings.NewReplacer("$", "$$") // which compose would replace
	for i := range args {
		if m.Kind == "compose" {
			args[i] = escape.Replace(args[i])
		}
		args[i] = strconv.Quote(args[i])
	}
	t, err := template.ParseFS(manifests, "manifests/"+name)
	if err != nil {
		return fmt.Errorf("read the template: %w", err)
	}
	err = t.Execute(w, map[string]any{
		"Count": m.Count, "Image": strconv.Quote(m.Image), "Args": args, "Pool": pool, "Server": m.Agent.NATS == "", "NATS": m.Agent.NATS, "PoolFlag": poolFlag,
	})
	if err != nil {
		return fmt.Errorf("print the manifest: %w", err)
	}
	return nil
}

// DefaultPool is the pool of agents without another one.
const DefaultPool = "default"
