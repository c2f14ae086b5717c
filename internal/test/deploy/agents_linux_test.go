package deploy

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/msctl/msctl/internal/test/testenv"
)

// agentToken is what the user sets MSCTL_NATS_PASSWORD to.
const agentToken = "t0123456789abcdef"

// deployed is what a manifest starts: the arguments and the environment of the agents and of the NATS server, whose
// configuration is the contents of a file.
type deployed struct {
	agents              int
	args, env           []string
	serverArgs          []string
	serverEnv           []string
	configPath, content string
	once                bool // whether the agents end after a run
}

// TestAgentProcesses starts the processes of each manifest on this machine, with the same arguments and environment, and
// makes a load test on them.
func TestAgentProcesses(t *testing.T) {
	server, err := exec.LookPath("nats-server")
	if testenv.NATSMissing() != "" || err != nil {
		t.Skip("nats-server is not installed")
	}
	if os.Getenv(binaryEnv) == "" {
		msctl(t, t.TempDir(), "version") // builds it
		t.Setenv(binaryEnv, binary)
	}
	testenv.InNewNetwork(t, func() {
		for _, name := range []string{"nats", "msctl-bench-nats", "items.shop.svc"} {
			testenv.SetHost(t, name, "127.0.0.1")
		}
		msctl(t, t.TempDir(), "version") // finds it
		out, err := exec.CommandContext(t.Context(), binary, "bench", "key").Output()
		if err != nil {
			t.Fatal(err)
		}
		key := filepath.Join(t.TempDir(), "bench.key")
		put(t, key, string(out))
		fields := strings.Fields(string(out))
		public := fields[len(fields)-1]
		spawn(t, nil, binary, "mock", "--listen", agentTarget, "--capacity", "5000/s", "--workers", "8")
		awaitListener(t, agentTarget)
		for _, kind := range []string{"kubernetes", "kubernetes-pool", "compose"} {
			t.Run(kind, func(t *testing.T) {
				text := manifest(t, kind, "--trust", public)
				d := fromKubernetes
				if kind == "compose" {
					d = fromCompose
				}
				runDeployed(t, d(t, text), server, key)
			})
		}
	})
}

// runDeployed starts the processes and makes a load test, or two if the agents wait for more.
func runDeployed(t *testing.T, d deployed, server, key string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "nats.conf")
	put(t, config, d.content)
	for i, arg := range d.serverArgs {
		if arg == d.configPath {
			d.serverArgs[i] = config
		}
	}
	spawn(t, d.serverEnv, server, d.serverArgs...)
	awaitListener(t, "127.0.0.1:4222")
	var agents []*exec.Cmd
	for range d.agents {
		agents = append(agents, spawn(t, d.env, binary, d.args...))
	}
	runs := 2
	if d.once {
		runs = 1
	}
	for range runs {
		cmd := exec.CommandContext(t.Context(), binary, "bench", "cmd=findAllItems", "--to", "tcp://"+agentTarget, "--agents", "3",
			"--nats", "nats://@localhost:4222", "--agents-seed", key, "--requests", "300", "--rate", "300/s", "-o", "json")
		cmd.Env = append(os.Environ(), "MSCTL_NATS_PASSWORD="+agentToken)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("msctl bench: %v\n%s", err, stderr.String())
		}
		var document struct {
			Runs []struct {
				Offered int64            `json:"offered"`
				Agents  []map[string]any `json:"agents"`
			} `json:"runs"`
		}
		if err := json.Unmarshal(out, &document); err != nil {
			t.Fatal(err)
		}
		if len(document.Runs) != 1 || document.Runs[0].Offered != 300 || len(document.Runs[0].Agents) != 3 {
			t.Errorf("the report is %s", out)
		}
	}
	for _, agent := range agents {
		if !d.once {
			_ = agent.Process.Signal(syscall.SIGTERM)
		}
		err := agent.Wait()
		if d.once && err != nil {
			t.Errorf("an agent that is to end after a run: %v", err)
		}
	}
}

// fromKubernetes returns what the manifest of a Job or a Deployment starts.
func fromKubernetes(t *testing.T, text string) (d deployed) {
	t.Helper()
	all, problems := decode(split(text))
	if len(problems) > 0 || len(all.configs) != 1 {
		t.Fatalf("the manifest has the problems %q and %d configurations", problems, len(all.configs))
	}
	for _, w := range all.workloads {
		container := w.pod().Containers[0]
		if w.name == "msctl-bench-agent" {
			d.agents, d.args, d.env = int(*w.replicas), container.Args, environ(t, container.Env)
			continue
		}
		d.serverArgs, d.serverEnv = container.Args, environ(t, container.Env)
		d.configPath, d.content = container.VolumeMounts[0].MountPath+"/nats.conf", all.configs[0].Data["nats.conf"]
	}
	d.once = slices.Contains(d.args, "--once")
	return d
}

// environ returns the environment of a container, whose secrets all have the token.
func environ(t *testing.T, list []corev1.EnvVar) (env []string) {
	t.Helper()
	for _, v := range list {
		if v.ValueFrom == nil || v.ValueFrom.SecretKeyRef == nil || v.ValueFrom.SecretKeyRef.Key != "password" {
			t.Fatalf("the variable %+v does not come from the secret", v)
		}
		env = append(env, v.Name+"="+agentToken)
	}
	return env
}

// fromCompose returns what a compose file starts.
func fromCompose(t *testing.T, text string) deployed {
	t.Helper()
	project, err := loadCompose(t.Context(), map[string]string{"MSCTL_NATS_PASSWORD": agentToken}, "*", text)
	if err != nil {
		t.Fatal(err)
	}
	agent, server := project.Services["agent"], project.Services["nats"]
	variables := func(all map[string]*string) (env []string) {
		for name, value := range all {
			env = append(env, name+"="+*value)
		}
		return env
	}
	return deployed{
		agents: *agent.Deploy.Replicas, args: agent.Command, env: variables(agent.Environment), serverArgs: server.Command, serverEnv: variables(server.Environment),
		configPath: server.Configs[0].Target, content: project.Configs["nats"].Content,
	}
}

// spawn starts a process, with an environment of its own unless env is nil, that ends with the test.
func spawn(t *testing.T, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	if env != nil {
		cmd.Env = env
	}
	log := &testenv.Log{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s %s:\n%s", name, strings.Join(args, " "), log)
		}
	})
	return cmd
}

// awaitListener waits until something listens at an address.
func awaitListener(t *testing.T, address string) {
	t.Helper()
	testenv.Eventually(t, time.Minute, address+" is reachable", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}
