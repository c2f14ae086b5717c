package scaffold

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// addRequires adds modules to a go.mod, marked as indirect. An existing requirement
// keeps its place, with the newer of the two versions.
func addRequires(text []byte, modules []module.Version) ([]byte, error) {
	f, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		i := slices.IndexFunc(f.Require, func(r *modfile.Require) bool { return r.Mod.Path == m.Path })
		switch {
		case i < 0:
			f.AddNewRequire(m.Path, m.Version, true)
		case newer(m.Version, f.Require[i].Mod.Version):
			if err := f.AddRequire(m.Path, m.Version); err != nil {
				return nil, err
			}
		}
	}
	f.SortBlocks()
	return f.Format()
}

// mergeSums adds lines to a go.sum, in the order that the go command keeps.
func mergeSums(before, more []byte) []byte {
	lines := strings.Fields(strings.Join([]string{string(before), string(more)}, "\n"))
	var sums [][3]string
	for words := range slices.Chunk(lines, 3) {
		if sum := [3]string(append(words, "", "", "")[:3]); !slices.Contains(sums, sum) {
			sums = append(sums, sum)
		}
	}
	slices.SortStableFunc(sums, func(a, b [3]string) int {
		av, amod := strings.CutSuffix(a[1], "/go.mod")
		bv, bmod := strings.CutSuffix(b[1], "/go.mod")
		switch {
		case a[0] != b[0]:
			return cmp.Compare(a[0], b[0])
		case newer(bv, av):
			return -1
		case newer(av, bv):
			return 1
		case amod == bmod:
			return 0
		case bmod:
			return -1
		}
		return 1
	})
	var out strings.Builder
	for _, sum := range sums {
		fmt.Fprintf(&out, "%s %s %s\n", sum[0], sum[1], sum[2])
	}
	return []byte(out.String())
}

// newer reports whether version a is newer than version b.
func newer(a, b string) bool { return semver.Compare(a, b) > 0 }
