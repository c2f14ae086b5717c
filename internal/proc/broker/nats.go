package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ServeNATS runs a NATS server on a port of the loopback interface until ctx ends. It
// keeps nothing on disk and writes its log to out. Call it in the process that [Find]
// prepares.
func ServeNATS(ctx context.Context, out io.Writer, port int) error {
	log := &natsLog{out: out, fatal: make(chan struct{})}
	s, err := server.NewServer(&server.Options{
		ServerName: "msctl-run", Host: "127.0.0.1", Port: port, NoSigs: true, NoSystemAccount: true,
	})
	if err != nil {
		return fmt.Errorf("create the NATS server: %w", err)
	}
	s.SetLogger(log, false, false)
	var running sync.WaitGroup
	running.Go(s.Start)
	defer running.Wait()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	select {
	case <-ctx.Done():
		return nil
	case <-log.fatal:
		return errors.New("start the NATS server: " + log.reason)
	}
}

// natsLog writes the server's log, with its usual level marks. It is safe for
// concurrent use.
type natsLog struct {
	mu     sync.Mutex // guards the following fields
	out    io.Writer
	fatal  chan struct{} // closed by the first fatal error
	reason string        // the first fatal error; read it after fatal is closed
}

func (l *natsLog) write(mark, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	_, _ = fmt.Fprintf(l.out, "%s [%s] %s\n", time.Now().Format("15:04:05.000"), mark, line)
	if mark == markFatal && l.reason == "" {
		l.reason = line
		close(l.fatal)
	}
}

const (
	markWarning = "WRN"
	markError   = "ERR"
	markFatal   = "FTL"
)

func (l *natsLog) Noticef(format string, args ...any) { l.write("INF", format, args...) }
func (l *natsLog) Warnf(format string, args ...any)   { l.write(markWarning, format, args...) }
func (l *natsLog) Errorf(format string, args ...any)  { l.write(markError, format, args...) }
func (l *natsLog) Fatalf(format string, args ...any)  { l.write(markFatal, format, args...) }
func (l *natsLog) Debugf(string, ...any)              {}
func (l *natsLog) Tracef(string, ...any)              {}
