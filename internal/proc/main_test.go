package proc

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/proc/debug"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microtcp"
)

// TestMain also turns the test binary into the other programs that tests need.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		programs := map[string]func() error{"__guard": guardProgram, "__nats": natsProgram, "__run": runProgram, "__command": commandProgram, debug.TraceableName: traceableProgram}
		if program := programs[os.Args[1]]; program != nil {
			code := 0
			if err := program(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
			os.Exit(code)
		}
	}
	for _, transport := range workspace.Brokers() {
		_ = os.Unsetenv(transport.Variable())
	}
	_ = os.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -ldflags=-w")) // linking takes half the time without debug information
	flag.Parse()
	if !flagIsSet("test.parallel") {
		_ = flag.Set("test.parallel", "4") // the tests mostly wait for other processes
	}
	goleak.VerifyTestMain(m)
}

func flagIsSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func guardProgram() error { return child.RunGuard(os.Stdin) }

func traceableProgram() error { return debug.ExecTraceable(os.Args[2:]) }

func natsProgram() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	port, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	return broker.ServeNATS(ctx, os.Stdout, port)
}

// runProgram is a supervisor for the workspace in os.Args[2]. Tests kill it.
func runProgram() error {
	w, err := workspace.Load(os.Args[2])
	if err != nil {
		return err
	}
	o := Options{Workspace: w, CacheDir: os.Args[3], Guard: []string{os.Args[0], "__guard"}, NATS: []string{os.Args[0], "__nats"}}
	if len(os.Args) > 4 { // debug the service items at this port
		port, err := strconv.Atoi(os.Args[4])
		if err != nil {
			return err
		}
		o.Debug = map[string]int{"items": port}
		if o.Delve, err = debug.FindDelve(context.Background()); err != nil {
			return err
		}
	}
	s := New(o)
	done := make(chan error, 1)
	go func() { done <- s.Run(context.Background()) }()
	for e := range s.Events() {
		fmt.Println(e.Kind, e.Service, e.Text)
	}
	return <-done
}

// commandProgram is a service that opens its port itself. Its arguments change how it
// behaves:
//
//	grandchild  starts a process that ignores SIGTERM
//	mute        never listens
//	stubborn    ignores SIGTERM
//	farewell    calls the service items once before it ends
//	host=HOST   listens at HOST instead of 127.0.0.1
//	nats        serves at NATS_URL, under the name command
//	exit        ends immediately
func commandProgram() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var listener micro.Listener = microtcp.Listen("127.0.0.1:" + os.Getenv("PORT"))
	for _, argument := range os.Args[2:] {
		if host, ok := strings.CutPrefix(argument, "host="); ok {
			listener = microtcp.Listen(net.JoinHostPort(host, os.Getenv("PORT")))
		}
		switch argument {
		case "grandchild":
			if err := exec.Command("sh", "-c", "trap '' TERM; while :; do sleep 5; done").Start(); err != nil {
				return err
			}
		case "mute":
			fmt.Println("not listening")
			<-ctx.Done()
			return nil
		case "stubborn":
			signal.Ignore(syscall.SIGTERM)
		case "nats":
			listener = micronats.Listen(os.Getenv("NATS_URL"))
		case "exit":
			fmt.Print("goodbye")
			return nil
		}
	}
	s := micro.NewServer(micro.WithoutDescribe(), micro.WithName("command", "1"))
	if err := s.Serve(ctx, listener); err != nil || !slices.Contains(os.Args, "farewell") {
		return err
	}
	items := micro.NewClient(microtcp.Dial(strings.TrimPrefix(os.Getenv("ITEMS_URL"), "tcp://")), micro.WithTimeout(testTimeout))
	defer items.Close()
	got, err := micro.Call[answer](context.Background(), items, micro.Name("who"), nil)
	fmt.Println("farewell,", got.Name)
	return err
}
