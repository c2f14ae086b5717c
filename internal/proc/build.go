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
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/proc/debug"
	"github.com/msctl/msctl/internal/proc/watch"
)

// BuildError reports that the program of a service does not build.
type BuildError struct {
	Service string
	// Output is the compiler's output, without a line end at its end.
	Output string
	Err    error
}

// Error names the service. It does not include Output.
func (e *BuildError) Error() string { return "service " + e.Service + ": build failed" }

// Unwrap returns the error of the go command.
func (e *BuildError) Unwrap() error { return e.Err }

// built is the result of one build.
type built struct {
	program   string // the file to start
	unchanged bool   // it is the program of the last build
	took      time.Duration
	err       error // context.Canceled if a newer build is needed
}

// builder builds the Go services of a run. It limits how many builds run at the same
// time, because a single build already uses all processors.
type builder struct {
	run     *run
	dir     string        // the workspace's folder in the cache, kept between runs
	session string        // the folder of this run
	slots   chan struct{} // one value for each running build
	env     []string
}

func newBuilder(r *run, dir, session string) *builder {
	return &builder{run: r, dir: dir, session: session, slots: make(chan struct{}, max(1, runtime.NumCPU()/2)), env: os.Environ()}
}

// acquire waits until a build may run. The caller calls release when the build is done.
func (b *builder) acquire(ctx context.Context) (release func(), err error) {
	select {
	case b.slots <- struct{}{}:
		return func() { <-b.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// build builds a service. The caller must have acquired a slot. before is the program of
// the last build, or "". Canceling ctx cancels the build.
func (b *builder) build(ctx context.Context, u *unit, before string) built {
	start := time.Now()
	if err := os.MkdirAll(b.session, 0o755); err != nil { // the user may have cleared the cache
		return built{err: fmt.Errorf("create the build folder: %w", err)}
	}
	target := filepath.Join(b.dir, executable(u.spec.Name))
	// Every build writes to the same file, so that go can skip it if nothing has changed.
	// The service runs from a hard link, which go does not overwrite.
	flags := []string{"-trimpath"}
	if u.usesDelve() {
		flags = debug.BuildFlags()
	}
	args := slices.Concat([]string{"build", "-buildvcs=false", "-o", target}, flags, []string{packagePath(u.spec.Path)})
	output, err := b.run.goTool(ctx, b.env, args...)
	if err != nil {
		if ctx.Err() != nil {
			return built{err: ctx.Err()}
		}
		if output.all == "" {
			output.all = err.Error() // go could not be started
		}
		return built{err: &BuildError{u.spec.Name, output.all, err}, took: time.Since(start)}
	}
	if before != "" && sameFile(before, target) {
		return built{program: before, unchanged: true, took: time.Since(start)}
	}
	program := filepath.Join(b.session, executable(fmt.Sprintf("%s-%d", u.spec.Name, b.run.number.Add(1))))
	if err := link(target, program); err != nil {
		return built{err: fmt.Errorf("keep the program of %s: %w", u.spec.Name, err)}
	}
	return built{program: program, took: time.Since(start)}
}

// sourcesOf asks go what a service is built from. It works for a service that does not
// compile, too.
func (b *builder) sourcesOf(ctx context.Context, path string) (watch.Sources, error) {
	output, err := b.run.goTool(ctx, b.env, "list", "-e", "-deps", "-json="+watch.GoListFields, packagePath(path))
	if err != nil {
		return watch.Sources{}, err
	}
	return watch.ParseSources(output.out)
}

// packagePath returns a folder in the form that go requires: starting with "./".
func packagePath(path string) string { return "./" + filepath.ToSlash(filepath.Clean(path)) }

func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// link creates a hard link to a file, or a copy where links are not possible.
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
	out string // to standard output
	all string // to both streams, in order
}

// goTool runs a go command in the workspace. Like every process of the run, it has a
// process group of its own, so that a canceled build leaves no compiler running. It is
// killed when ctx ends.
func (r *run) goTool(ctx context.Context, env []string, args ...string) (toolOutput, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return toolOutput{}, fmt.Errorf("go is not installed: %w", err)
	}
	var out, all strings.Builder
	p, err := r.launcher.Start(ctx, child.Command{Dir: r.work.Dir, Env: env, Words: append([]string{path}, args...), Line: func(stream, text string) {
		all.WriteString(text + "\n")
		if stream == StreamOut {
			out.WriteString(text + "\n")
		}
	}})
	if err != nil {
		return toolOutput{}, err
	}
	select {
	case <-p.Exited:
		err = p.Result()
	case <-ctx.Done():
		p.End(0, nil)
		err = ctx.Err()
	}
	return toolOutput{out.String(), strings.TrimRight(all.String(), "\n")}, err
}
