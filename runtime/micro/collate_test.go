package micro

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var timesPairs = flag.Int("pairs", 1, "compare this many times as many random keys with Node.js")

// askNode runs a script in Node.js, which finds input as JSON on its standard
// input, and returns what it prints. The test is skipped where there is none.
func askNode(t *testing.T, script string, input []byte) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs Node.js on the PATH")
	}
	cmd := exec.Command(node, "-e", `const input = JSON.parse(require("fs").readFileSync(0, "utf8"));`+script)
	cmd.Env = append(cmd.Environ(), "LC_ALL=en_US.UTF-8", "LANG=en_US.UTF-8")
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// testedICU is the ICU whose collation the table holds. Other versions know
// other characters, so only ASCII is compared with them.
const testedICU = "78"

func nodeICU(t *testing.T) string {
	major, _, _ := strings.Cut(askNode(t, `console.log(process.versions.icu)`, []byte("0")), ".")
	return major
}

func jsonStrings(list []string) []byte {
	out := []byte{'['}
	for i, s := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendJSONString(out, s)
	}
	return append(out, ']')
}

// comparePairs holds compareKeys of list[0] and list[1], list[2] and list[3]
// and so on to what localeCompare says in Node.js.
func comparePairs(t *testing.T, list []string) {
	t.Helper()
	want := askNode(t, `let s = "";
for (let i = 0; i < input.length; i += 2) s += "<=>"[1 + Math.sign(input[i].localeCompare(input[i + 1]))];
console.log(s);`, jsonStrings(list))
	if len(want) != len(list)/2 {
		t.Fatalf("node compared %d pairs, want %d", len(want), len(list)/2)
	}
	wrong, equal := 0, 0
	for i := range want {
		a, b := list[2*i], list[2*i+1]
		got := "<=>"[1+compareKeys(a, b)]
		if got == '=' && a != b {
			equal++
		}
		if got != want[i] {
			if wrong++; wrong <= 10 {
				t.Errorf("%+q %c %+q, want %c", a, got, b, want[i])
			}
		}
	}
	t.Logf("%d pairs, %d wrong, %d equal but not the same", len(want), wrong, equal)
}

// pairsOf makes pairs of keys of a few characters; the second is often the
// first with a change, so that the lower levels of comparison matter too.
func pairsOf(n int, random *rand.Rand, char func() string) []string {
	n *= *timesPairs
	list := make([]string, 0, 2*n)
	for range n {
		a := make([]string, random.IntN(6))
		for i := range a {
			a[i] = char()
		}
		b := slices.Clone(a)
		for range random.IntN(3) {
			at := random.IntN(len(b) + 1)
			switch {
			case at < len(b) && random.IntN(2) == 0:
				b[at] = char()
			case at < len(b) && random.IntN(3) == 0:
				b = slices.Delete(b, at, at+1)
			default:
				b = slices.Insert(b, at, char())
			}
		}
		if random.IntN(8) == 0 {
			slices.Reverse(b)
		}
		list = append(list, joined(a), joined(b))
	}
	return list
}

// joined concatenates texts, pairing surrogates that come to stand together.
func joined(parts []string) string {
	var out []byte
	for _, p := range parts {
		if r, ok := surrogateAt(p); ok {
			out = appendUnit(out, r)
		} else {
			out = append(out, p...)
		}
	}
	return string(out)
}

func TestCompareKeysASCIIAgainstNode(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	comparePairs(t, pairsOf(60_000, random, func() string { return string(rune(random.IntN(128))) }))
}

func TestCompareKeysAgainstNode(t *testing.T) {
	if icu := nodeICU(t); icu != testedICU {
		t.Skipf("the table is of ICU %s, this Node.js has %s", testedICU, icu)
	}
	pools := charPools()
	random := rand.New(rand.NewPCG(3, 4))
	for _, p := range pools {
		t.Run(p.name, func(t *testing.T) {
			comparePairs(t, pairsOf(p.pairs, random, func() string {
				c := p.chars[random.IntN(len(p.chars))]
				if random.IntN(4) == 0 {
					c = pools[0].chars[random.IntN(len(pools[0].chars))]
				}
				return string(appendUnit(nil, c))
			}))
		})
	}
}

type charPool struct {
	name  string
	pairs int
	chars []rune
}

// charPools lists the characters of the table in several mixtures.
func charPools() []charPool {
	table := collation()
	common := charPool{name: "common", pairs: 10_000, chars: []rune("aAeEsSoO09_-. ·ßæ")}
	all := charPool{name: "all", pairs: 20_000}
	marks := charPool{name: "marks", pairs: 10_000, chars: []rune("aeoиاو")}
	contexts := charPool{name: "contexts", pairs: 8_000}
	europe := charPool{name: "europe", pairs: 10_000}
	for c := rune(0x80); c < 0x20000; c++ {
		if table.entry(c) == 0 && table.decomposed[c] == nil && (c < 0xAC00 || c > 0xD7A3) || c == 0xFDD1 {
			continue
		}
		all.chars = append(all.chars, c)
		if c < 0x700 {
			europe.chars = append(europe.chars, c)
		}
		if table.classes[c] != 0 {
			marks.chars = append(marks.chars, c)
		}
	}
	for c, list := range table.contexts {
		contexts.chars = append(contexts.chars, c)
		for _, context := range list {
			contexts.chars = append(contexts.chars, context.suffix...)
			if context.prefix != 0 {
				contexts.chars = append(contexts.chars, context.prefix)
			}
		}
	}
	slices.Sort(contexts.chars)
	east := charPool{name: "kana, Hangul, ideographs", pairs: 10_000}
	for _, block := range [][2]rune{{0x3040, 0x30FF}, {0x1100, 0x11FF}, {0xAC00, 0xAD00}, {0x4E00, 0x9FFF}, {0x3400, 0x4DBF}, {0xF900, 0xFAD9}} {
		for c := block[0]; c <= block[1]; c++ {
			east.chars = append(east.chars, c)
		}
	}
	odd := charPool{name: "lone surrogates, unassigned, private", pairs: 4_000,
		chars: []rune{0xD800, 0xD83D, 0xDBFF, 0xDC00, 0xDE00, 0xDFFF, 0x378, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0x10FFFF, 0x1F600, 0, 1, 0x7F, 0xAD, 0x200D}}
	return []charPool{common, europe, all, marks, contexts, east, odd}
}
