// Package kit is the service that both programs of the test workspace run.
package kit

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// Answer is the reply to "who".
type Answer struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Pid     int    `json:"pid"`
}

// Run serves on MS_HOST:MS_PORT until it receives SIGTERM. NEEDS names the variable with
// the address of a service that must be ready; "hold" replies when a file exists.
func Run(name string, version int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Println(name, "starts")
	s := micro.NewServer(micro.WithName(name, "1"), micro.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	micro.Handle(s, micro.Name("who"), func(context.Context, micro.None) (Answer, error) {
		return Answer{name, version, os.Getpid()}, nil
	})
	micro.Handle(s, micro.Name("hold"), func(ctx context.Context, release string) (Answer, error) {
		fmt.Println(name, "holds a call")
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := os.Stat(release); err == nil {
				return Answer{name, version, os.Getpid()}, nil
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return Answer{}, ctx.Err()
			}
		}
	})
	micro.Handle(s, micro.Name("env"), func(_ context.Context, key string) (string, error) { return os.Getenv(key), nil })
	micro.HandleEvent(s, micro.Name("crash"), func(context.Context, micro.None) error {
		fmt.Fprint(os.Stderr, name, " crashes")
		os.Exit(3)
		return nil
	})
	if peer := os.Getenv("NEEDS"); peer != "" {
		c := micro.NewClient(microtcp.Dial(strings.TrimPrefix(os.Getenv(peer), "tcp://")))
		if _, err := micro.Call[Answer](ctx, c, micro.Name("who"), nil); err != nil {
			fmt.Println("the required service does not answer:", err)
			os.Exit(4)
		}
		_ = c.Close()
	}
	if err := s.Serve(ctx, microtcp.Listen(os.Getenv("MS_HOST")+":"+os.Getenv("MS_PORT"))); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(name, "has drained")
}
