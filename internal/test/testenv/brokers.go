package testenv

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Redis returns a Redis for this test: a private one from the installed redis-server, with further lines of redis.conf,
// or, when MSCTL_TEST_REDIS_URL is set and no line is asked for, that one. Channels are global to a Redis, so the test
// has that one for itself until it ends, also before other processes.
//
// In the lines {port} stands for the broker's port. A password that they set is not part of the URL.
func Redis(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	return exclusive(tb, &redisKind, config)
}

// PrivateRedis is Redis that is always private, for tests that kill it.
func PrivateRedis(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	return private(tb, &redisKind, config)
}

// NATS returns a NATS server for this test: a private one from the installed nats-server, with further lines of its
// configuration file, or, when MSCTL_TEST_NATS_URL is set and no line is asked for, that one. Subjects are global to a
// NATS server, so the test has that one for itself until it ends, also before other processes.
//
// In the lines {port} stands for the broker's port. A user or token that they ask for is not part of the URL.
func NATS(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	return exclusive(tb, &natsKind, config)
}

// PrivateNATS is NATS that is always private, for tests that kill it.
func PrivateNATS(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	return private(tb, &natsKind, config)
}

// RabbitMQ returns a RabbitMQ: the one of MSCTL_TEST_AMQP_URL, as `make test` sets it, which other tests use at the same
// time (so queues and exchanges want names of Unique), or a private one from the installed rabbitmq-server. That takes
// some seconds to start. With further lines of rabbitmq.conf it is always private; in them {port} stands for its port.
func RabbitMQ(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	if raw := os.Getenv(rabbitKind.urlEnv); raw != "" && len(config) == 0 {
		return sharedBroker(tb, &rabbitKind, raw)
	}
	return private(tb, &rabbitKind, config)
}

// PrivateRabbitMQ is RabbitMQ that is always private, for tests that kill it.
func PrivateRabbitMQ(tb testing.TB, config ...string) *Broker {
	tb.Helper()
	return private(tb, &rabbitKind, config)
}

// StartRabbitMQ starts a RabbitMQ that is no test's own, and returns it with the function that ends it and removes what
// it kept. Tests want RabbitMQ.
func StartRabbitMQ() (broker *Broker, end func(), err error) { return startAlone(&rabbitKind) }

// StartRedis starts a Redis as StartRabbitMQ a RabbitMQ.
func StartRedis() (broker *Broker, end func(), err error) { return startAlone(&redisKind) }

// StartNATS starts a NATS server as StartRabbitMQ a RabbitMQ.
func StartNATS() (broker *Broker, end func(), err error) { return startAlone(&natsKind) }

func startAlone(kind *brokerKind) (broker *Broker, end func(), err error) {
	b, err := startBroker(kind, nil)
	if err != nil {
		return nil, nil, err
	}
	return b, b.close, nil
}

// notInName is what a name may not have that is a queue, an exchange, a channel and a subject.
var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// Unique returns a name for a queue, exchange, channel or subject of this test alone, which tells whose it is.
func Unique(tb testing.TB, name string) string {
	tb.Helper()
	return notInName.ReplaceAllString(name+"-"+tb.Name(), "_") + "-" + strings.ToLower(rand.Text()[:10])
}

// exclusive returns the broker of the environment when there is one, as the only one who uses it, or a private one.
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

// private starts a broker that ends with the test.
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
func RabbitMQMissing() string {
	if _, err := rabbitKind.find(); err != nil {
		return err.Error()
	}
	return ""
}

// NeedRabbitMQ skips the test when rabbitmq-server is not installed, or fails it when MSCTL_TEST_BROKERS is "required".
func NeedRabbitMQ(tb testing.TB) {
	tb.Helper()
	needBroker(tb, &rabbitKind)
}

// needBroker skips the test when the broker is not installed, or fails it when MSCTL_TEST_BROKERS is "required".
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

// findServer returns a function that looks for an executable: as it is when it is a path, else in PATH and in the
// folders that the PATH of a user who is not root may lack.
func findServer(candidates ...string) func() (string, error) {
	return func() (string, error) {
		for _, candidate := range candidates {
			if path, err := exec.LookPath(candidate); err == nil {
				return path, nil
			}
		}
		name := candidates[len(candidates)-1]
		return "", fmt.Errorf("%s is not installed: make test-tools installs it", name)
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

// rabbitKind starts RabbitMQ as a program of the user who runs the test. The scripts of /usr/lib are asked for first:
// Debian's in /usr/sbin insist on the user rabbitmq.
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
		return errors.Join(b.writeConfig(lines...), os.WriteFile(b.path("plugins"), []byte("[].\n"), 0o600))
	},
	command: rabbitCommand,
}

// rabbitArgs let the node have one scheduler that never spins: the machine is the tests'.
const rabbitArgs = "-noinput -sname rabbit@localhost +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"

// erlangFlags make a node that talks AMQP only: it is named, as it must be, but does not listen for other nodes, so it
// needs no distribution port and no epmd.
//
// Subtle: they go by the environment, since RabbitMQ looks once a minute whether there is an epmd and starts another
// Erlang to start one, on all addresses. ERL_EPMD_PORT is one where nobody listens, so that the node does not enrol with
// an epmd of somebody else's.
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
		"RABBITMQ_ALLOW_INPUT=1", // the script becomes the node, and is no shell around it
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+rabbitArgs,
		"RABBITMQ_CONFIG_FILE="+b.path("config"),
		"RABBITMQ_CONF_ENV_FILE="+b.path("no-environment"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+b.path("no-advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+b.path("plugins"),
		"RABBITMQ_MNESIA_BASE="+b.path("data"),
		"RABBITMQ_LOG_BASE="+b.path("log"),
		"RABBITMQ_LOGS=-",
		"RABBITMQ_PID_FILE="+b.path("pid"),
	)
	return cmd
}
