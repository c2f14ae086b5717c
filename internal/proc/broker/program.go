package broker

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// Program is a broker that is started for a run. It listens on the loopback interface
// only, at a port that it keeps when it is restarted.
type Program struct {
	Name  string
	Words []string // the command line
	Dir   string   // its data and working directory; "" if it has no data
	Env   []string

	url  string
	slow bool // it takes seconds to start
	// marks are parts of the lines in its log that report a problem.
	marks []string
	// usual are parts of those that do not: msctl asks RabbitMQ for the queue of a service
	// until the service has declared it.
	usual []string
}

// Worth reports whether a line of the log is worth printing when no problem is known.
func (p *Program) Worth(line string) bool {
	contains := func(part string) bool { return strings.Contains(line, part) }
	return slices.ContainsFunc(p.marks, contains) && !slices.ContainsFunc(p.usual, contains)
}

// notInstalledError reports that a broker's program is not installed.
type notInstalledError struct{ program string }

func (e *notInstalledError) Error() string { return e.program + " is not installed" }

// newProgram prepares a broker, with its data in the folder name below dir. It listens on
// port, or on a free one if that is 0.
func newProgram(t workspace.Transport, natsServer []string, dir, name string, port int) (*Program, error) {
	var err error
	if port == 0 {
		port, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	p := &Program{Name: name, Dir: filepath.Join(dir, name), Env: os.Environ()}
	switch t {
	case workspace.NATS:
		err = p.nats(natsServer, port)
	case workspace.Redis:
		err = p.redis(port)
	case workspace.RabbitMQ:
		err = p.rabbit(port)
	default:
		err = fmt.Errorf("%s has no broker", t)
	}
	if err != nil {
		return nil, err
	}
	if p.Dir != "" {
		if err := os.MkdirAll(p.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("create the broker's folder: %w", err)
		}
	}
	for file, text := range p.files(port, t) {
		if err := os.WriteFile(filepath.Join(p.Dir, file), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("configure the broker: %w", err)
		}
	}
	return p, nil
}

// nats runs another msctl process as a NATS server without persistence.
func (p *Program) nats(words []string, port int) error {
	if len(words) == 0 {
		return errors.New("msctl cannot start one here")
	}
	p.url = fmt.Sprintf("nats://127.0.0.1:%d", port)
	p.Words = slices.Concat(words, []string{strconv.Itoa(port)})
	p.Dir = ""
	p.marks = []string{"[" + markWarning + "]", "[" + markError + "]", "[" + markFatal + "]"}
	return nil
}

func (p *Program) redis(port int) error {
	path, err := findProgram("redis-server", "valkey-server")
	if err != nil {
		return err
	}
	p.url = fmt.Sprintf("redis://127.0.0.1:%d", port)
	p.Words = []string{path, filepath.Join(p.Dir, redisConfig)}
	p.marks = []string{" # "} // how Redis marks a warning
	return nil
}

// rabbit runs RabbitMQ as the current user. It neither listens for other nodes nor
// needs epmd, the daemon that nodes register with, because epmd would outlive it. Its
// schedulers sleep when they are idle.
func (p *Program) rabbit(port int) error {
	if runtime.GOOS == "windows" {
		return errors.New("msctl cannot start one on Windows")
	}
	// Debian's script in /usr/sbin runs only as root or as the user rabbitmq.
	path, err := findProgram("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server",
		"/opt/homebrew/sbin/rabbitmq-server", "/usr/local/sbin/rabbitmq-server")
	if err != nil {
		return err
	}
	const node = "msctl@localhost"
	p.url = fmt.Sprintf("amqp://127.0.0.1:%d", port) // clients log in as guest by default
	p.Words = []string{path}
	p.slow = true
	p.Env = without(p.Env, "RABBITMQ_", "ERL_", "HOME=")
	p.Env = append(p.Env,
		"HOME="+p.Dir, // for Erlang's cookie
		"RABBITMQ_NODENAME="+node,
		"RABBITMQ_ALLOW_INPUT=1", // the script replaces itself with the node, and does not stay as a shell around it
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput -sname "+node+" +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
		// Subtle: these are set in the environment because RabbitMQ looks for epmd once
		// a minute and starts another Erlang process to start it, on all addresses. Port
		// 1 has no listener, so the node cannot register with an unrelated epmd.
		"ERL_FLAGS=-dist_listen false -start_epmd false -erl_epmd_port 1",
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"ERL_EPMD_PORT=1",
		"RABBITMQ_CONFIG_FILE="+filepath.Join(p.Dir, rabbitConfig),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+filepath.Join(p.Dir, rabbitAdvanced),
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(p.Dir, "environment"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(p.Dir, rabbitPlugins),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(p.Dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(p.Dir, "log"),
		"RABBITMQ_LOGS=-",
		"RABBITMQ_PID_FILE="+filepath.Join(p.Dir, "pid"),
	)
	p.marks = []string{"[error]", "[critical]", "[alert]", "[emergency]", " alarm "}
	p.usual = []string{"operation queue.declare caused a channel exception not_found", "Channel error on connection"}
	return nil
}

// The configuration files of the brokers.
const (
	redisConfig    = "redis.conf"
	rabbitConfig   = "rabbitmq.conf"
	rabbitAdvanced = "advanced.config"
	rabbitPlugins  = "plugins"
)

func (p *Program) files(port int, t workspace.Transport) map[string]string {
	switch t {
	case workspace.Redis:
		return map[string]string{redisConfig: fmt.Sprintf("bind 127.0.0.1\nport %d\ndaemonize no\nsave \"\"\nappendonly no\ndir %s\n", port, strconv.Quote(p.Dir))}
	case workspace.RabbitMQ:
		return map[string]string{
			rabbitConfig: fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\ndisk_free_limit.absolute = 10MB\n"+
				"log.file = false\nlog.console = true\nlog.console.level = info\n", port),
			// `msctl tap` reads the copies of messages that tracing makes. Without a reader, they cost nothing.
			rabbitAdvanced: `[{rabbit, [{trace_vhosts, [<<"/">>]}]}].` + "\n",
			rabbitPlugins:  "[].\n",
		}
	}
	return nil
}

// findProgram returns the path of the first program that is installed.
func findProgram(candidates ...string) (string, error) {
	name := ""
	for _, candidate := range candidates {
		path, err := exec.LookPath(candidate)
		if err == nil {
			return filepath.Abs(path)
		}
		if name == "" {
			name = filepath.Base(candidate)
		}
	}
	return "", &notInstalledError{name}
}

// without returns the entries of an environment that do not start with one of the
// prefixes.
func without(env []string, prefixes ...string) []string {
	return slices.DeleteFunc(env, func(entry string) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(entry, prefix) })
	})
}
