// Package nearest finds the known words that resemble a mistyped one: flags, commands,
// keys, services, and patterns.
package nearest

import (
	"slices"
	"strings"
)

// Word returns the candidate nearest to word, or "" if none is near. Of equally near
// candidates it returns the first.
func Word(word string, candidates []string) string {
	if found := Words(word, candidates, 1); len(found) > 0 {
		return found[0]
	}
	return ""
}

// Words returns up to limit candidates near word, the nearest first. A candidate is near
// if at most about a third of the letters differ, or if one word contains the other. Case
// does not matter.
func Words(word string, candidates []string, limit int) []string {
	type scored struct {
		word  string
		score int
	}
	var near []scored
	for _, candidate := range candidates {
		if score, ok := distance(word, candidate); ok {
			near = append(near, scored{candidate, score})
		}
	}
	slices.SortStableFunc(near, func(a, b scored) int { return a.score - b.score })
	out := make([]string, 0, limit)
	for i := 0; i < len(near) && i < limit; i++ {
		out = append(out, near[i].word)
	}
	return out
}

// distance scores a candidate. A smaller score is nearer.
func distance(word, candidate string) (int, bool) {
	a, b := []rune(strings.ToLower(word)), []rune(strings.ToLower(candidate))
	if len(a) == 0 || len(b) == 0 || len(a) > 200 || len(b) > 200 {
		return 0, false
	}
	edits := editDistance(a, b)
	if edits <= max(1, max(len(a), len(b))/3) {
		return edits, true
	}
	if len(a) >= 3 && strings.Contains(string(b), string(a)) || len(b) >= 3 && strings.Contains(string(a), string(b)) {
		return edits, true
	}
	return 0, false
}

// editDistance counts the insertions, deletions, replacements, and swaps of adjacent
// letters that turn a into b.
func editDistance(a, b []rune) int {
	before := make([]int, len(b)+1) // the row before the previous one
	previous := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := previous[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(previous[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous, row = previous, row, before
	}
	return previous[len(b)]
}
