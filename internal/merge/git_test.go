package merge

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// git merges with git merge-file.
func git(t *testing.T, dir string, base, ours, theirs []byte) (text []byte, conflicts int) {
	t.Helper()
	for name, data := range map[string][]byte{"base": base, "ours": ours, "theirs": theirs} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "git", "merge-file", "-p", "-L", "yours", "-L", "base", "-L", "msctl", "ours", "base", "theirs")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() < 128 {
		return out, exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out, 0
}

// generator writes random texts.
type generator struct {
	*rand.Rand
	words  int  // the number of different lines; 0 makes every line unique
	plain  bool // whether all lines end in \n
	serial int
}

func (g *generator) line() string {
	if g.words > 0 {
		return []string{"", "}", "\treturn nil", "a", "b", "c", "d", "e"}[g.IntN(min(g.words, 8))] + "\n"
	}
	g.serial++
	return fmt.Sprintf("line %d\n", g.serial)
}

func (g *generator) text(n int) []string {
	var out []string
	for range n {
		out = append(out, g.line())
	}
	return out
}

// edit returns a text with random changes.
func (g *generator) edit(text []string) []string {
	var out []string
	rate := []float64{0, 0.02, 0.1, 0.3}[g.IntN(4)]
	for _, line := range text {
		if g.Float64() >= rate {
			out = append(out, line)
			continue
		}
		switch g.IntN(3) {
		case 0: // deleted
		case 1:
			out = append(out, g.line())
		default:
			out = append(append(out, g.text(1+g.IntN(3))...), line)
		}
	}
	if g.Float64() < rate {
		out = append(out, g.text(1)...)
	}
	return out
}

// bytes joins the lines, sometimes with \r\n, and sometimes without a newline at the end.
func (g *generator) bytes(text []string) []byte {
	out := strings.Join(text, "")
	if g.IntN(8) == 0 {
		out = strings.TrimSuffix(out, "\n")
	}
	if g.IntN(8) == 0 {
		out = strings.ReplaceAll(out, "\n", "\r\n")
	}
	return []byte(out)
}

// versions returns a base and two edited versions, which sometimes share changes.
func (g *generator) versions() (base, ours, theirs []byte) {
	text := g.text(g.IntN(30))
	a, b := g.edit(text), g.edit(text)
	if g.IntN(3) == 0 {
		shared := g.edit(text)
		a, b = g.edit(shared), g.edit(shared)
	}
	if g.plain || g.IntN(4) > 0 {
		return []byte(strings.Join(text, "")), []byte(strings.Join(a, "")), []byte(strings.Join(b, ""))
	}
	return g.bytes(text), g.bytes(a), g.bytes(b)
}

// batch joins the texts of many cases to one, with lines between them that keep the cases
// apart, since a git process for each would take minutes.
func (g *generator) batch(cases int) (base, ours, theirs []byte) {
	for i := range cases {
		a, b, c := g.versions()
		apart := fmt.Appendf(nil, "case %[1]d\n%[1]d begins\n%[1]d is\n%[1]d a case\n%[1]d of many\n", i)
		base, ours, theirs = append(append(base, apart...), a...), append(append(ours, apart...), b...), append(append(theirs, apart...), c...)
	}
	return base, ours, theirs
}

// TestLikeGit compares thousands of merges with those of git. Where no line occurs twice,
// they are equal. Otherwise, changes can be described in several ways, so that a few differ.
func TestLikeGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	labels := Labels{"yours", "msctl"}
	for _, test := range []struct {
		name           string
		words          int
		count, batched int
		differs        float64 // the greatest part that may differ
	}{
		{"unique lines, large texts", 0, 50, 100, 0}, {"unique lines", 0, 200, 1, 0},
		{"eight lines", 8, 100, 1, 0.15}, {"three lines", 3, 100, 1, 0.25},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			g := &generator{Rand: rand.New(rand.NewPCG(1, uint64(test.words))), words: test.words, plain: test.batched > 1}
			differ := 0
			for range test.count {
				base, ours, theirs := g.versions()
				if test.batched > 1 {
					base, ours, theirs = g.batch(test.batched)
				}
				got := Text(base, ours, theirs, labels)
				want, conflicts := git(t, dir, base, ours, theirs)
				if bytes.Equal(got.Text, want) && min(len(got.Conflicts), 127) == conflicts { // git counts to 127
					continue
				}
				if differ++; test.differs == 0 {
					t.Fatalf("base %q\nours %q\ntheirs %q\n%d conflicts, git has %d:\n%s", base, ours, theirs, len(got.Conflicts), conflicts, cmp.Diff(string(want), string(got.Text)))
				}
			}
			if float64(differ) > test.differs*float64(test.count) {
				t.Errorf("%d of %d differ from git", differ, test.count)
			}
		})
	}
}
