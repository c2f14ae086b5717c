// Package kit is the service both programs of the test workspace are.
package kit

import (
	"context"
	"errors"
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

// Answer is what the pattern "who" is answered with.
type Answer struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Pid     int    `json:"pid"`
}

// Run serves on MS_HOST:MS_PORT until it gets SIGTERM.
func Run(name string, version int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Println(name, "starts")
	s := micro.NewServer(micro.WithName(name, "1"), micro.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	micro.Handle(s, micro.Name("who"), func(context.Context, micro.None) (Answer, error) {
		return Answer{name, version, os.Getpid()}, nil
	})
	micro.Handle(s, micro.Name("slow"), func(ctx context.Context, ms int) (Answer, error) {
		timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
			return Answer{name, version, os.Getpid()}, nil
		case <-ctx.Done():
			return Answer{}, errors.New("was not left in peace")
		}
	})
	micro.Handle(s, micro.Name("env"), func(_ context.Context, key string) (string, error) { return os.Getenv(key), nil })
	micro.HandleEvent(s, micro.Name("crash"), func(context.Context, micro.None) error {
		fmt.Fprint(os.Stderr, name, " has a last word")
		os.Exit(3)
		return nil
	})
	if peer := os.Getenv("NEEDS"); peer != "" {
		c := micro.NewClient(microtcp.Dial(strings.TrimPrefix(os.Getenv(peer), "tcp://")))
		if _, err := micro.Call[Answer](ctx, c, micro.Name("who"), nil); err != nil {
			fmt.Println("the one I need is not there:", err)
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
