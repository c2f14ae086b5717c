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

// Broker is a message broker for one test. A private one may be killed, started again, paused and stopped by its test;
// one that others use too refuses that by failing the test. Its methods may be used from several goroutines.
type Broker struct {
	URL  string // amqp://guest:guest@127.0.0.1:PORT, redis://127.0.0.1:PORT or nats://127.0.0.1:PORT; with TLS amqps, rediss or tls
	Addr string // host:port

	tb     testing.TB // of a test; nil otherwise
	kind   *brokerKind
	shared bool
	dir    string // what the broker keeps; removed at the end
	port   int
	config []string
	log    *brokerLog
	guard  *guard // removes processes and dir when this process dies

	mu   sync.Mutex // guards proc, and holds one of start, kill and stop at a time
	proc *brokerProcess
}

// brokerKind is what one kind of broker has of its own.
type brokerKind struct {
	name      string
	urlEnv    string // the variable with the URL of one that runs already
	url       string // the URL of a private one, with %s for its address
	tlsURL    string // the same with TLS
	tls       string // how the line of a configuration begins that asks for TLS
	ready     string // what its log says when it takes connections
	find      func() (string, error)
	configure func(b *Broker) error
	command   func(b *Broker, path string) *exec.Cmd
}

// brokerProcess is one run of a broker.
type brokerProcess struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when it and all that wrote to its log have ended
}

// The time a broker may take until it is ready, and until it has stopped when asked to. They are long because the race
// detector, several test binaries and two cores share the machine.
const (
	brokerStartLimit = 90 * time.Second
	brokerStopLimit  = 20 * time.Second
)

// errInUse: another process took the port between the choice and the start.
var errInUse = errors.New("the port is in use")

// startBroker starts a broker of its own on a free port of 127.0.0.1 in a directory of its own, and returns when it is
// ready.
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
	port, err := quietPort()
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

// hasTLS reports whether the lines of the test ask for TLS.
func (b *Broker) hasTLS() bool {
	for _, line := range b.config {
		if strings.HasPrefix(line, b.kind.tls) {
			return true
		}
	}
	return false
}

// writeConfig writes our lines and the test's, in which {port} stands for the port, and returns the path.
func (b *Broker) writeConfig(lines ...string) error {
	text := strings.Join(append(lines, b.config...), "\n") + "\n"
	text = strings.ReplaceAll(text, "{port}", fmt.Sprint(b.port))
	return os.WriteFile(b.path("config"), []byte(text), 0o600)
}

func (b *Broker) path(name string) string { return filepath.Join(b.dir, name) }

// Start starts a broker that was killed or stopped again, on the same port with the data it kept, and returns when it is
// ready. What RabbitMQ keeps is durable queues and exchanges with the persistent messages in them; Redis and NATS keep
// nothing here.
func (b *Broker) Start() {
	b.refuseIfShared("Start")
	if err := b.start(); err != nil {
		b.fail(err)
	}
}

// start does nothing when the broker runs.
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

// launch starts the process, under the guard.
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
		_ = cmd.Wait() // how it ended is told by its log
		close(proc.gone)
	}()
	return proc, nil
}

// inUse is what the three brokers say when they do not get their port.
var inUse = regexp.MustCompile(`(?i)address already in use|eaddrinuse`)

// awaitReady returns when the log says after its first bytes that the broker is ready.
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
				return fmt.Errorf("it ended: %s", strings.TrimSpace(text))
			}
		case <-limit.C:
			return fmt.Errorf("not ready after %s: %s", brokerStartLimit, strings.TrimSpace(b.log.since(from)))
		}
	}
}

// Kill ends the broker as a crash does, with kill -9 for its whole process group, and returns when it is gone. It does
// nothing when the broker does not run.
func (b *Broker) Kill() {
	b.refuseIfShared("Kill")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(0)
}

// Stop ends the broker as an operator would (SIGTERM, and SIGKILL for one that does not listen to it), and returns when
// it is gone. It keeps its data and may be started again.
func (b *Broker) Stop() {
	b.refuseIfShared("Stop")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(brokerStopLimit)
}

// end ends the process, in peace when there is patience. The caller holds the lock.
func (b *Broker) end(patience time.Duration) {
	if b.proc == nil {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	if patience > 0 {
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

// Pause stops the broker's processes where they are (SIGSTOP): its connections stay open and nothing is answered.
func (b *Broker) Pause() { b.signal("Pause", pauseGroup) }

// Resume lets a paused broker go on.
func (b *Broker) Resume() { b.signal("Resume", resumeGroup) }

func (b *Broker) signal(what string, send func(*exec.Cmd)) {
	b.refuseIfShared(what)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc == nil {
		b.fail(fmt.Errorf("%s %s: it does not run", strings.ToLower(what), b.kind.name))
		return
	}
	send(b.proc.cmd)
}

// Log returns what the broker wrote so far, in all its runs; nothing for one that others use too.
func (b *Broker) Log() string {
	if b.log == nil {
		return ""
	}
	return b.log.since(0)
}

// close ends the broker, removes what it kept and waits until nothing is left of it.
func (b *Broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(0)
	b.guard.close()
}

func (b *Broker) refuseIfShared(what string) {
	if b.shared {
		b.fail(fmt.Errorf("%s: this %s (%s) is used by other tests too: take a private one", what, b.kind.name, b.kind.urlEnv))
	}
}

// fail fails the test; a broker outside a test has nobody else to tell.
func (b *Broker) fail(err error) {
	if b.tb == nil {
		panic(err)
	}
	b.tb.Helper()
	b.tb.Fatal(err)
}

// sharedBroker is one that runs already.
func sharedBroker(tb testing.TB, kind *brokerKind, raw string) *Broker {
	tb.Helper()
	u, err := url.Parse(raw)
	if err != nil || u.Port() == "" {
		tb.Fatalf("%s: want a URL with host and port", kind.urlEnv)
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(tb.Context(), "tcp", u.Host)
	if err != nil {
		tb.Fatalf("the %s of %s does not answer: %v", kind.name, kind.urlEnv, err)
	}
	_ = conn.Close()
	return &Broker{URL: raw, Addr: u.Host, tb: tb, kind: kind, shared: true}
}

// brokerLog is what a broker wrote. It may be used from several goroutines.
type brokerLog struct {
	syncBuffer
	changed chan struct{} // has a value when something was written since it was received from
}

func newBrokerLog() *brokerLog { return &brokerLog{changed: make(chan struct{}, 1)} }

func (l *brokerLog) Write(p []byte) (int, error) {
	n, err := l.syncBuffer.Write(p)
	select {
	case l.changed <- struct{}{}:
	default:
	}
	return n, err
}

func (l *brokerLog) len() int { return len(l.String()) }

// since returns what was written after the first bytes.
func (l *brokerLog) since(from int) string { return l.String()[from:] }
