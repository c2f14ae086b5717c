package message

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/replay"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// recordedOptions are the flags of `msctl mock` for replies from a recording.
type recordedOptions struct {
	file    string
	service string
	nearest bool
	quick   bool
}

func (o *recordedOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.file, "from", "", "reply as recorded in `FILE` by msctl tap --record")
	f.StringVar(&o.service, "service", "", "with --from: reply only to what `NAME` handled (default: all services of the recording)")
	f.BoolVar(&o.nearest, "nearest", false, "with --from: for data that is not recorded, use the reply to the most similar data, with its IDs replaced")
	f.BoolVar(&o.quick, "quick", false, "with --from: reply at once, instead of after the recorded time")
	command.GroupFlags(cmd, "Recording", "from", "service", "nearest", "quick")
}

// check rejects flags that do not apply together.
func (o *recordedOptions) check(cmd *cobra.Command) error {
	if o.file == "" {
		for _, name := range []string{"service", "nearest", "quick"} {
			if cmd.Flags().Changed(name) {
				return exit.Usagef("--%s requires --from", name)
			}
		}
		return nil
	}
	for _, name := range []string{"answer", "capacity", "workers", "service-time", "queue", "drop-expired", "stall", "seed"} {
		if cmd.Flags().Changed(name) {
			return exit.Usagef("--%s does not apply with --from: replies and their times are as recorded", name)
		}
	}
	return nil
}

// loadRecording reads a recording, and reports what of it cannot be used.
func loadRecording(s *term.IO, name, service string) (*replay.Recording, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, exit.WithHint(exit.Usagef("%v", err), "record one with `msctl tap --record %s`", name)
	}
	defer file.Close()
	r, err := replay.Load(file, service)
	if err != nil {
		return nil, exit.Usagef("%s: %v", name, err)
	}
	if len(r.Exchanges) == 0 {
		what := "a message with a reply"
		if service != "" {
			what = "a message that " + service + " handled"
		}
		return nil, exit.Usagef("%s does not contain %s", name, what)
	}
	if r.Cut > 0 {
		s.Remarkf("%s left out: their data or reply is longer than 16 KiB, which is not recorded in full", term.Count(r.Cut, "message"))
	}
	return r, nil
}

// runRecorded serves a recording until ctx ends or `quit` is entered.
func runRecorded(ctx context.Context, s *term.IO, o mockOptions) error {
	recording, err := loadRecording(s, o.from.file, o.from.service)
	if err != nil {
		return err
	}
	patterns := o.served
	if len(patterns) == 0 {
		patterns = recording.Patterns()
	}
	mock := replay.NewMock(recording, o.from.nearest)
	mock.Quick = o.from.quick
	server := mock.Server("mock", slog.New(&refusals{io: s, at: o.at}), patterns)
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	listener, ready, err := o.listenRecorded(ctx)
	if err != nil {
		return target.Explain(err, o.at)
	}
	ended := make(chan error, 1)
	go func() {
		defer end()
		ended <- server.Serve(serving, listener)
	}()
	at, err := ready(serving)
	if err != nil {
		end()
		if failed := <-ended; failed != nil {
			err = failed
		}
		return exit.InUse(target.Explain(err, o.at))
	}
	s.Notef("%s %s replies as recorded: %s, %s", s.ErrPalette().Good("✓"), at, term.Count(len(recording.Exchanges), "message"), term.Count(len(patterns), "pattern"))
	began := time.Now()
	err = awaitQuit(ctx, s, ended)
	if err == nil {
		end()
		err = <-ended
	}
	stats := mock.Stats()
	fmt.Fprintf(s.Out, "mock ran for %s\n  replied  %8d  as recorded\n  filled   %8d  of these, with the reply to other data\n  unknown  %8d  not in the recording\n",
		term.Duration(time.Since(began)), stats.Replied, stats.Filled, stats.Unknown)
	return target.Explain(err, o.at)
}

// listenRecorded returns the listener of --listen, and a function that waits until it accepts messages and
// returns its address.
func (o *mockOptions) listenRecorded(ctx context.Context) (micro.Listener, func(context.Context) (string, error), error) {
	if o.at.Broker == nil {
		l := microtcp.Listen(o.listen, microtcp.WithListenRetry(0, 0))
		return l, func(ctx context.Context) (string, error) {
			address, err := l.Addr(ctx)
			if err != nil {
				return "", err
			}
			return "tcp://" + address.String(), nil
		}, nil
	}
	if err := target.Probe(ctx, o.at.Addresses); err != nil {
		return nil, nil, err
	}
	l, err := o.tls.Listen(o.at)
	if err != nil {
		return nil, nil, err
	}
	return l, func(ctx context.Context) (string, error) { return o.at.String(), l.Ready(ctx) }, nil
}

// awaitQuit waits until ctx ends, `quit` is entered, or the service fails, and returns the error of that.
func awaitQuit(ctx context.Context, s *term.IO, ended <-chan error) error {
	lines, release := s.Lines()
	defer release()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case line, ok := <-lines:
			if !ok {
				lines = nil // no more input; the mock keeps running
			}
			if line == "quit" {
				return nil
			}
		}
	}
}
