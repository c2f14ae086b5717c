package main

import (
	"bytes"
	"cmp"
	"iter"
	"regexp"
	"slices"
	"strings"
)

// A rule is a phrase to avoid.
type rule struct {
	avoid   string // the phrase, for the table of counts
	pattern string // a regular expression over text in lower case; a space matches any white space
	use     string // what to write instead
	except  string // matches, in the same form, that are correct
}

// An exemption permits a phrase in one place.
type exemption struct {
	path   string // a file, or a folder with a slash at the end
	line   string // a part of the line; empty for every line
	reason string
}

type finding struct {
	path         string
	line, column int // from 1; the column counts bytes
	text         string
	rule         *compiled
}

type compiled struct {
	rule
	pattern, except *regexp.Regexp
}

var compiledRules = func() []*compiled {
	all := make([]*compiled, len(rules))
	for i, r := range rules {
		all[i] = &compiled{rule: r, pattern: compile(r.pattern)}
		if r.except != "" {
			all[i].except = compile(`^(` + r.except + `)$`)
		}
	}
	return all
}()

func compile(pattern string) *regexp.Regexp {
	return regexp.MustCompile(strings.ReplaceAll(strings.ToLower(pattern), " ", `\s+`))
}

// lower returns text in lower case, ASCII alone: offsets stay as they are.
// Case-insensitive regular expressions would take three times as long.
func lower(text []byte) []byte {
	text = bytes.Clone(text)
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
	return text
}

// check returns the phrases to avoid in text, which an extractor made of src.
func check(path string, src, text []byte) []finding {
	var found []finding
	add := func(r *compiled, start, end int) {
		if r.except != nil && r.except.Match(text[start:end]) {
			return
		}
		lineStart := bytes.LastIndexByte(src[:start], '\n') + 1
		lineEnd := len(src)
		if i := bytes.IndexByte(src[end:], '\n'); i >= 0 {
			lineEnd = end + i
		}
		if exempt(path, string(src[lineStart:lineEnd])) {
			return
		}
		found = append(found, finding{
			path:   path,
			line:   bytes.Count(src[:start], []byte("\n")) + 1,
			column: start - lineStart + 1,
			text:   phrase(src, text, start, end),
			rule:   r,
		})
	}

	text = lower(text)
	for _, r := range compiledRules {
		for _, m := range r.pattern.FindAllIndex(text, -1) {
			add(r, m[0], m[1])
		}
	}
	for start, end := range words(text) {
		if isBritish(string(text[start:end])) {
			add(british, start, end)
		}
	}
	slices.SortStableFunc(found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	return found
}

// phrase returns src[start:end] on one line and without the markers of
// comments, which the extractor blanked in text.
func phrase(src, text []byte, start, end int) string {
	b := bytes.Clone(src[start:end])
	for i := range b {
		if text[start+i] == ' ' {
			b[i] = ' '
		}
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

// words yields the start and end of each run of letters in text, which is in
// lower case.
func words(text []byte) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for i := 0; i < len(text); i++ {
			start := i
			for i < len(text) && 'a' <= text[i] && text[i] <= 'z' {
				i++
			}
			if i > start && !yield(start, i) {
				return
			}
		}
	}
}

var (
	british    = &compiled{rule: spellings, pattern: compile(`^(` + spellings.pattern + `)$`)}
	knownWords = map[string]bool{} // whether each word met so far is British
)

func isBritish(word string) bool {
	is, known := knownWords[word]
	if !known {
		is = british.pattern.MatchString(word)
		knownWords[word] = is
	}
	return is
}

func exempt(path, line string) bool {
	return slices.ContainsFunc(exemptions, func(e exemption) bool {
		in := path == e.path || strings.HasSuffix(e.path, "/") && strings.HasPrefix(path, e.path)
		return in && strings.Contains(line, e.line)
	})
}
