// Command worker is a service behind the broker that TRANSPORT names, called NAME.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"shop/contracts"
	"shop/kit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	name := os.Getenv("NAME")
	fmt.Println(name, "starts")
	s := micro.NewServer(micro.WithName(name, "1"), micro.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	micro.Handle(s, micro.Name(name+".who"), func(context.Context, micro.None) (kit.Answer, error) {
		return kit.Answer{Name: name, Version: contracts.Version, Pid: os.Getpid()}, nil
	})
	micro.Handle(s, micro.Name(name+".env"), func(_ context.Context, key string) (string, error) { return os.Getenv(key), nil })
	micro.HandleEvent(s, micro.Name(name+".slow"), func(ctx context.Context, ms int) error {
		timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err := s.Serve(ctx, listener(name)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(name, "has drained")
}

func listener(name string) micro.Listener {
	switch os.Getenv("TRANSPORT") {
	case "rabbitmq":
		return microrabbit.Listen(os.Getenv("RABBITMQ_URL"), name, microrabbit.WithNoAck(false), microrabbit.WithPrefetch(8, false))
	case "redis":
		return microredis.Listen(os.Getenv("REDIS_URL"))
	}
	return micronats.Listen(os.Getenv("NATS_URL"), micronats.WithQueue(name))
}
