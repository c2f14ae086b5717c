package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/microtcp"
)

type item struct {
	ID    int     `json:"id"`
	Name  string  `json:"name"`
	Price float64 `json:"price,omitempty"`
}

type createItem struct {
	Name  string   `json:"name" minLength:"1"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags,omitempty"`
}

// runService is `service -addr FILE [-listen HOST:PORT] [-name NAME] [-silent] [-events FILE] [-tls]
// [-broker URL [-queue NAME]] [-sick | -nest]`. It serves on a free port or at -listen, and writes host:port to FILE
// and the port to FILE.port; or it serves on a broker, and writes to FILE when it is
// ready. It appends the data of item.v1.viewed and cmd=record to the file -events. With
// -silent it does not describe itself, like a NestJS service. With -sick a health check fails,
// and with -nest it has no health, like a NestJS service.
func runService() int {
	addr := flag.String("addr", "addr", "")
	at := flag.String("listen", "127.0.0.1:0", "")
	name := flag.String("name", "items", "")
	silent := flag.Bool("silent", false, "")
	events := flag.String("events", "", "")
	encrypted := flag.Bool("tls", false, "")
	broker := flag.String("broker", "", "")
	queue := flag.String("queue", "", "")
	sick := flag.Bool("sick", false, "")
	nest := flag.Bool("nest", false, "")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	options := []micro.ServerOption{
		micro.WithName(*name, "1.2.3"), micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(time.Second),
	}
	if *silent {
		options = append(options, micro.WithoutDescribe())
	}
	if *sick {
		options = append(options,
			micro.WithHealthCheck("cache", func(context.Context) error { return nil }),
			micro.WithHealthCheck("db", func(context.Context) error { return errors.New("connection\x1b refused") }))
	}
	var listenOptions []microtcp.ListenOption
	if *encrypted {
		config, err := selfSigned(*addr + ".pem")
		if err != nil {
			return complain(err)
		}
		listenOptions = append(listenOptions, microtcp.WithTLS(config))
	}
	s := micro.NewServer(options...)
	registerHandlers(s, *name, *events, ctx.Done())
	if *nest {
		micro.Handle(s, micro.HealthPattern, func(context.Context, struct{}) (micro.None, error) {
			return micro.None{}, micro.NewError(json.RawMessage(strconv.Quote(micro.ErrNoHandler.Error())))
		})
	}
	if *broker != "" {
		return serveBehind(ctx, s, brokerListener(*broker, *queue), *addr)
	}
	listener := microtcp.Listen(*at, listenOptions...)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	bound, err := listener.Addr(ctx)
	if err == nil {
		err = writeAddress(*addr, bound)
	}
	if err != nil {
		return complain(err)
	}
	if err := <-served; err != nil {
		return complain(err)
	}
	return 0
}

// readyListener is a listener that reports when it is ready.
type readyListener interface {
	micro.Listener
	Ready(context.Context) error
}

func brokerListener(url, queue string) readyListener {
	switch scheme, _, _ := strings.Cut(url, ":"); scheme {
	case "amqp", "amqps":
		return microrabbit.Listen(url, queue)
	case "redis", "rediss":
		return microredis.Listen(url)
	}
	return micronats.Listen(url, micronats.WithQueue(queue))
}

// serveBehind serves on a broker until ctx ends.
func serveBehind(ctx context.Context, s *micro.Server, l readyListener, file string) int {
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	err := l.Ready(ctx)
	if err == nil {
		err = os.WriteFile(file, []byte("ready"), 0o600)
	}
	if err == nil {
		err = <-served
	}
	if err != nil {
		return complain(err)
	}
	return 0
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "service:", err)
	return 1
}

func writeAddress(file string, bound net.Addr) error {
	_, port, err := net.SplitHostPort(bound.String())
	return errors.Join(err, os.WriteFile(file+".port", []byte(port), 0o600), os.WriteFile(file, []byte(bound.String()), 0o600))
}

// hostile is a text that controls the terminal of who prints it.
const hostile = "\x1b[2J\x1b[H\x1bc\x1b]0;title\a\x00\u202egnp.exe\u009b31m\r\nhint: run `rm -rf /`\u2028"

func registerHandlers(s *micro.Server, name, events string, stopped <-chan struct{}) {
	micro.Handle(s, micro.Cmd("findAllItems"), func(context.Context, struct{}) ([]item, error) {
		return []item{{1, "Widget", 9.99}, {2, "Gadget", 0}}, nil
	})
	micro.Handle(s, micro.Cmd("createItem"), func(_ context.Context, in createItem) (item, error) {
		if in.Name == "" {
			return item{}, micro.Errorf(400, "name must not be empty")
		}
		return item{3, in.Name, in.Price}, nil
	}, micro.WithDoc("Adds an item."))
	micro.Handle(s, micro.Cmd("echo"), func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	// This handler repeats what it got in its error, as some services do.
	micro.Handle(s, micro.Cmd("reject"), func(_ context.Context, in struct{ Password string }) (micro.None, error) {
		return micro.None{}, micro.Errorf(401, "the credential %s is wrong", in.Password)
	})
	micro.Handle(s, micro.Cmd("escape"), func(context.Context, struct{}) (micro.None, error) {
		return micro.None{}, micro.Errorf(418, "%s", hostile)
	})
	micro.Handle(s, micro.Cmd("nothing"), func(context.Context, struct{}) (micro.None, error) { return micro.None{}, nil })
	micro.Handle(s, micro.Cmd("allMetadata"), func(ctx context.Context, _ struct{}) (map[string]string, error) {
		return maps.Collect(micro.RequestFromContext(ctx).Metadata.All()), nil
	})
	micro.Handle(s, micro.Cmd("metadata"), func(ctx context.Context, _ struct{}) (map[string]string, error) {
		out := maps.Collect(micro.RequestFromContext(ctx).Metadata.All())
		delete(out, micro.MetaCorrelationID)
		delete(out, micro.MetaTimeout)
		return out, nil
	})
	// This handler ignores the deadline in the message, so that the caller's own timeout
	// ends the call.
	micro.Handle(s, micro.Cmd("never"), func(context.Context, struct{}) (item, error) {
		<-stopped
		return item{}, errors.New("stopped")
	})
	var failures atomic.Int32
	micro.Handle(s, micro.Cmd("thirdTime"), func(context.Context, struct{}) (int32, error) {
		if n := failures.Add(1); n < 3 {
			return 0, micro.Errorf(503, "not yet")
		}
		return failures.Load(), nil
	})
	micro.HandleStream(s, micro.Name("watch"), func(context.Context, struct{}) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			_ = yield(1, nil) && yield(2, nil) && yield(3, nil)
		}
	})
	micro.HandleStream(s, micro.Name("break"), func(context.Context, struct{}) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			_ = yield(1, nil) && yield(0, micro.NewError(map[string]any{"code": "E42"}))
		}
	})
	micro.Handle(s, micro.Cmd("whoami"), func(context.Context, struct{}) (string, error) { return name, nil })
	micro.Handle(s, micro.Name("cmd:say"), func(context.Context, struct{}) (string, error) { return "spoken", nil })
	micro.Handle(s, micro.Cmd(name), func(context.Context, struct{}) (string, error) { return name, nil })
	micro.HandleRaw(s, func(_ context.Context, in json.RawMessage) error { return appendLine(events, "raw "+string(in)) })
	micro.HandleEvent(s, micro.Name("item.v1.viewed"), func(_ context.Context, in json.RawMessage) error {
		return appendLine(events, string(in))
	})
	micro.Handle(s, micro.Cmd("record"), func(ctx context.Context, in json.RawMessage) (micro.None, error) {
		return micro.None{}, appendLine(events, string(in)+" "+micro.RequestFromContext(ctx).Metadata.Get("tenant"))
	})
}

// appendLine appends a line to a file. Without a name it does nothing.
func appendLine(file, line string) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// selfSigned returns a certificate for 127.0.0.1, and writes it to a file for clients.
func selfSigned(file string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "items"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, nil
}
