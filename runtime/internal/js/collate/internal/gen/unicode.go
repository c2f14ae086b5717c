package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"unicode/utf16"
)

// facts are the parts of the Unicode character database that the table needs, as Node.js
// reports them: canonical decompositions (except for Hangul, which is computed), and the
// rank of each combining class (1 for the lowest; absent for a starter).
type facts struct {
	decomposition map[rune][]rune
	class         map[rune]int
	versions      string // of Node.js, ICU, CLDR, and Unicode
}

// script prints the decompositions, and ranks the combining classes by testing which of
// two marks normalization moves before the other.
const script = `
const v = process.versions, ch = String.fromCodePoint, decomposition = [], marks = [];
for (let c = 0x80; c < 0x110000; c++) {
  if (c >= 0xd800 && c <= 0xdfff || c >= 0xac00 && c <= 0xd7a3) continue;
  const s = ch(c), d = s.normalize('NFD');
  if (d !== s) decomposition.push([c, [...d].map(x => x.codePointAt(0))]);
  else if ((s + '\u0334').normalize('NFD') !== s + '\u0334' || ('\u0345' + s).normalize('NFD') !== '\u0345' + s) marks.push(c);
}
marks.push(0x334, 0x345);
const before = (a, b) => (ch(b) + ch(a)).normalize('NFD') === ch(a) + ch(b) && a !== b;
const reps = [], member = [];
for (const c of new Set(marks)) {
  let r = reps.find(r => !before(r, c) && !before(c, r));
  if (r === undefined) reps.push(r = c);
  member.push([c, r]);
}
reps.sort((a, b) => before(a, b) ? -1 : 1);
console.log(JSON.stringify({decomposition, classes: member.map(([c, r]) => [c, reps.indexOf(r) + 1]),
  versions: ['Node.js ' + v.node, 'ICU ' + v.icu, 'CLDR ' + v.cldr, 'Unicode ' + v.unicode].join(', ')}));
`

func askNode(ctx context.Context, node string) (facts, error) {
	out, err := exec.CommandContext(ctx, node, "-e", script).Output()
	if err != nil {
		return facts{}, fmt.Errorf("ask %s for the Unicode data: %w", node, err)
	}
	var answer struct {
		Decomposition []json.RawMessage
		Classes       [][2]int
		Versions      string
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&answer); err != nil {
		return facts{}, fmt.Errorf("read the Unicode data of %s: %w", node, err)
	}
	f := facts{decomposition: map[rune][]rune{}, class: map[rune]int{}, versions: answer.Versions}
	for _, raw := range answer.Decomposition {
		var c rune
		var to []rune
		if err := json.Unmarshal(raw, &[]any{&c, &to}); err != nil {
			return facts{}, fmt.Errorf("read the Unicode data of %s: %w", node, err)
		}
		f.decomposition[c] = to
	}
	for _, m := range answer.Classes {
		f.class[rune(m[0])] = m[1]
	}
	return f, nil
}

func decodeUTF16(units []uint16) []rune { return utf16.Decode(units) }
