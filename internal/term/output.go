package term

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"syscall"

	"github.com/msctl/msctl/internal/term/visible"
)

// output is one of the two output streams. The first error ends the printing: all later
// writes return it. It is safe for concurrent use.
type output struct {
	name string
	to   io.Writer

	mu  sync.Mutex // guards err
	err error      // a *PrintError
}

// newOutput returns an output. On a terminal, it passes on no control sequences but
// colors.
func newOutput(name string, to io.Writer, tty bool) *output {
	if tty {
		to = visible.NewWriter(to)
	}
	return &output{name: name, to: to}
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.to.Write(p)
	if err != nil {
		o.err = &PrintError{Stream: o.name, Err: err}
	}
	return n, o.err
}

func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// quietly is an output whose errors are of no interest: what is written after one is
// lost.
type quietly struct{ *output }

// Write implements io.Writer.
func (q quietly) Write(p []byte) (int, error) {
	_, _ = q.output.Write(p)
	return len(p), nil
}

// PrintError reports that an output stream does not take any more output.
type PrintError struct {
	Stream string
	Err    error
}

// Error names the stream and the reason.
func (e *PrintError) Error() string { return fmt.Sprintf("write to %s: %v", e.Stream, rootOf(e.Err)) }

// Unwrap returns the reason.
func (e *PrintError) Unwrap() error { return e.Err }

// Closed reports whether the reader has closed the stream, as `head` does when it has
// read enough. Nothing has failed then.
func (e *PrintError) Closed() bool {
	if runtime.GOOS == "windows" { // broken pipe, and pipe being closed
		return errors.Is(e.Err, syscall.Errno(109)) || errors.Is(e.Err, syscall.Errno(232))
	}
	return errors.Is(e.Err, syscall.EPIPE)
}

// rootOf returns the innermost error: "no space left on device".
func rootOf(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// OutError returns the *PrintError that ended the printing of results; nil if there is
// none.
func (s *IO) OutError() error {
	if s.out == nil {
		return nil
	}
	return s.out.failed()
}
