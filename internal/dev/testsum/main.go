// Command testsum reads the JSON events of one or more `go test -json` runs from standard input. It prints one line for
// each package and for each skipped test, the complete output of every failed test, and at the end
//
//	N passed, N failed, N skipped
//
// It exits with 1 if a test or a package failed, and also if no test ran, so that a run that breaks before its first
// test does not count as a success. Other checks can report in the same stream, as a test of a package of their own:
//
//	{"Action":"fail","Package":"make","Test":"lint"}
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
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

// summary counts results. It holds back the output of a test until the test has ended.
type summary struct {
	out                     io.Writer
	held                    map[testKey][]string
	failures                []string
	packages                int
	passed, failed, skipped int
	brokenPackages          int
	failedIn                map[string]int
}

// testKey identifies a test, or with an empty test the package itself.
type testKey struct{ pkg, test string }

func newSummary(out io.Writer) *summary {
	return &summary{out: out, held: map[testKey][]string{}, failedIn: map[string]int{}}
}

// read consumes events until the input ends. It prints a line that is not an event as it is.
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
		fmt.Fprintf(s.out, "skip  %s %s%s\n", e.Package, e.Test, s.skipReason(key))
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

// skipReason returns ": " and what a skipped test gave as its reason, in one line.
func (s *summary) skipReason(key testKey) string {
	for _, text := range s.held[key] {
		if match := logLine.FindStringSubmatch(text); match != nil {
			return ": " + match[1]
		}
	}
	return ""
}

// logLine matches what t.Skip prints.
var logLine = regexp.MustCompile(`^ +[\w.-]+\.go:\d+: (.*)`)

// pkg records the end of one package. A package can fail without a failed test: it does not build, it times out, or its
// TestMain finds a leak.
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
	delete(s.failedIn, e.Package) // the next run of the same package starts at zero
	delete(s.held, key)
}

// showUnfinished prints the output of tests that did not end, which includes panics and timeouts.
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
