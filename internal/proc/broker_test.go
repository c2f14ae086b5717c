package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
)

// worker returns the entry of a service on a broker.
func worker(t workspace.Transport) string {
	return fmt.Sprintf("  w-%s: {path: ./worker, transport: %s, env: {NAME: w-%s, TRANSPORT: %s}}\n", t, t, t, t)
}

// missingBrokers starts an msctl.yaml with addresses at which no brokers are running.
const missingBrokers = "name: shop\nbrokers: {nats: 'nats://localhost:$7', redis: 'redis://localhost:$8', rabbitmq: 'amqp://localhost:$9'}\nservices:\n"

// allWorkers is missingBrokers with a worker on each broker.
func allWorkers() string {
	return missingBrokers + worker(workspace.NATS) + worker(workspace.Redis) + worker(workspace.RabbitMQ)
}

// connect returns a client for the worker on a broker.
func connect(t *testing.T, transport workspace.Transport, address string) *micro.Client {
	t.Helper()
	var conn micro.Conn
	switch transport {
	case workspace.RabbitMQ:
		conn = microrabbit.Dial(address, "w-rabbitmq", microrabbit.WithTopology(microrabbit.Topology{NoDeclare: true}))
	case workspace.Redis:
		conn = microredis.Dial(address)
	default:
		conn = micronats.Dial(address)
	}
	c := micro.NewClient(conn, micro.WithTimeout(testTimeout))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// whoOn calls "who" of the worker on a broker.
func whoOn(t *testing.T, transport workspace.Transport, c *micro.Client) answer {
	t.Helper()
	got, err := micro.Call[answer](t.Context(), c, micro.Name("w-"+string(transport)+".who"), nil)
	if err != nil {
		t.Fatalf("%s: %v", transport, err)
	}
	return got
}

// statusOf returns the status of a session's run.
func statusOf(t *testing.T, s *session) Status {
	t.Helper()
	runs, err := Runs(t.Context(), s.supervisor.options.Workspace, s.supervisor.options.CacheDir)
	if err != nil || len(runs) != 1 {
		t.Fatalf("got %d runs, error %v, want 1", len(runs), err)
	}
	status, err := runs[0].Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	var port int
	if _, err := fmt.Sscan(u.Port(), &port); err != nil {
		t.Fatal(err)
	}
	return port
}

// needBrokers skips a test if a run cannot start these brokers, unless the environment
// requires them. NATS is part of msctl.
func needBrokers(t *testing.T, transports ...workspace.Transport) {
	t.Helper()
	for _, transport := range transports {
		switch transport {
		case workspace.RabbitMQ:
			testenv.NeedRabbitMQ(t)
		case workspace.Redis:
			testenv.NeedRedis(t)
		}
	}
}

// kill kills a process.
func kill(t *testing.T, pid int) {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestMissingBrokers checks that a run starts the brokers that are missing before any
// service, passes their addresses to the services, swaps and restarts services and brokers
// without losing calls, and ends the brokers last. It is one test because RabbitMQ takes
// seconds to start.
func TestMissingBrokers(t *testing.T) {
	t.Parallel()
	needBrokers(t, workspace.Brokers()...)
	file, ports := shop(t, allWorkers()+"  items: {path: ./items, port: $1}\n")
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	checkStartedBrokers(t, s, ports[0])
	if n := len(s.find(KindWarning, "")); n > 0 {
		t.Errorf("%d warnings", n)
	}
	checkPrivate(t, s.supervisor.options.CacheDir)
	loopbackOnly(t, s)
	swapUnderLoadOnBrokers(t, s)
	checkQuiet(t, s, 0)
	crashBrokers(t, s)
	addresses := statusOf(t, s).Brokers
	from := s.now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	checkQuiet(t, s, from)
	checkStoppedBrokers(t, s, addresses)
}

var (
	erlangProcess     = regexp.MustCompile(`<\d+\.\d+\.\d+>`)
	channelSupervisor = regexp.MustCompile(`supervisor: \{(<\d+\.\d+\.\d+>),rabbit_channel_sup_sup\}`)
)

// checkQuiet checks that the lines that brokers have logged since the event from are quiet.
func checkQuiet(t *testing.T, s *session, from int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	// Now and then, RabbitMQ reports an error of its own if a channel ends together with its connection.
	own := map[string]bool{}
	for _, e := range s.events[from:] {
		if found := channelSupervisor.FindStringSubmatch(e.Text); found != nil {
			own[found[1]] = true
		}
	}
	for _, e := range s.events[from:] {
		if e.Kind == KindLog && workspace.Transport(e.Service).Broker() && !e.Quiet && !own[erlangProcess.FindString(e.Text)] {
			t.Errorf("a line of %s is not quiet, although there is no problem: %s", e.Service, e.Text)
		}
	}
}

// checkStartedBrokers checks the order in which brokers and services have started, and that
// the services reach the brokers.
func checkStartedBrokers(t *testing.T, s *session, itemsPort int) {
	t.Helper()
	status := statusOf(t, s)
	for _, transport := range workspace.Brokers() {
		name := string(transport)
		e, _ := s.awaitKind(0, KindBroker, name)
		if want := "no " + transport.Title() + " at localhost:"; !strings.HasPrefix(e.Text, want) {
			t.Errorf("broker event %q, want %q…", e.Text, want)
		}
		_, ready := s.awaitKind(0, KindReady, name)
		s.awaitKind(ready, KindStarting, "w-"+name) // not earlier
		s.awaitKind(ready, KindStarting, "items")
		address := status.Brokers[name]
		if got := status.BrokerOf("w-" + name); got != address {
			t.Errorf("BrokerOf(w-%s) = %q, want %q", name, got, address)
		}
		if got := whoOn(t, transport, connect(t, transport, address)); got.Name != "w-"+name || got.Version != 1 {
			t.Errorf("%+v answers on %s", got, name)
		}
		if got, err := micro.Call[string](t.Context(), dial(t, itemsPort), micro.Name("env"), transport.Variable()); err != nil || got != address {
			t.Errorf("items has %s=%q (error %v), want %q", transport.Variable(), got, err, address)
		}
	}
}

// checkStoppedBrokers checks that the brokers have ended after all services, and that
// nothing is left of them.
func checkStoppedBrokers(t *testing.T, s *session, addresses map[string]string) {
	t.Helper()
	for name, address := range addresses {
		for _, service := range []string{"w-rabbitmq", "w-redis", "w-nats", "items"} {
			stopped := s.find(KindStopped, service)
			last := stopped[len(stopped)-1]
			s.await(0, name+" stops after "+service, func(e Event) bool {
				return e.Kind == KindStopping && e.Service == name && !e.Time.Before(last.Time)
			})
		}
		s.awaitKind(0, KindStopped, name)
		if !refused(portOf(t, address)) {
			t.Errorf("%s still listens at %s", name, address)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.supervisor.options.CacheDir, ".run-*")); len(left) > 0 {
		t.Errorf("folders left in the cache: %v", left)
	}
	if n := len(s.find(KindKilled, "")); n > 0 {
		t.Errorf("%d processes were killed", n)
	}
}

// crashBrokers kills each broker, and checks that it restarts at the same address and that
// its service keeps running. RabbitMQ keeps what is durable.
func crashBrokers(t *testing.T, s *session) {
	t.Helper()
	before := statusOf(t, s)
	for _, transport := range workspace.Brokers() {
		name := string(transport)
		c := connect(t, transport, before.Brokers[name])
		want := whoOn(t, transport, c)
		ready, next := s.awaitKind(0, KindReady, name)
		kill(t, ready.Pid)
		_, next = s.awaitKind(next, KindCrashed, name)
		s.awaitKind(next, KindReady, name)
		if got := awaitOn(t, transport, c); got != want {
			t.Errorf("%+v answers after the crash of %s, want %+v", got, name, want)
		}
	}
	after := statusOf(t, s)
	if diff := cmp.Diff(before.Brokers, after.Brokers); diff != "" {
		t.Errorf("brokers (-before +after):\n%s", diff)
	}
	for _, service := range after.Services {
		if want := map[bool]int{true: 1}[service.RunsBroker]; service.Crashes != want {
			t.Errorf("%s crashed %d times, want %d", service.Name, service.Crashes, want)
		}
	}
}

// checkPrivate checks that only the user can read the control file of a run and the data of
// its brokers.
func checkPrivate(t *testing.T, cache string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	for _, name := range []string{"", controlFile, "rabbitmq", "redis"} {
		files, err := filepath.Glob(filepath.Join(cache, sessionPrefix+"*", name))
		if err != nil || len(files) != 1 {
			t.Fatalf("%q: got %d files, error %v, want 1", name, len(files), err)
		}
		info, err := os.Stat(files[0])
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, error %v", files[0], info.Mode(), err)
		}
	}
}

// TestRunningBroker checks that a run uses a broker that is running, starts none, and does
// not reveal its password.
func TestRunningBroker(t *testing.T) {
	running := testenv.NATS(t, `authorization { user: app, password: "s3cret" }`)
	address := strings.Replace(running.URL, "nats://", "nats://app:s3cret@", 1)
	t.Setenv("NATS_URL", address)
	file, _ := shop(t, missingBrokers+worker(workspace.NATS))
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	e, _ := s.awaitKind(0, KindBroker, "")
	want := "using NATS at " + strings.Replace(running.URL, "nats://", "nats://app:***@", 1)
	if e.Text != want {
		t.Errorf("broker event %q, want %q", e.Text, want)
	}
	if got := whoOn(t, workspace.NATS, connect(t, workspace.NATS, address)); got.Name != "w-nats" {
		t.Errorf("%+v answers, want w-nats", got)
	}
	status := statusOf(t, s)
	if diff := cmp.Diff(map[string]string{"nats": address}, status.Brokers); diff != "" {
		t.Errorf("brokers (-want +got):\n%s", diff)
	}
	if len(status.Services) != 1 || status.BrokerOf("w-nats") != address {
		t.Errorf("status of the services %+v", status.Services)
	}
	if shown := fmt.Sprintf("%+v", status.Redacted()); strings.Contains(shown, "s3cret") || !strings.Contains(shown, "app:***@") {
		t.Errorf("redacted status: %s", shown)
	}
	if log := s.String(); strings.Contains(log, "s3cret") {
		t.Errorf("events contain the password:\n%s", log)
	}
}

// TestUnavailableBroker checks how a run ends if a broker is missing and cannot be started,
// or is on another machine, for which none is started.
func TestUnavailableBroker(t *testing.T) {
	mailServer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mailServer.Close()
	go func() {
		for {
			conn, err := mailServer.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 mail.example.com ESMTP\r\n"))
			_ = conn.Close()
		}
	}()
	tests := []struct {
		name, yaml string
		o          Options
		want       broker.Error
	}{
		{"another machine", "name: shop\nbrokers: {nats: 'nats://app:s3cret@broker.invalid:4222'}\nservices:\n" + worker(workspace.NATS), Options{},
			broker.Error{Transport: workspace.NATS, Address: "nats://app:***@broker.invalid:4222", From: "brokers"}},
		{"cannot start one", missingBrokers + worker(workspace.NATS), Options{NATS: []string{}},
			broker.Error{Transport: workspace.NATS, Address: "nats://localhost:$7", From: "brokers"}},
		{"a different program", "name: shop\nservices:\n" + strings.Replace(worker(workspace.NATS), "{NAME", fmt.Sprintf("{NATS_URL: 'nats://%s', NAME", mailServer.Addr()), 1),
			Options{NATS: []string{}}, broker.Error{Transport: workspace.NATS, Address: "nats://" + mailServer.Addr().String(), From: "env of w-nats"}},
		{"not installed", missingBrokers + worker(workspace.Redis), Options{},
			broker.Error{Transport: workspace.Redis, Address: "redis://localhost:$8", From: "brokers", Program: "redis-server"}},
		{"invalid address", "name: shop\nenv: {REDIS_URL: localhost}\nservices:\n" + worker(workspace.Redis), Options{},
			broker.Error{Transport: workspace.Redis, Address: "(invalid URL)", From: "env"}},
	}
	t.Setenv("PATH", "") // no Redis
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, ports := shop(t, tt.yaml)
			for i, port := range ports {
				tt.want.Address = strings.ReplaceAll(tt.want.Address, fmt.Sprintf("$%d", 7+i), fmt.Sprint(port))
			}
			err := runOnce(t, file, tt.o)
			var got *broker.Error
			if !errors.As(err, &got) || got.Err == nil {
				t.Fatalf("error %v, want a *broker.Error", err)
			}
			tt.want.Err = got.Err
			if *got != tt.want || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error %q, %+v, want %+v", err, *got, tt.want)
			}
		})
	}
}

// TestReadyMessageOfCommand checks that `ready: message` queries the health of a `command:`
// under the name of its service.
func TestReadyMessageOfCommand(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, missingBrokers+"  command: {command: [$SELF, __command, nats], transport: nats, ready: message}\n"+
		"  other: {command: [$SELF, __command, nats], transport: nats, ready: message}\n")
	s := start(t, file, Options{NoWatch: true, Services: []string{"command"}})
	s.awaitKind(0, KindReady, "command")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	err := runOnce(t, file, Options{NATS: []string{self(t), "__nats"}, Services: []string{"other"}, ReadyTimeout: 2 * time.Second})
	var failed *StartError
	if !errors.As(err, &failed) || failed.Service != "other" || !strings.Contains(failed.Reason, "did not become ready in 2s") {
		t.Errorf("a program with a different name: error %v", err)
	}
}

// awaitOn calls "who" until the worker on a broker answers.
func awaitOn(t *testing.T, transport workspace.Transport, c *micro.Client) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	var got answer
	err := poll(ctx, checkFunc(func(ctx context.Context) (err error) {
		got, err = micro.Call[answer](ctx, c, micro.Name("w-"+string(transport)+".who"), nil)
		return err
	}))
	if err != nil {
		t.Fatalf("%s: %v", transport, err)
	}
	return got
}

type checkFunc func(context.Context) error

func (f checkFunc) check(ctx context.Context) error { return f(ctx) }
func (checkFunc) close()                            {}
