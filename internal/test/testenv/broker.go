package testenv

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Broker is a message broker for one test. The test may kill, stop, start, and pause a private broker. Doing so with a
// shared one fails the test. The methods are safe for concurrent use.
type Broker struct {
	URL  string // amqp://guest:guest@127.0.0.1:PORT, redis://127.0.0.1:PORT, or nats://127.0.0.1:PORT; with TLS amqps, rediss, or tls
	Addr string // host:port

	tb     testing.TB // nil for a broker that was started outside of a test
	kind   *brokerKind
	shared bool
	dir    string // the broker's data; removed at the end
	port   int
	config []string
	log    *brokerLog
	guard  *guard // kills the processes and removes dir when this process dies

	mu   sync.Mutex // guards proc; serializes start, kill, and stop
	proc *brokerProcess
}

// brokerKind describes one kind of broker.
type brokerKind struct {
	name      string
	urlEnv    string // the variable with the URL of a running broker
	url       string // the URL of a private broker, with %s for its address
	tlsURL    string // the same with TLS
	tls       string // prefix of the configuration line that enables TLS
	ready     string // what it logs when it accepts connections
	find      func() (string, error)
	configure func(b *Broker) error
	command   func(b *Broker, path string) *exec.Cmd
}

// brokerProcess is one run of a broker.
type brokerProcess struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process, and every process that writes to its log, has exited
}

// How long a broker may take to start, and to stop after SIGTERM. The limits are long because the machine may be busy with
// other tests.
const (
	brokerStartLimit = 90 * time.Second
	brokerStopLimit  = 20 * time.Second
)

// errInUse reports that another process took the port after it was chosen.
var errInUse = errors.New("the port is in use")

// startBroker starts a broker on a free port of 127.0.0.1, with a temporary directory, and returns when it is ready.
func startBroker(kind *brokerKind, config []string) (*Broker, error) {
	dir, err := os.MkdirTemp("", "msctl-"+kind.name+"-")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", kind.name, err)
	}
	b := &Broker{kind: kind, dir: dir, log: newBrokerLog(), config: config}
	if b.guard, err = newGuard(dir); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start %s: %w", kind.name, err)
	}
	for range 5 {
		if err = b.place(); err == nil {
			err = b.start()
		}
		if !errors.Is(err, errInUse) {
			break
		}
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// place chooses the port and writes the configuration for it.
func (b *Broker) place() error {
	port, err := FreePort()
	if err != nil {
		return err
	}
	b.port, b.Addr = port, fmt.Sprintf("127.0.0.1:%d", port)
	b.URL = fmt.Sprintf(b.kind.url, b.Addr)
	if b.hasTLS() {
		b.URL = fmt.Sprintf(b.kind.tlsURL, b.Addr)
	}
	if err := b.kind.configure(b); err != nil {
		return fmt.Errorf("configure %s: %w", b.kind.name, err)
	}
	return nil
}

// hasTLS reports whether the test's configuration lines enable TLS.
func (b *Broker) hasTLS() bool {
	for _, line := range b.config {
		if strings.HasPrefix(line, b.kind.tls) {
			return true
		}
	}
	return false
}

// writeConfig writes a configuration file with the given lines and the test's. It replaces {port} by the port.
func (b *Broker) writeConfig(lines ...string) error {
	text := strings.Join(append(lines, b.config...), "\n") + "\n"
	text = strings.ReplaceAll(text, "{port}", fmt.Sprint(b.port))
	return os.WriteFile(b.path("config"), []byte(text), 0o600)
}

func (b *Broker) path(name string) string { return filepath.Join(b.dir, name) }

// Start restarts a broker that was killed or stopped, on the same port, and returns when it is ready. RabbitMQ keeps its
// durable queues and exchanges and their persistent messages. Redis and NATS keep nothing.
func (b *Broker) Start() {
	b.refuseIfShared("Start")
	if err := b.start(); err != nil {
		b.fail(err)
	}
}

// start does nothing if the broker is running.
func (b *Broker) start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc != nil {
		return nil
	}
	path, err := b.kind.find()
	if err != nil {
		return fmt.Errorf("start %s: %w", b.kind.name, err)
	}
	from := b.log.len()
	if b.proc, err = b.launch(path); err != nil {
		return fmt.Errorf("start %s: %w", b.kind.name, err)
	}
	if err := b.awaitReady(from); err != nil {
		b.end(0)
		return fmt.Errorf("start %s: %w", b.kind.name, err)
	}
	return nil
}

// launch starts the process under the guard.
func (b *Broker) launch(path string) (*brokerProcess, error) {
	cmd := b.kind.command(b, path)
	cmd.Dir = b.dir
	cmd.Stdout, cmd.Stderr = b.log, b.log
	cmd.WaitDelay = brokerStopLimit
	if err := b.guard.start(cmd); err != nil {
		return nil, err
	}
	proc := &brokerProcess{cmd: cmd, gone: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the log has the reason for a failure
		close(proc.gone)
	}()
	return proc, nil
}

// inUse matches what the three brokers log if their port is taken.
var inUse = regexp.MustCompile(`(?i)address already in use|eaddrinuse`)

// awaitReady waits until the part of the log that begins at an offset reports that the broker is ready.
func (b *Broker) awaitReady(from int) error {
	limit := time.NewTimer(brokerStartLimit)
	defer limit.Stop()
	for {
		text := b.log.since(from)
		if strings.Contains(text, b.kind.ready) {
			return nil
		}
		if inUse.MatchString(text) {
			return fmt.Errorf("%w: %s", errInUse, b.Addr)
		}
		select {
		case <-b.log.changed:
		case <-b.proc.gone:
			if text := b.log.since(from); !inUse.MatchString(text) {
				return fmt.Errorf("the broker exited: %s", strings.TrimSpace(text))
			}
		case <-limit.C:
			return fmt.Errorf("not ready after %s: %s", brokerStartLimit, strings.TrimSpace(b.log.since(from)))
		}
	}
}

// Kill simulates a crash: it kills the broker's process group with SIGKILL and waits for its end. It does nothing if the
// broker is not running.
func (b *Broker) Kill() {
	b.refuseIfShared("Kill")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(0)
}

// Stop terminates the broker with SIGTERM, and after a timeout with SIGKILL, and waits for its end. The broker keeps its
// data and can be started again.
func (b *Broker) Stop() {
	b.refuseIfShared("Stop")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(brokerStopLimit)
}

// end terminates the process, gives it the timeout to exit, and then kills it. With a timeout of 0 it kills the process
// immediately. The caller holds the lock.
func (b *Broker) end(timeout time.Duration) {
	if b.proc == nil {
		return
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	if timeout > 0 {
		terminateGroup(b.proc.cmd)
		resumeGroup(b.proc.cmd)
		select {
		case <-b.proc.gone:
		case <-timer.C:
		}
	}
	killGroup(b.proc.cmd)
	<-b.proc.gone
	b.guard.forget()
	b.proc = nil
}

// Pause suspends the broker's processes (SIGSTOP), and returns when all of their threads have stopped. Its connections stay
// open, and it answers nothing.
func (b *Broker) Pause() {
	b.signal("Pause", func(cmd *exec.Cmd) {
		pauseGroup(cmd)
		if err := awaitGroupStopped(cmd.Process.Pid); err != nil {
			b.fail(fmt.Errorf("pause %s: %w", b.kind.name, err))
		}
	})
}

// Resume continues a paused broker.
func (b *Broker) Resume() { b.signal("Resume", resumeGroup) }

// LameDuck makes a NATS server announce its end. It closes its connections after a while, and exits.
func (b *Broker) LameDuck() { b.signal("LameDuck", lameDuckGroup) }

func (b *Broker) signal(what string, send func(*exec.Cmd)) {
	b.refuseIfShared(what)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc == nil {
		b.fail(fmt.Errorf("%s %s: the broker is not running", strings.ToLower(what), b.kind.name))
		return
	}
	send(b.proc.cmd)
}

// close kills the broker, removes its data, and waits until both are gone.
func (b *Broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(0)
	b.guard.close()
}

func (b *Broker) refuseIfShared(what string) {
	if b.shared {
		b.fail(fmt.Errorf("%s: other tests use this %s (%s), too: use a private one", what, b.kind.name, b.kind.urlEnv))
	}
}

// fail fails the test. For a broker outside of a test it panics.
func (b *Broker) fail(err error) {
	if b.tb == nil {
		panic(err)
	}
	b.tb.Helper()
	b.tb.Fatal(err)
}

// sharedBroker returns the running broker at a URL.
func sharedBroker(tb testing.TB, kind *brokerKind, raw string) *Broker {
	tb.Helper()
	u, err := url.Parse(raw)
	if err != nil || u.Port() == "" {
		tb.Fatalf("invalid %s: must be a URL with a host and a port", kind.urlEnv)
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(tb.Context(), "tcp", u.Host)
	if err != nil {
		tb.Fatalf("connect to the %s of %s: %v", kind.name, kind.urlEnv, err)
	}
	_ = conn.Close()
	return &Broker{URL: raw, Addr: u.Host, tb: tb, kind: kind, shared: true}
}

// brokerLog is the output of a broker. It is safe for concurrent use.
type brokerLog struct {
	Log
	changed chan struct{} // receives a value after a write
}

func newBrokerLog() *brokerLog { return &brokerLog{changed: make(chan struct{}, 1)} }

func (l *brokerLog) Write(p []byte) (int, error) {
	n, err := l.Log.Write(p)
	select {
	case l.changed <- struct{}{}:
	default:
	}
	return n, err
}

func (l *brokerLog) len() int { return len(l.String()) }

// since returns the log from an offset on.
func (l *brokerLog) since(from int) string { return l.String()[from:] }
