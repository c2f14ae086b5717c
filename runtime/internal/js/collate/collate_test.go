package collate

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/internal/js/nodetest"
)

// comparePairs compares the results of Compare for list[0] and list[1], list[2] and
// list[3], and so on, with those of localeCompare in Node.js.
func comparePairs(t *testing.T, list []string) {
	t.Helper()
	want := nodetest.Run(t, `let s = "";
for (let i = 0; i < input.length; i += 2) s += "<=>"[1 + Math.sign(input[i].localeCompare(input[i + 1]))];
console.log(s);`, nodetest.Strings(list))
	if len(want) != len(list)/2 {
		t.Fatalf("node compared %d pairs, want %d", len(want), len(list)/2)
	}
	wrong, equal := 0, 0
	for i := range want {
		a, b := list[2*i], list[2*i+1]
		got := "<=>"[1+Compare(a, b)]
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

// pairsOf returns pairs of keys of a few characters. The second key is often a variant of
// the first, so that the lower levels of comparison matter as well.
func pairsOf(n int, random *rand.Rand, char func() string) []string {
	n *= nodetest.Repeat()
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

// joined concatenates texts and joins surrogates that become adjacent.
func joined(parts []string) string {
	var out []byte
	for _, p := range parts {
		if r, ok := js.SurrogateAt(p); ok {
			out = js.AppendUnit(out, r)
		} else {
			out = append(out, p...)
		}
	}
	return string(out)
}

// TestCompareOrder compares keys in the ascending order of ICU 78, for machines without
// Node.js.
func TestCompareOrder(t *testing.T) {
	ascending := []string{
		"", "\u0301", "\t", "_", "-", "~", "☃", "😀", "€", "1", "①", "10", "2", "9", "a", "ａ", "A", "Ａ", "a b", "a_b", "a-b", "a.b",
		"aa", "Aa", "ab", "aB", "AB", "ae", "æ", "af", "b", "B", "cote", "coté", "côte", "côté", "é", "É", "fi", "ﬁ", "fj", "la", "ŀa",
		"lb", "n", "ñ", "o", "ø", "Ø", "p", "q\u0307\u0323", "ss", "ß", "st", "z", "żółć", "zz", "α", "ά", "Ω", "и", "й", "к", "я",
		"א", "שׁ", "آ", "ا", "ش", "กา", "เก", "ข", "가", "각", "나", "あ", "か", "カ", "が", "ガ", "一", "丁", "㐀", "中", "文", "日", "豈",
		"\u0378", "\xed\xa0\xbd", "\ue000", "\ufffd",
	}
	for i, a := range ascending {
		for j, b := range ascending {
			if got := Compare(a, b); got != cmp.Compare(i, j) {
				t.Errorf("Compare(%+q, %+q) = %d, want %d", a, b, got, cmp.Compare(i, j))
			}
		}
	}
	equal := [][2]string{
		{"a\u0001", "a"}, {"a\u200db", "ab"}, {"é", "e\u0301"}, {"ŀa", "l·a"}, {"각", "\u1100\u1161\u11a8"}, {"Å", "Å"}, {"豈", "豈"},
		{"q\u0307\u0323", "q\u0323\u0307"}, {"и\u0323\u0306", "й\u0323"}, {"\u1fb3\u0301", "ᾴ"}, {"\xed\xa0\xbd\u0001", "\xed\xa0\xbd"},
	}
	for _, e := range equal {
		if got := Compare(e[0], e[1]); got != 0 {
			t.Errorf("Compare(%+q, %+q) = %d, want 0", e[0], e[1], got)
		}
	}
}

func TestCompareASCIIAgainstNode(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	comparePairs(t, pairsOf(60_000, random, func() string { return string(rune(random.IntN(128))) }))
}

func TestCompareAgainstNode(t *testing.T) {
	if icu := nodetest.ICU(t); icu != nodetest.TableICU {
		t.Skipf("the table is of ICU %s, this Node.js has %s", nodetest.TableICU, icu)
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
				return string(js.AppendUnit(nil, c))
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
