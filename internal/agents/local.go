package agents

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/msctl/msctl/internal/proc/child"
)

// ParentVariable is the environment variable with the number of the file descriptor from
// which a local agent reads: it ends when the file does, which is when its parent dies.
const ParentVariable = "MSCTL_BENCH_PARENT_FD"

// Local is a NATS server in this process and agents on this machine.
type Local struct {
	server   *server.Server
	launcher *child.Launcher
	agents   []*child.Process
	ending   atomic.Bool // what the agents write is not of interest
	pipe     *os.File    // that the agents read; closed when this process ends
	// URL is that of the server, whose token is in the environment of the agents and of
	// this process.
	URL    string
	Signer *Signer
}

// startTimeout limits how long the server and the agents take to start.
const startTimeout = 20 * time.Second

// StartLocal starts a NATS server on the loopback interface, with a random port and token,
// and n agents, which end with this process. words is the command line of an agent without
// its flags, and log is called with what the agents write.
func StartLocal(ctx context.Context, n int, words []string, log func(text string)) (_ *Local, err error) {
	token := rand.Text()
	if err := os.Setenv(PasswordVariable, token); err != nil { // where connect finds it
		return nil, fmt.Errorf("set the token: %w", err)
	}
	l := &Local{}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if err := l.serve(token); err != nil {
		return nil, err
	}
	seed, public, err := NewKey()
	if err != nil {
		return nil, err
	}
	if l.Signer, err = NewSigner(seed); err != nil {
		return nil, err
	}
	if l.launcher, err = child.NewLauncher(context.WithoutCancel(ctx), nil, "", func(string, ...any) {}); err != nil {
		return nil, fmt.Errorf("start the agents: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the agents: %w", err)
	}
	defer read.Close()
	l.pipe = write
	for i := range n {
		env := append(os.Environ(), ParentVariable+"=3", "MSCTL_BENCH_AGENT_NAME=local-"+strconv.Itoa(i+1))
		process, err := l.launcher.Start(ctx, child.Command{
			Words: append(append([]string(nil), words...), "--nats", l.URL, "--trust", public, "--allow", Everywhere),
			Env:   env, Files: []*os.File{read},
			Line: func(_, text string) {
				if !l.ending.Load() {
					log(fmt.Sprintf("agent %d: %s", i+1, text))
				}
			},
		})
		if err != nil {
			return nil, fmt.Errorf("start agent %d: %w", i+1, err)
		}
		l.agents = append(l.agents, process)
	}
	return l, nil
}

// serve starts the NATS server.
func (l *Local) serve(token string) error {
	s, err := server.NewServer(&server.Options{
		ServerName: "msctl-bench", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, NoSystemAccount: true, Authorization: token,
	})
	if err != nil {
		return fmt.Errorf("create the NATS server: %w", err)
	}
	l.server = s
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		return errors.New("the NATS server did not start")
	}
	u, err := url.Parse(s.ClientURL())
	if err != nil {
		return fmt.Errorf("start the NATS server: %w", err)
	}
	l.URL = "nats://@" + u.Host
	return nil
}

// Await waits until all agents have connected. The error has the last words of one that
// has ended.
func (l *Local) Await(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for l.server.NumSubscriptions() < uint32(2*len(l.agents)) {
		for i, p := range l.agents {
			select {
			case <-p.Exited:
				return fmt.Errorf("agent %d ended: %s", i+1, strings.Join(p.LastOutput(), "; "))
			default:
			}
		}
		select {
		case <-tick.C:
		case <-limit.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("the agents did not start within %s", startTimeout)
		}
	}
	return nil
}

// Close ends the agents and the server.
func (l *Local) Close() {
	l.ending.Store(true)
	var all sync.WaitGroup
	for _, p := range l.agents {
		all.Go(func() { p.End(time.Second, nil) })
	}
	all.Wait()
	if l.pipe != nil {
		_ = l.pipe.Close()
	}
	if l.launcher != nil {
		l.launcher.Close()
	}
	if l.server != nil {
		l.server.Shutdown()
		l.server.WaitForShutdown()
	}
}
