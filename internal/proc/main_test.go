package proc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microtcp"
)

// TestMain also makes this test binary the other programs that tests need.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		programs := map[string]func() error{"__guard": guardProgram, "__nats": natsProgram, "__run": runProgram, "__command": commandProgram}
		if program := programs[os.Args[1]]; program != nil {
			code := 0
			if err := program(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
			os.Exit(code) // here this binary is another program
		}
	}
	goleak.VerifyTestMain(m)
}

func guardProgram() error { return Guard(os.Stdin) }

func natsProgram() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	port, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	return ServeNATS(ctx, os.Stdout, port)
}

// runProgram is a whole supervisor for the workspace in os.Args[2], to be killed.
func runProgram() error {
	w, err := workspace.Load(os.Args[2])
	if err != nil {
		return err
	}
	s := New(Options{Workspace: w, CacheDir: os.Args[3], Guard: []string{os.Args[0], "__guard"}, NATS: []string{os.Args[0], "__nats"}})
	done := make(chan error, 1)
	go func() { done <- s.Run(context.Background()) }()
	for e := range s.Events() {
		fmt.Println(e.Kind, e.Service, e.Text)
	}
	return <-done
}

// commandProgram is a service that opens its port itself. With "grandchild" it
// starts a process that ignores SIGTERM; with "mute" it never listens; with
// "stubborn" it ignores SIGTERM itself; with "farewell" it asks the service items
// once more before it ends; with "nats" it serves at NATS_URL instead, under the
// name command.
func commandProgram() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var listener micro.Listener = microtcp.Listen("127.0.0.1:" + os.Getenv("PORT"))
	for _, what := range os.Args[2:] {
		switch what {
		case "grandchild":
			if err := exec.Command("sh", "-c", "trap '' TERM; while :; do sleep 5; done").Start(); err != nil {
				return err
			}
		case "mute":
			fmt.Println("I say nothing more")
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
	items := micro.NewClient(microtcp.Dial(strings.TrimPrefix(os.Getenv("ITEMS_URL"), "tcp://")), micro.WithTimeout(patience))
	defer items.Close()
	got, err := micro.Call[answer](context.Background(), items, micro.Name("who"), nil)
	fmt.Println("farewell,", got.Name)
	return err
}
