// Command testsum reads the JSON events of `go test -json` on standard input, of one run or of several in a row, and
// prints what a person wants to know: a line for each package, the whole output of every test that failed, and last the
// plain line
//
//	N passed, N failed, N skipped
//
// It exits 1 when a test or a package failed, and also when there was no test at all, so that a run that broke
// before its first test is never taken for a success.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

func main() {
	sum := newSummary(os.Stdout)
	if err := sum.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsum: read test events:", err)
		os.Exit(1)
	}
	if !sum.finish() {
		os.Exit(1)
	}
}

// event is one line of `go test -json`, as `go doc test2json` describes it; build events carry ImportPath instead of
// Package.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// summary counts results and holds back output until it is known whether the test that wrote it failed.
type summary struct {
	out                     io.Writer
	held                    map[testKey][]string
	failures                []string
	packages                int
	passed, failed, skipped int
	brokenPackages          int
	failedIn                map[string]int
}

// testKey names a test; an empty test stands for what the package itself printed.
type testKey struct{ pkg, test string }

func newSummary(out io.Writer) *summary {
	return &summary{out: out, held: map[testKey][]string{}, failedIn: map[string]int{}}
}

// read consumes events until the input ends. A line that is no event is shown as it is.
func (s *summary) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			s.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *summary) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprint(s.out, string(line))
		return
	}
	switch {
	case e.Action == "build-output":
		s.hold(testKey{pkg: e.ImportPath}, e.Output)
	case e.Action == "output":
		s.hold(testKey{e.Package, e.Test}, e.Output)
	case e.Test != "":
		s.test(e)
	case e.Package != "":
		s.pkg(e)
	}
}

func (s *summary) hold(key testKey, text string) {
	s.held[key] = append(s.held[key], text)
}

// test records the end of one test.
func (s *summary) test(e event) {
	key := testKey{e.Package, e.Test}
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped++
		fmt.Fprintf(s.out, "skip  %s %s\n", e.Package, e.Test)
	case "fail":
		s.failed++
		s.failedIn[e.Package]++
		s.failures = append(s.failures, e.Package+" "+e.Test)
		s.show(key)
	default:
		return
	}
	delete(s.held, key)
}

// pkg records the end of one package. A package may fail without a failed test: it did not build, it timed out, or its
// TestMain found a leak.
func (s *summary) pkg(e event) {
	key := testKey{pkg: e.Package}
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.out, "ok    %s %.1fs\n", e.Package, e.Elapsed)
	case "skip":
		fmt.Fprintf(s.out, "-     %s (no tests)\n", e.Package)
	case "fail":
		fmt.Fprintf(s.out, "FAIL  %s %.1fs\n", e.Package, e.Elapsed)
		if s.failedIn[e.Package] == 0 {
			s.brokenPackages++
			s.failures = append(s.failures, e.Package+" (the package itself)")
			s.showUnfinished(e.Package)
			s.show(testKey{pkg: e.FailedBuild})
			s.show(key)
		}
	default:
		return
	}
	s.packages++
	delete(s.failedIn, e.Package) // a second run of the same package starts from nothing
	delete(s.held, key)
}

// showUnfinished prints what tests wrote that never ended, which is where a panic or a time-out tells its story.
func (s *summary) showUnfinished(pkg string) {
	for key := range s.held {
		if key.pkg == pkg && key.test != "" {
			s.show(key)
			delete(s.held, key)
		}
	}
}

func (s *summary) show(key testKey) {
	for _, text := range s.held[key] {
		fmt.Fprint(s.out, text)
	}
}

// finish prints the last lines and reports whether everything passed.
func (s *summary) finish() bool {
	if len(s.failures) > 0 {
		fmt.Fprintln(s.out, "\nfailed:")
		for _, name := range s.failures {
			fmt.Fprintln(s.out, "  "+name)
		}
	}
	failed := s.failed + s.brokenPackages
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.passed, failed, s.skipped)
	return failed == 0 && s.passed > 0
}
