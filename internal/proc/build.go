package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// BuildError says that a service's program does not build.
type BuildError struct {
	Service string
	// Output is all that the compiler said, without a line end at its end.
	Output string
	Err    error
}

// Error names the service; the compiler's words are in Output.
func (e *BuildError) Error() string { return "service " + e.Service + " does not build" }

// Unwrap gives how the compiler ended.
func (e *BuildError) Unwrap() error { return e.Err }

// built is the result of one build.
type built struct {
	program   string // the file to start
	unchanged bool   // the same program as the last build's
	took      time.Duration
	err       error // context.Canceled when a newer build is wanted
}

// builder builds the Go services of a run, few at a time, because one build
// uses all processors already.
type builder struct {
	run     *run
	dir     string        // of this workspace in the cache, kept from run to run
	session string        // of this run, removed at its end
	slots   chan struct{} // one for each build that may run
	env     []string
}

func newBuilder(r *run, dir, session string) *builder {
	env := os.Environ()
	if os.Getenv("GOEXPERIMENT") == "" {
		env = append(env, "GOEXPERIMENT=jsonv2") // the runtime's codec is faster with it
	}
	return &builder{run: r, dir: dir, session: session, slots: make(chan struct{}, max(1, runtime.NumCPU()/2)), env: env}
}

// acquire waits until a build may run, and returns what lets the next one run.
func (b *builder) acquire(ctx context.Context) (release func(), err error) {
	select {
	case b.slots <- struct{}{}:
		return func() { <-b.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// build builds a service, between acquire and release. before is the program of
// its last build, or "". It ends early with ctx.
func (b *builder) build(ctx context.Context, u *unit, before string) built {
	start := time.Now()
	if err := os.MkdirAll(b.session, 0o755); err != nil { // somebody may have cleared the cache
		return built{err: fmt.Errorf("make the folder of the programs: %w", err)}
	}
	target := filepath.Join(b.dir, u.spec.Name+exeSuffix)
	// Building into the same file every time lets go see that nothing changed.
	// The service runs from a link to it, which go does not touch.
	output, err := b.run.tool(ctx, b.run.work.Dir, b.env, "go", "build", "-trimpath", "-buildvcs=false", "-o", target, packagePath(u.spec.Path))
	if err != nil {
		if ctx.Err() != nil {
			return built{err: ctx.Err()}
		}
		if output.all == "" {
			output.all = err.Error() // no compiler said anything
		}
		return built{err: &BuildError{u.spec.Name, output.all, err}, took: time.Since(start)}
	}
	if before != "" && sameFile(before, target) {
		return built{program: before, unchanged: true, took: time.Since(start)}
	}
	program := filepath.Join(b.session, fmt.Sprintf("%s-%d%s", u.spec.Name, b.run.number.Add(1), exeSuffix))
	if err := link(target, program); err != nil {
		return built{err: fmt.Errorf("keep the program of %s: %w", u.spec.Name, err)}
	}
	return built{program: program, took: time.Since(start)}
}

// packagePath is a folder as go wants it: beginning with "./".
func packagePath(path string) string { return "./" + filepath.ToSlash(filepath.Clean(path)) }

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// link makes another name for a file, or a copy where that is not possible.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// toolOutput is what a tool wrote.
type toolOutput struct {
	out string // on standard output
	all string // on both, in the order in which it came
}

// tool runs a program to its end, in a group like every process of the run, so
// that an interrupted build leaves no compiler behind. It is killed when ctx
// ends or the run does.
func (r *run) tool(ctx context.Context, dir string, env []string, words ...string) (toolOutput, error) {
	path, err := exec.LookPath(words[0])
	if err != nil {
		return toolOutput{}, fmt.Errorf("%s is not installed: %w", words[0], err)
	}
	words[0] = path
	var out, all strings.Builder
	p, err := r.spawn(ctx, command{dir: dir, env: env, words: words, line: func(stream, text string) {
		all.WriteString(text + "\n")
		if stream == StreamOut {
			out.WriteString(text + "\n")
		}
	}})
	if err != nil {
		return toolOutput{}, err
	}
	select {
	case <-p.exited:
		err = p.result
	case <-ctx.Done():
		p.end(0, nil)
		err = ctx.Err()
	}
	return toolOutput{out.String(), strings.TrimRight(all.String(), "\n")}, err
}
