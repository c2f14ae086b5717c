package deploy

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// trusted is a public key for agents.
const trusted = "UBF22N3ZRJDWPBKKTBJK5QDWYLISV74YUMUDAFEY2XV5E2NWFA2T67LO"

// agentTarget is where the agents may send load.
const agentTarget = "items.shop.svc:3002"

// manifest returns what `msctl bench agent --print` prints.
func manifest(t *testing.T, kind string, args ...string) string {
	t.Helper()
	msctl(t, t.TempDir(), "version") // builds it
	command := append([]string{"bench", "agent", "--print", kind, "--trust", trusted, "--allow", agentTarget, "--agents", "3"}, args...)
	out, err := exec.CommandContext(t.Context(), binary, command...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestAgentManifests decodes the manifests for agents strictly and checks their pods.
func TestAgentManifests(t *testing.T) {
	for name, c := range map[string]struct {
		kind  string
		args  []string
		kinds []string
	}{
		"run":        {"kubernetes", nil, []string{"Deployment", "Job"}},
		"run server": {"kubernetes", []string{"--nats", "nats://@nats.infra.svc"}, []string{"Job"}},
		"pool":       {"kubernetes-pool", []string{"--pool", "blue"}, []string{"Deployment", "Deployment"}},
	} {
		t.Run(name, func(t *testing.T) {
			all, problems := decode(split(manifest(t, c.kind, c.args...)))
			var kinds []string
			for _, w := range all.workloads {
				kinds = append(kinds, w.kind)
				pod := w.pod()
				for _, container := range pod.Containers {
					if !container.Resources.Limits.Cpu().Equal(*container.Resources.Requests.Cpu()) || container.Resources.Limits.Cpu().MilliValue()%1000 != 0 {
						problems = append(problems, w.name+" does not have whole CPUs")
					}
					if r := container.SecurityContext.ReadOnlyRootFilesystem; r == nil || !*r {
						problems = append(problems, w.name+" can write to its root")
					}
				}
				if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
					problems = append(problems, w.name+" has a token of the API server")
				}
			}
			for _, p := range append(problems, all.restricted()...) {
				t.Error(p)
			}
			if slices.Sort(kinds); !slices.Equal(kinds, c.kinds) {
				t.Errorf("the workloads are %v, not %v", kinds, c.kinds)
			}
		})
	}
}

// TestAgentCompose reads the compose file for agents with the library of docker compose.
func TestAgentCompose(t *testing.T) {
	environment := map[string]string{"MSCTL_NATS_PASSWORD": "token"}
	for _, args := range [][]string{nil, {"--nats", "nats://@nats.example:4222"}} {
		project, err := loadCompose(t.Context(), environment, "*", manifest(t, "compose", args...))
		if err != nil {
			t.Fatal(err)
		}
		agent := project.Services["agent"]
		if agent.Deploy == nil || agent.Deploy.Replicas == nil || *agent.Deploy.Replicas != 3 || !agent.ReadOnly {
			t.Errorf("the agents are %+v", agent)
		}
		if _, server := project.Services["nats"]; server != (args == nil) {
			t.Errorf("with %v, the file has a server: %t", args, server)
		}
		if content := project.Configs["nats"].Content; args == nil && !strings.Contains(content, "token: $NATS_TOKEN") {
			t.Errorf("the server's configuration is %q", content)
		}
	}
}
