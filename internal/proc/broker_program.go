package proc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// program is how a broker of our own is run: on the loopback interface alone,
// at a port that stays its own when it is started again.
type program struct {
	url   string
	dir   string // where it keeps its data; "" for none
	words []string
	env   []string
	slow  string // how long it takes to start, where that is long
	// worth reports whether a line of its log is worth reading when all is
	// well otherwise.
	worth func(line string) bool
}

// absentError says that a broker's program is not on this machine.
type absentError struct{ program string }

func (e *absentError) Error() string { return e.program + " is not installed" }

// brokerProgram prepares a broker of our own, with its data in a folder of that
// name in the folder of the run.
func (r *run) brokerProgram(t workspace.Transport, session, name string) (program, error) {
	port, err := quietPort()
	if err != nil {
		return program{}, err
	}
	p := program{dir: filepath.Join(session, name), env: os.Environ()}
	switch t {
	case workspace.NATS:
		err = p.nats(r.options.NATS, port)
	case workspace.Redis:
		err = p.redis(port)
	case workspace.RabbitMQ:
		err = p.rabbit(port)
	default:
		err = fmt.Errorf("%s has no broker", t)
	}
	if err != nil {
		return program{}, err
	}
	if p.dir != "" {
		if err := os.MkdirAll(p.dir, 0o700); err != nil {
			return program{}, fmt.Errorf("make the broker's folder: %w", err)
		}
	}
	for file, text := range p.files(port, t) {
		if err := os.WriteFile(filepath.Join(p.dir, file), []byte(text), 0o600); err != nil {
			return program{}, fmt.Errorf("configure the broker: %w", err)
		}
	}
	return p, nil
}

// nats is msctl once more, as a NATS server that keeps nothing.
func (p *program) nats(words []string, port int) error {
	if len(words) == 0 {
		return errors.New("and none can be started here")
	}
	p.url = fmt.Sprintf("nats://127.0.0.1:%d", port)
	p.words = slices.Concat(words, []string{strconv.Itoa(port)})
	p.dir = ""
	p.worth = hasMark("["+markWarning+"]", "["+markError+"]", "["+markFatal+"]")
	return nil
}

func (p *program) redis(port int) error {
	path, err := findProgram("redis-server", "valkey-server")
	if err != nil {
		return err
	}
	p.url = fmt.Sprintf("redis://127.0.0.1:%d", port)
	p.words = []string{path, filepath.Join(p.dir, redisConfig)}
	p.worth = hasMark(" # ") // its mark of a warning
	return nil
}

// rabbit runs RabbitMQ as a program of this user. It neither listens for other
// nodes nor needs epmd, the daemon in which nodes find each other and which
// would outlive it; its schedulers sleep when there is nothing to do.
func (p *program) rabbit(port int) error {
	if runtime.GOOS == "windows" {
		return errors.New("and msctl starts none on Windows")
	}
	// Debian's program in /usr/sbin insists on a user of its own.
	path, err := findProgram("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server",
		"/opt/homebrew/sbin/rabbitmq-server", "/usr/local/sbin/rabbitmq-server")
	if err != nil {
		return err
	}
	const node = "msctl@localhost"
	p.url = fmt.Sprintf("amqp://127.0.0.1:%d", port) // every client is a guest unless told otherwise
	p.words = []string{path}
	p.slow = "some seconds"
	p.env = without(p.env, "RABBITMQ_", "ERL_", "HOME=")
	p.env = append(p.env,
		"HOME="+p.dir, // of Erlang's cookie
		"RABBITMQ_NODENAME="+node,
		"RABBITMQ_ALLOW_INPUT=1", // the script becomes the node, and is no shell around it
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput -sname "+node+" +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
		// Subtle: by the environment, since RabbitMQ looks for epmd once a minute
		// and starts another Erlang to start it, on all addresses; and a port where
		// nobody listens, so that the node does not enrol with somebody else's.
		"ERL_FLAGS=-dist_listen false -start_epmd false -erl_epmd_port 1",
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"ERL_EPMD_PORT=1",
		"RABBITMQ_CONFIG_FILE="+filepath.Join(p.dir, rabbitConfig),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+filepath.Join(p.dir, "advanced.config"),
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(p.dir, "environment"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(p.dir, rabbitPlugins),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(p.dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(p.dir, "log"),
		"RABBITMQ_LOGS=-",
		"RABBITMQ_PID_FILE="+filepath.Join(p.dir, "pid"),
	)
	p.worth = hasMark("[error]", "[critical]", "[alert]", "[emergency]", " alarm ")
	return nil
}

// The files of the brokers' configurations.
const (
	redisConfig   = "redis.conf"
	rabbitConfig  = "rabbitmq.conf"
	rabbitPlugins = "plugins"
)

func (p *program) files(port int, t workspace.Transport) map[string]string {
	switch t {
	case workspace.Redis:
		return map[string]string{redisConfig: fmt.Sprintf("bind 127.0.0.1\nport %d\ndaemonize no\nsave \"\"\nappendonly no\ndir %s\n", port, strconv.Quote(p.dir))}
	case workspace.RabbitMQ:
		return map[string]string{
			rabbitConfig: fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\ndisk_free_limit.absolute = 10MB\n"+
				"log.file = false\nlog.console = true\nlog.console.level = info\n", port),
			rabbitPlugins: "[].\n",
		}
	}
	return nil
}

// findProgram finds the first of the programs that is installed.
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
	return "", &absentError{name}
}

// without leaves out the entries of an environment that begin like one of these.
func without(env []string, prefixes ...string) []string {
	var out []string
	for _, entry := range env {
		drop := false
		for _, prefix := range prefixes {
			drop = drop || strings.HasPrefix(entry, prefix)
		}
		if !drop {
			out = append(out, entry)
		}
	}
	return out
}

// hasMark reports whether a line holds one of the marks.
func hasMark(marks ...string) func(string) bool {
	return func(line string) bool {
		for _, mark := range marks {
			if strings.Contains(line, mark) {
				return true
			}
		}
		return false
	}
}

// quietPort gives a free port of the loopback interface that the system gives
// nobody who asks for any. So it stays free while the broker is started again,
// and no client that dials it meanwhile is connected to itself.
func quietPort() (int, error) {
	const first = 10_000
	end := firstEphemeralPort()
	for range 100 {
		port := first + rand.N(end-first)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // it blocks on nothing
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port from %d to %d: none of 100 is", first, end-1)
}

// firstEphemeralPort is where the ports begin that the system chooses from.
func firstEphemeralPort() int {
	const usual, least = 32_768, 12_000
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range") // Linux; others begin higher
	if err != nil {
		return usual
	}
	var first int
	if _, err := fmt.Sscan(string(text), &first); err != nil || first < least {
		return usual
	}
	return first
}
