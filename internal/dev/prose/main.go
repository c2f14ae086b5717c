// Command prose checks the text in the repository for phrases to avoid.
//
// It reads everything written for people in the files that git tracks:
// documentation, templates, scripts, and the comments and string literals of
// Go files. Each finding is printed as
//
//	path:line:column: "phrase": use REPLACEMENT
//
// and the exit code is 1 when there is any. With paths as arguments, only the
// files below them are checked. With -count, a table of phrases and how often
// each was found is printed instead.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"text/tabwriter"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("prose", flag.ContinueOnError)
	flags.SetOutput(stderr)
	count := flags.Bool("count", false, "print how often each phrase was found")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	found, err := checkTracked(flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, "prose:", err)
		return 1
	}
	if *count {
		printCounts(stdout, found)
		return 0
	}
	for _, f := range found {
		fmt.Fprintf(stdout, "%s:%d:%d: %q: use %s\n", f.path, f.line, f.column, f.text, f.rule.use)
	}
	if len(found) > 0 {
		fmt.Fprintf(stderr, "prose: %d phrases to replace\n", len(found))
		return 1
	}
	return 0
}

// checkTracked checks the files that git tracks at or below the paths, or all
// of them below the working directory when there are no paths.
func checkTracked(paths []string) ([]finding, error) {
	out, err := exec.Command("git", append([]string{"ls-files", "-z", "--"}, paths...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var found []finding
	for name := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		path := string(name)
		extract := extractorFor(path)
		if extract == nil {
			continue
		}
		src, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, but still in the index
		}
		if err != nil {
			return nil, err
		}
		found = append(found, check(path, src, extract(src))...)
	}
	return found, nil
}

func printCounts(w io.Writer, found []finding) {
	counts := map[string]int{}
	for _, r := range rules {
		counts[r.avoid] = 0
	}
	for _, f := range found {
		counts[f.rule.avoid]++
	}
	phrases := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, phrase := range phrases {
		fmt.Fprintf(table, "%s\t%d\n", phrase, counts[phrase])
	}
	fmt.Fprintf(table, "total\t%d\n", len(found))
	_ = table.Flush()
}
