package merge

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestText(t *testing.T) {
	const base = "one\ntwo\nthree\nfour\nfive\n"
	for _, test := range []struct {
		name, base, ours, theirs, want string
		conflicts                      []int
	}{
		{"unchanged", base, base, base, base, nil},
		{"ours", base, "one\n", base, "one\n", nil},
		{"theirs", base, base, "one\n", "one\n", nil},
		{"both", base, "ONE\ntwo\nthree\nfour\nfive\n", "one\ntwo\nthree\nfour\nFIVE\n", "ONE\ntwo\nthree\nfour\nFIVE\n", nil},
		{"the same", base, "one\nTWO\nthree\nfour\nfive\n", "one\nTWO\nthree\nfour\nfive\nsix\n", "one\nTWO\nthree\nfour\nfive\nsix\n", nil},
		{
			"conflict", base, "one\nTWO\nthree\nfour\nfive\n", "one\n2\nthree\nfour\nfive\n",
			"one\n<<<<<<< yours\nTWO\n=======\n2\n>>>>>>> msctl\nthree\nfour\nfive\n", []int{2},
		},
		{
			"adjacent lines", base, "one\nTWO\nthree\nfour\nfive\n", "one\ntwo\n3\nfour\nfive\n",
			"one\n<<<<<<< yours\nTWO\nthree\n=======\ntwo\n3\n>>>>>>> msctl\nfour\nfive\n", []int{2},
		},
		{
			"removed and changed", base, "one\nthree\nfour\nfive\n", "one\n2\nthree\nfour\nfive\n",
			"one\n<<<<<<< yours\n=======\n2\n>>>>>>> msctl\nthree\nfour\nfive\n", []int{2},
		},
		{"no base", "", "a\nb\n", "a\nc\n", "a\n<<<<<<< yours\nb\n=======\nc\n>>>>>>> msctl\n", []int{2}},
		{"empty", "", "", "", "", nil},
		{"emptied", base, "", base, "", nil},
		{"no newline at the end", "a\nb", "a\nb\nc", "a\nd", "a\n<<<<<<< yours\nb\nc\n=======\nd\n>>>>>>> msctl\n", []int{2}},
		{"windows", "a\r\nb\r\n", "a\r\nc\r\n", "a\r\nd\r\n", "a\r\n<<<<<<< yours\r\nc\r\n=======\r\nd\r\n>>>>>>> msctl\r\n", []int{2}},
		{
			"two conflicts", "a\nb\nc\nd\ne\nf\ng\nh\n", "A\nb\nc\nd\ne\nf\ng\nH\n", "1\nb\nc\nd\ne\nf\ng\n8\n",
			"<<<<<<< yours\nA\n=======\n1\n>>>>>>> msctl\nb\nc\nd\ne\nf\ng\n<<<<<<< yours\nH\n=======\n8\n>>>>>>> msctl\n", []int{1, 12},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Text([]byte(test.base), []byte(test.ours), []byte(test.theirs), Labels{"yours", "msctl"})
			if diff := cmp.Diff(test.want, string(got.Text)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.conflicts, got.Conflicts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNothingIsLost checks for random texts that every line that a version adds is in the
// result, and that versions that agree result in one of them.
func TestNothingIsLost(t *testing.T) {
	for _, words := range []int{0, 3, 8} {
		g := &generator{Rand: rand.New(rand.NewPCG(2, uint64(words))), words: words}
		for range 3000 {
			base, ours, theirs := g.versions()
			for _, one := range [][3][]byte{{base, ours, base}, {base, base, ours}, {base, ours, ours}} {
				if got := Text(one[0], one[1], one[2], Labels{}); string(got.Text) != string(ours) || got.Conflicts != nil {
					t.Fatalf("%q merged to %q", one, got.Text)
				}
			}
			got := Text(base, ours, theirs, Labels{"yours", "msctl"})
			for _, version := range [][]byte{ours, theirs} {
				for _, c := range differences(lines(base), lines(version)) {
					checkContained(t, lines(got.Text), lines(version)[c.b:c.bEnd])
				}
			}
			for _, line := range got.Conflicts {
				if lines(got.Text)[line-1] != "<<<<<<< yours\n" && lines(got.Text)[line-1] != "<<<<<<< yours\r\n" {
					t.Fatalf("no conflict in line %d of %q", line, got.Text)
				}
			}
		}
	}
}

// checkContained checks that a text has all of the lines.
func checkContained(t *testing.T, text, want []string) {
	t.Helper()
	for _, line := range want {
		bare := strings.TrimRight(line, "\r\n")
		if !slices.ContainsFunc(text, func(other string) bool { return strings.TrimRight(other, "\r\n") == bare }) {
			t.Fatalf("%q is not in %q", line, text)
		}
	}
}
