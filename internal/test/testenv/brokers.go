package testenv

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Redis returns a Redis for this test. It starts a private one from the installed redis-server, with the given lines
// added to redis.conf. If MSCTL_TEST_REDIS_URL is set and there are no lines, it returns that one. Since the channels of a
// Redis are global, the test then has it exclusively until it ends, across processes.
//
// In the lines, {port} is replaced by the broker's port. The URL does not contain a password that they set.
func Redis(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	return exclusive(tb, &redisKind, config)
}

// PrivateRedis is like Redis, but always starts a private one, for tests that kill it.
func PrivateRedis(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	return private(tb, &redisKind, config)
}

// Sentinel starts a Redis Sentinel that knows a master by the name shop, and replaces it by a replica if it is gone for a second.
func Sentinel(tb testing.TB, master *Broker) *Broker {
	tb.Helper()
	return private(tb, &sentinelKind, []string{
		fmt.Sprintf("sentinel monitor shop 127.0.0.1 %d 1", master.port),
		"sentinel down-after-milliseconds shop 1000",
		"sentinel failover-timeout shop 3000",
	})
}

// NATS returns a NATS server for this test. It starts a private one from the installed nats-server, with the given lines
// added to its configuration. If MSCTL_TEST_NATS_URL is set and there are no lines, it returns that one. Since the
// subjects of a NATS server are global, the test then has it exclusively until it ends, across processes.
//
// In the lines, {port} is replaced by the broker's port. The URL does not contain a user or token that they require.
func NATS(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	return exclusive(tb, &natsKind, config)
}

// PrivateNATS is like NATS, but always starts a private one, for tests that kill it.
func PrivateNATS(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	return private(tb, &natsKind, config)
}

// RabbitMQ returns the RabbitMQ of MSCTL_TEST_AMQP_URL, which `make test` sets. Other tests use it at the same time, so
// the names of queues and exchanges must come from Unique. If the variable is not set, or if there are lines for
// rabbitmq.conf, RabbitMQ starts a private one from the installed rabbitmq-server, which takes seconds. In the lines,
// {port} is replaced by the broker's port.
func RabbitMQ(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	if raw := os.Getenv(rabbitKind.urlEnv); raw != "" && len(config) == 0 {
		return sharedBroker(tb, &rabbitKind, raw)
	}
	return private(tb, &rabbitKind, config)
}

// PrivateRabbitMQ is like RabbitMQ, but always starts a private one, for tests that kill it.
func PrivateRabbitMQ(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	return private(tb, &rabbitKind, config)
}

// StartRabbitMQ starts a RabbitMQ outside of a test, and returns it with a function that stops it and removes its data.
func StartRabbitMQ() (broker *Broker, end func(), err error) { return startAlone(&rabbitKind) }

// StartRedis is StartRabbitMQ for Redis.
func StartRedis() (broker *Broker, end func(), err error) { return startAlone(&redisKind) }

// StartNATS is StartRabbitMQ for NATS.
func StartNATS() (broker *Broker, end func(), err error) { return startAlone(&natsKind) }

func startAlone(kind *brokerKind) (broker *Broker, end func(), err error) {
	b, err := startBroker(kind, nil)
	if err != nil {
		return nil, nil, err
	}
	return b, b.close, nil
}

// notInName matches what a name must not contain to be valid for queues, exchanges, channels, and subjects alike.
var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// Unique returns a name for a queue, exchange, channel, or subject that no other test uses. It contains the test's name.
func Unique(tb testing.TB, name string) string {
	tb.Helper()
	return notInName.ReplaceAllString(name+"-"+tb.Name(), "_") + "-" + strings.ToLower(rand.Text()[:10])
}

// exclusive returns the broker of the environment, locked for this test, or a private one if there is none.
func exclusive(tb testing.TB, kind *brokerKind, config []string) *Broker {
	tb.Helper()
	raw := os.Getenv(kind.urlEnv)
	if raw == "" || len(config) > 0 {
		return private(tb, kind, config)
	}
	unlock, err := lockBetweenProcesses(tb.Context(), raw)
	if err != nil {
		tb.Fatalf("wait for the %s of %s: %v", kind.name, kind.urlEnv, err)
	}
	tb.Cleanup(unlock)
	return sharedBroker(tb, kind, raw)
}

// private starts a broker that is stopped when the test ends.
func private(tb testing.TB, kind *brokerKind, config []string) *Broker {
	tb.Helper()
	needBroker(tb, kind)
	b, err := startBroker(kind, config)
	if err != nil {
		tb.Fatal(err)
	}
	b.tb = tb
	tb.Cleanup(b.close)
	return b
}

// RabbitMQMissing returns why RabbitMQ cannot be started, or "" if it can.
func RabbitMQMissing() string { return rabbitKind.missing() }

// RedisMissing is RabbitMQMissing for Redis.
func RedisMissing() string { return redisKind.missing() }

// NATSMissing is RabbitMQMissing for NATS.
func NATSMissing() string { return natsKind.missing() }

func (k *brokerKind) missing() string {
	if _, err := k.find(); err != nil {
		return err.Error()
	}
	return ""
}

// NeedRabbitMQ skips the test if rabbitmq-server is not installed. It fails the test if MSCTL_TEST_BROKERS is "required".
func NeedRabbitMQ(tb testing.TB) {
	tb.Helper()
	needBroker(tb, &rabbitKind)
}

// NeedRedis is NeedRabbitMQ for Redis.
func NeedRedis(tb testing.TB) {
	tb.Helper()
	needBroker(tb, &redisKind)
}

// needBroker skips or fails the test if the broker is not installed.
func needBroker(tb testing.TB, kind *brokerKind) {
	tb.Helper()
	_, err := kind.find()
	switch {
	case err == nil:
	case os.Getenv("MSCTL_TEST_BROKERS") == "required":
		tb.Fatal(err)
	default:
		tb.Skip(err)
	}
}

// findServer returns a function that finds the first of the executables that exists. A name without a slash is looked up
// in PATH. The others are paths in folders that the PATH of an ordinary user may lack.
func findServer(candidates ...string) func() (string, error) {
	return func() (string, error) {
		for _, candidate := range candidates {
			if path, err := exec.LookPath(candidate); err == nil {
				return path, nil
			}
		}
		name := candidates[len(candidates)-1]
		return "", fmt.Errorf("%s is not installed: run `make test`, which installs it or reports how", name)
	}
}

var redisKind = brokerKind{
	name:   "redis",
	urlEnv: "MSCTL_TEST_REDIS_URL",
	url:    "redis://%s",
	tlsURL: "rediss://%s",
	tls:    "tls-port",
	ready:  "Ready to accept connections",
	find:   findServer("/usr/sbin/redis-server", "redis-server"),
	configure: func(b *Broker) error {
		return b.writeConfig("bind 127.0.0.1", "port {port}", `save ""`, "appendonly no", "daemonize no", "databases 16")
	},
	command: func(b *Broker, path string) *exec.Cmd { return exec.Command(path, b.path("config")) },
}

var sentinelKind = brokerKind{
	name:  "redis-sentinel",
	url:   "redis+sentinel://%s/shop",
	tls:   "tls-port",
	ready: "Sentinel ID is",
	find:  redisKind.find,
	configure: func(b *Broker) error {
		return b.writeConfig("bind 127.0.0.1", "port {port}", "daemonize no")
	},
	command: func(b *Broker, path string) *exec.Cmd { return exec.Command(path, b.path("config"), "--sentinel") },
}

var natsKind = brokerKind{
	name:   "nats",
	urlEnv: "MSCTL_TEST_NATS_URL",
	url:    "nats://%s",
	tlsURL: "tls://%s",
	tls:    "tls",
	ready:  "Server is ready",
	find:   findServer("/usr/sbin/nats-server", "nats-server"),
	configure: func(b *Broker) error {
		return b.writeConfig(`listen: "127.0.0.1:{port}"`)
	},
	command: func(b *Broker, path string) *exec.Cmd { return exec.Command(path, "--config", b.path("config")) },
}

// rabbitKind starts RabbitMQ as the user who runs the test. It prefers the scripts in /usr/lib, because Debian's scripts
// in /usr/sbin require the user rabbitmq.
var rabbitKind = brokerKind{
	name:   "rabbitmq",
	urlEnv: "MSCTL_TEST_AMQP_URL",
	url:    "amqp://guest:guest@%s",
	tlsURL: "amqps://guest:guest@%s",
	tls:    "listeners.ssl",
	ready:  "Server startup complete",
	find:   findServer("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/sbin/rabbitmq-server", "rabbitmq-server"),
	configure: func(b *Broker) error {
		lines := []string{"disk_free_limit.absolute = 1MB", "log.file = false", "log.console = true", "log.console.level = info"}
		if !b.hasTLS() {
			lines = append(lines, "listeners.tcp.1 = 127.0.0.1:{port}")
		}
		return errors.Join(b.writeConfig(lines...), os.WriteFile(b.path("plugins"), []byte("[].\n"), 0o600),
			os.WriteFile(b.path("advanced.config"), []byte(rabbitTracing), 0o600))
	},
	command: rabbitCommand,
}

// rabbitTracing switches tracing on in the default virtual host, for which rabbitmq.conf has no setting. It costs nothing unless
// a test reads what is traced.
const rabbitTracing = `[{rabbit, [{trace_vhosts, [<<"/">>]}]}].` + "\n"

// rabbitArgs gives the node one scheduler that never spins, to leave the CPU to the tests, and makes it check consumer_timeout
// each second instead of each minute, for which rabbitmq.conf has no setting.
const rabbitArgs = "-noinput -sname rabbit@localhost +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -rabbit channel_tick_interval 1000"

// erlangFlags disables everything but AMQP: the node has a name, which it needs, but does not listen for other nodes, so
// it needs neither a distribution port nor epmd.
//
// Subtle: the flags are passed in the environment. Once a minute RabbitMQ looks for epmd and starts a second Erlang to
// start one, on all addresses, and only the environment reaches that one, too. No epmd listens on ERL_EPMD_PORT, so the
// node does not register with the epmd of another program.
const erlangFlags = "-dist_listen false -start_epmd false -erl_epmd_port 1"

func rabbitCommand(b *Broker, path string) *exec.Cmd {
	cmd := exec.Command(path)
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); !strings.HasPrefix(name, "RABBITMQ_") && !strings.HasPrefix(name, "ERL_") && name != "HOME" {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env,
		"HOME="+b.dir, // Erlang's cookie
		"ERL_FLAGS="+erlangFlags,
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"ERL_EPMD_PORT=1",
		"RABBITMQ_NODENAME=rabbit@localhost",
		"RABBITMQ_ALLOW_INPUT=1", // the script execs the node instead of running it as a child
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+rabbitArgs,
		"RABBITMQ_CONFIG_FILE="+b.path("config"),
		"RABBITMQ_CONF_ENV_FILE="+b.path("no-environment"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+b.path("advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+b.path("plugins"),
		"RABBITMQ_MNESIA_BASE="+b.path("data"),
		"RABBITMQ_LOG_BASE="+b.path("log"),
		"RABBITMQ_LOGS=-",
		"RABBITMQ_PID_FILE="+b.path("pid"),
	)
	if parts := linkParts(b.path("parts"), path); parts > 0 {
		cmd.Env = append(cmd.Env, "RABBITMQ_PLUGINS_DIR="+b.path("parts"))
	}
	return cmd
}

// linkParts links the Erlang applications of which RabbitMQ consists, without its optional plugins, in dir, and returns how
// many there are. Erlang looks for each of a thousand modules in all of them, which takes a third of a start's CPU time.
// Whatever is missing is still found in the folder of all plugins, only later.
func linkParts(dir, server string) (parts int) {
	server, err := filepath.EvalSymlinks(server)
	if err != nil || os.MkdirAll(dir, 0o700) != nil {
		return 0
	}
	all, _ := filepath.Glob(filepath.Join(filepath.Dir(server), "..", "plugins", "*-*")) // the pattern is valid
	for _, part := range all {
		name := filepath.Base(part)
		if strings.HasPrefix(name, "rabbitmq_") && !strings.HasPrefix(name, "rabbitmq_prelaunch") {
			continue
		}
		if err := os.Symlink(part, filepath.Join(dir, name)); err == nil || errors.Is(err, fs.ErrExist) { // it exists in a restart
			parts++
		}
	}
	return parts
}
