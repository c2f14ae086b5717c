package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/msctl/msctl/internal/test/testenv"
)

// The peers of other libraries, which internal/dev/peers contains: a module of its own, so that msctl's modules do not require them.
const (
	grpcGo        = "grpc-go"
	connectJSON   = "connect-go, JSON"
	connectBinary = "connect-go, binary"
	natsMicro     = "NATS micro"
)

// kindOf returns the name of a peer in internal/dev/peers; "" for another peer.
func kindOf(who string) string {
	return map[string]string{grpcGo: "grpc", connectJSON: "connect-json", connectBinary: "connect-binary", natsMicro: "nats"}[who]
}

// buildPeers builds internal/dev/peers once, and returns the program, or why it cannot be built.
var buildPeers = sync.OnceValues(func() (program, reason string) {
	dir := filepath.Join(testenv.Root(), "internal", "dev", "peers")
	program = filepath.Join(testenv.Root(), ".cache", "peers")
	if reason := buildIn(dir, program, ".", "GOWORK=off"); reason != "" {
		return "", "grpc-go, connect-go, and NATS micro cannot be built: " + reason
	}
	return program, ""
})

// buildIn builds a package of the module in a folder, with further environment variables, and returns why it cannot be built.
func buildIn(dir, program, pkg string, env ...string) (reason string) {
	cmd := exec.Command("go", "build", "-o", program, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	text, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	if words := strings.Fields(string(text)); len(words) > 0 {
		return string(shorten([]byte(strings.Join(words, " "))))
	}
	return err.Error()
}

// echoBuffer is the size of the reads of echoUnread.
const echoBuffer = 32 << 10

// echoUnread sends back what arrives on each connection until ctx ends. It neither splits nor reads frames: what remains is the cost of the
// sockets, which every server has. It calls ready with the address when it is listening. Its connections end with ctx.
func echoUnread(ctx context.Context, addr string, ready func(addr string)) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	ready(l.Addr().String())
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		conns.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			// The wrappers hide splice, with which the bytes would not even reach this process.
			_, _ = io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{conn}, make([]byte, echoBuffer))
		})
	}
}
