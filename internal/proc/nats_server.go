package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ServeNATS is the whole life of the NATS server of a run: it serves on a port
// of the loopback interface until ctx ends, keeps nothing on disk, and writes
// its log to out. msctl calls it in the process that [Options.NATS] starts.
func ServeNATS(ctx context.Context, out io.Writer, port int) error {
	log := &natsLog{out: out, fatal: make(chan struct{})}
	s, err := server.NewServer(&server.Options{
		ServerName: "msctl-run", Host: "127.0.0.1", Port: port, NoSigs: true, NoSystemAccount: true,
	})
	if err != nil {
		return fmt.Errorf("make the NATS server: %w", err)
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
		return errors.New("the NATS server cannot serve: " + log.reason)
	}
}

// natsLog writes the server's log, with the levels' usual marks. It is safe for
// concurrent use.
type natsLog struct {
	mu     sync.Mutex // guards what follows
	out    io.Writer
	fatal  chan struct{} // closed after the first fatal line
	reason string        // of that line; read it after fatal
}

func (l *natsLog) write(mark, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	_, _ = fmt.Fprintf(l.out, "%s [%s] %s\n", time.Now().Format("15:04:05.000"), mark, line) // without a reader nobody misses it
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
