package proc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
)

// worker is a service of the test workspace behind a broker.
func worker(t workspace.Transport) string {
	return fmt.Sprintf("  w-%s: {path: ./worker, transport: %s, env: {NAME: w-%s, TRANSPORT: %s}}\n", t, t, t, t)
}

// nobody is where the brokers of the test workspace are not.
const nobody = "name: shop\nbrokers: {nats: 'nats://localhost:$7', redis: 'redis://localhost:$8', rabbitmq: 'amqp://localhost:$9'}\nservices:\n"

// withoutVariables keeps what the environment says of brokers from a test.
func withoutVariables(t *testing.T) {
	t.Helper()
	for _, transport := range workspace.Brokers() {
		t.Setenv(transport.Variable(), "")
	}
}

// connect dials a worker through its broker.
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
	c := micro.NewClient(conn, micro.WithTimeout(patience))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// whoBehind asks the worker of a transport who it is.
func whoBehind(t *testing.T, transport workspace.Transport, c *micro.Client) answer {
	t.Helper()
	got, err := micro.Call[answer](t.Context(), c, micro.Name("w-"+string(transport)+".who"), nil)
	if err != nil {
		t.Fatalf("%s: %v", transport, err)
	}
	return got
}

// statusOf asks the run of a session how it is.
func statusOf(t *testing.T, s *session) Status {
	t.Helper()
	runs, err := Runs(t.Context(), s.supervisor.options.Workspace, s.supervisor.options.CacheDir)
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
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

// needBrokers skips a test where the brokers cannot be started, unless they are
// required.
func needBrokers(t *testing.T, transports ...workspace.Transport) {
	t.Helper()
	for _, transport := range transports {
		p := program{dir: t.TempDir()}
		var err error
		switch transport {
		case workspace.Redis:
			err = p.redis(1)
		case workspace.RabbitMQ:
			err = p.rabbit(1)
		}
		switch {
		case err == nil:
		case os.Getenv("MSCTL_TEST_BROKERS") == "required":
			t.Fatal(err)
		default:
			t.Skip(err)
		}
	}
}

// TestOwnBrokers: where no broker answers the run starts its own, before
// everything else, tells everybody where they are, and ends them last.
func TestOwnBrokers(t *testing.T) {
	needBrokers(t, workspace.Brokers()...)
	withoutVariables(t)
	mark := "MSCTL_TEST_MARK=" + rand.Text()
	t.Setenv("MSCTL_TEST_MARK", strings.TrimPrefix(mark, "MSCTL_TEST_MARK="))
	file, ports := shop(t, nobody+worker(workspace.NATS)+worker(workspace.Redis)+worker(workspace.RabbitMQ)+"  items: {path: ./items, port: $1}\n")
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	status := statusOf(t, s)
	var open []int
	for _, transport := range workspace.Brokers() {
		name := string(transport)
		told, _ := s.awaitKind(0, KindBroker, name)
		if want := "no " + transport.Title() + " answers at localhost:"; !strings.HasPrefix(told.Text, want) {
			t.Errorf("%q, want it to begin with %q", told.Text, want)
		}
		_, ready := s.awaitKind(0, KindReady, name)
		s.awaitKind(ready, KindStarting, "w-"+name) // not before
		s.awaitKind(ready, KindStarting, "items")   // nor anybody else
		address := status.Brokers[name]
		if got := status.BrokerOf("w-" + name); got != address {
			t.Errorf("the broker of w-%s is %q, and that of %s %q", name, got, name, address)
		}
		if got := whoBehind(t, transport, connect(t, transport, address)); got.Name != "w-"+name || got.Version != 1 {
			t.Errorf("%s is answered by %+v", name, got)
		}
		if got, err := micro.Call[string](t.Context(), dial(t, ports[0]), micro.Name("env"), transport.Variable()); err != nil || got != address {
			t.Errorf("items has %s=%q (%v), want %q", transport.Variable(), got, err, address)
		}
		open = append(open, portOf(t, address))
	}
	private(t, s.supervisor.options.CacheDir)
	if n := len(s.find(KindWarning, "")); n > 0 {
		t.Errorf("%d warnings", n)
	}
	loopbackOnly(t, mark)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for _, transport := range workspace.Brokers() {
		for _, service := range []string{"w-rabbitmq", "w-redis", "w-nats", "items"} {
			_, stopped := s.awaitKind(0, KindStopped, service)
			s.awaitKind(stopped, KindStopping, string(transport)) // not before
		}
		s.awaitKind(0, KindStopped, string(transport))
	}
	for _, port := range open {
		if !refused(port) {
			t.Errorf("port %d is still open", port)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.supervisor.options.CacheDir, ".run-*")); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
	if n := len(s.find(KindKilled, "")); n > 0 {
		t.Errorf("%d processes had to be killed", n)
	}
	for _, e := range s.find(KindLog, "") {
		if slices.Contains([]string{"rabbitmq", "redis", "nats"}, e.Service) && !e.Quiet {
			t.Errorf("%s is not quiet although all is well: %s", e.Service, e.Text)
		}
	}
}

// private checks that nobody else can read where a run is asked for its brokers,
// nor what these keep.
func private(t *testing.T, cache string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	for _, name := range []string{"", controlFile, "rabbitmq", "redis"} {
		files, err := filepath.Glob(filepath.Join(cache, sessionPrefix+"*", name))
		if err != nil || len(files) != 1 {
			t.Fatalf("%q: %d files, %v", name, len(files), err)
		}
		info, err := os.Stat(files[0])
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", files[0], info.Mode(), err)
		}
	}
}

// TestBrokerThatAnswers: a broker that is there is used, whatever it is called,
// and none is started.
func TestBrokerThatAnswers(t *testing.T) {
	withoutVariables(t)
	there := testenv.NATS(t, `authorization { user: app, password: "s3cret" }`)
	address := strings.Replace(there.URL, "nats://", "nats://app:s3cret@", 1)
	t.Setenv("NATS_URL", address)
	file, _ := shop(t, nobody+worker(workspace.NATS))
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	told, _ := s.awaitKind(0, KindBroker, "")
	want := "uses the NATS at " + strings.Replace(there.URL, "nats://", "nats://app:xxxxx@", 1)
	if told.Text != want {
		t.Errorf("%q, want %q", told.Text, want)
	}
	if got := whoBehind(t, workspace.NATS, connect(t, workspace.NATS, address)); got.Name != "w-nats" {
		t.Errorf("answered by %+v", got)
	}
	status := statusOf(t, s)
	if diff := cmp.Diff(map[string]string{"nats": address}, status.Brokers); diff != "" {
		t.Errorf("brokers (-want +got):\n%s", diff)
	}
	if len(status.Services) != 1 || status.BrokerOf("w-nats") != address {
		t.Errorf("services %+v", status.Services)
	}
	if shown := fmt.Sprintf("%+v", status.Redacted()); strings.Contains(shown, "s3cret") || !strings.Contains(shown, "app:xxxxx@") {
		t.Errorf("redacted: %s", shown)
	}
	if log := s.String(); strings.Contains(log, "s3cret") {
		t.Errorf("the password is told:\n%s", log)
	}
}

// TestNoBroker: a broker that is not there and cannot be started ends the run,
// and so does one on another machine, which is never replaced.
func TestNoBroker(t *testing.T) {
	withoutVariables(t)
	stranger, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	go func() {
		for {
			conn, err := stranger.Accept()
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
		want       BrokerError
	}{
		{"not here", "name: shop\nbrokers: {nats: 'nats://app:s3cret@nobody.invalid:4222'}\nservices:\n" + worker(workspace.NATS), Options{},
			BrokerError{Transport: workspace.NATS, Address: "nats://app:xxxxx@nobody.invalid:4222", From: "brokers"}},
		{"nothing to start", nobody + worker(workspace.NATS), Options{NATS: []string{}},
			BrokerError{Transport: workspace.NATS, Address: "nats://localhost:$7", From: "brokers"}},
		{"a stranger there", "name: shop\nservices:\n" + strings.Replace(worker(workspace.NATS), "{NAME", fmt.Sprintf("{NATS_URL: 'nats://%s', NAME", stranger.Addr()), 1),
			Options{NATS: []string{}}, BrokerError{Transport: workspace.NATS, Address: "nats://" + stranger.Addr().String(), From: "env of w-nats"}},
		{"not installed", nobody + worker(workspace.Redis), Options{},
			BrokerError{Transport: workspace.Redis, Address: "redis://localhost:$8", From: "brokers", Program: "redis-server"}},
		{"no address", "name: shop\nenv: {REDIS_URL: localhost}\nservices:\n" + worker(workspace.Redis), Options{},
			BrokerError{Transport: workspace.Redis, Address: "(invalid URL)", From: "env"}},
	}
	t.Setenv("PATH", "") // no Redis
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, ports := shop(t, tt.yaml)
			for i, port := range ports {
				tt.want.Address = strings.ReplaceAll(tt.want.Address, fmt.Sprintf("$%d", 7+i), fmt.Sprint(port))
			}
			err := runOnce(t, file, tt.o)
			var got *BrokerError
			if !errors.As(err, &got) || got.Err == nil {
				t.Fatalf("error %v, want a *BrokerError", err)
			}
			tt.want.Err = got.Err
			if *got != tt.want || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error %q, %+v, want %+v", err, *got, tt.want)
			}
		})
	}
}

// runOnce runs a workspace that cannot be started.
func runOnce(t *testing.T, file string, o Options) error {
	t.Helper()
	w, err := workspace.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	o.Workspace, o.CacheDir = w, t.TempDir()
	s := New(o)
	result := make(chan error, 1)
	go func() { result <- s.Run(t.Context()) }()
	for range s.Events() { //nolint:revive // what happens does not matter, how it ends does
	}
	return <-result
}

// TestBrokerCrash: a broker of the run that dies is started again where it was,
// and the services go on without being started again. RabbitMQ keeps what is
// durable.
func TestBrokerCrash(t *testing.T) {
	needBrokers(t, workspace.Brokers()...)
	withoutVariables(t)
	file, _ := shop(t, nobody+worker(workspace.NATS)+worker(workspace.Redis)+worker(workspace.RabbitMQ))
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	before := statusOf(t, s)
	for _, transport := range workspace.Brokers() {
		name := string(transport)
		c := connect(t, transport, before.Brokers[name])
		was := whoBehind(t, transport, c)
		ready, next := s.awaitKind(0, KindReady, name)
		var g group
		g.kill(ready.Pid)
		_, next = s.awaitKind(next, KindCrashed, name)
		s.awaitKind(next, KindReady, name)
		if got := awaitBehind(t, transport, c); got != was {
			t.Errorf("%s: %+v answers after the crash of its broker, want %+v", name, got, was)
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

// TestAskedByName: a program that msctl does not build is asked for the health
// of its service's name, if msctl.yaml says that it can be asked.
func TestAskedByName(t *testing.T) {
	withoutVariables(t)
	file, _ := shop(t, nobody+"  command: {command: [$SELF, __command, nats], transport: nats, ready: message}\n"+
		"  other: {command: [$SELF, __command, nats], transport: nats, ready: message}\n")
	s := start(t, file, Options{NoWatch: true, Services: []string{"command"}})
	s.awaitKind(0, KindReady, "command")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	err := runOnce(t, file, Options{NATS: []string{self(t), "__nats"}, Services: []string{"other"}, ReadyTimeout: 2 * time.Second})
	var failed *StartError
	if !errors.As(err, &failed) || failed.Service != "other" || !strings.Contains(failed.Reason, "did not become ready in 2s") {
		t.Errorf("one that has another name: %v", err)
	}
}

// awaitBehind asks until the worker is back at its broker.
func awaitBehind(t *testing.T, transport workspace.Transport, c *micro.Client) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got answer
	err := awaitAnswer(ctx, askFunc(func(ctx context.Context) (err error) {
		got, err = micro.Call[answer](ctx, c, micro.Name("w-"+string(transport)+".who"), nil)
		return err
	}))
	if err != nil {
		t.Fatalf("%s: %v", transport, err)
	}
	return got
}

type askFunc func(context.Context) error

func (f askFunc) ask(ctx context.Context) error { return f(ctx) }
func (askFunc) close()                          {}
