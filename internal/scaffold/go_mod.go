package scaffold

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// addRequires adds modules to the last block of requirements in a go.mod, marked as
// indirect. An existing requirement keeps its line, with the newer of the two
// versions.
func addRequires(text string, modules []module) (string, bool) {
	lines := strings.SplitAfter(text, "\n")
	for _, m := range modules {
		i := slices.IndexFunc(lines, func(line string) bool {
			words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
			return len(words) >= 2 && words[0] == m.Path && strings.HasPrefix(words[1], "v")
		})
		if i >= 0 {
			version := strings.Fields(strings.TrimPrefix(strings.TrimSpace(lines[i]), "require "))[1]
			if newer(m.Version, version) {
				lines[i] = strings.Replace(lines[i], version, m.Version, 1)
			}
			continue
		}
		at, ok := placeInRequires(lines, m.Path)
		if !ok {
			return "", false
		}
		lines = slices.Insert(lines, at, fmt.Sprintf("\t%s %s // indirect\n", m.Path, m.Version))
	}
	return strings.Join(lines, ""), true
}

// placeInRequires returns the place of a module in the last block of requirements, whose
// lines are sorted by name.
func placeInRequires(lines []string, name string) (int, bool) {
	block := -1
	for i, line := range lines {
		if strings.TrimSpace(line) == "require (" {
			block = i
		}
	}
	if block < 0 {
		return 0, false
	}
	for i := block + 1; i < len(lines); i++ {
		words := strings.Fields(lines[i])
		if len(words) > 0 && (words[0] == ")" || !strings.HasPrefix(words[0], "//") && words[0] > name) {
			return i, true
		}
	}
	return 0, false
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

// newer reports whether version a comes after b in the order of semantic
// versions, as far as modules use it.
func newer(a, b string) bool {
	aCore, aPre, aHas := strings.Cut(strings.TrimPrefix(a, "v"), "-")
	bCore, bPre, bHas := strings.Cut(strings.TrimPrefix(b, "v"), "-")
	if c := slices.CompareFunc(strings.Split(aCore, "."), strings.Split(bCore, "."), compareNumbers); c != 0 {
		return c > 0
	}
	if aHas != bHas {
		return bHas // 1.0.0 comes after 1.0.0-rc1
	}
	return slices.CompareFunc(strings.FieldsFunc(aPre, isDot), strings.FieldsFunc(bPre, isDot), comparePre) > 0
}

func isDot(r rune) bool { return r == '.' }

// compareNumbers compares decimal numbers of any length.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// comparePre compares parts of pre-release versions: numbers come before words.
func comparePre(a, b string) int {
	aNumber, bNumber := strings.Trim(a, "0123456789") == "", strings.Trim(b, "0123456789") == ""
	switch {
	case aNumber && bNumber:
		return compareNumbers(a, b)
	case aNumber:
		return -1
	case bNumber:
		return 1
	}
	return cmp.Compare(a, b)
}
