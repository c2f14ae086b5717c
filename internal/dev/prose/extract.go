package main

import (
	"bytes"
	"go/scanner"
	"go/token"
	"path"
	"regexp"
	"strings"
)

// An extractor returns a copy of src in which only the text for people is
// left. The copy has the same length and the same line breaks, so an offset in
// it is an offset in src. Each byte of anything else is replaced by gap, which
// no rule matches, or by a space where a sentence continues across it.
type extractor func(src []byte) []byte

const gap = 0

// extractorFor returns the extractor for a file, or nil for a file without
// text for people: recorded packets, lock files, pictures.
func extractorFor(name string) extractor {
	base := strings.TrimSuffix(path.Base(name), ".tmpl")
	switch {
	case base == "package-lock.json":
		return nil
	case strings.HasSuffix(name, ".tmpl"), base == "Makefile", strings.HasSuffix(name, ".ci/run"),
		strings.HasSuffix(base, ".schema.json"):
		return wholeText
	case strings.HasSuffix(name, ".LICENSE.txt"), strings.HasPrefix(name, "testdata/wire/"):
		return nil
	}
	switch path.Ext(base) {
	case ".go":
		return goText
	case ".md", ".txt", ".txtar", ".yaml", ".yml", ".sh", ".css", ".js", ".mjs", ".ts", ".mod", ".work", ".gitignore":
		return wholeText
	}
	return nil
}

var (
	links = regexp.MustCompile(`[a-z]+://[^\s)"'` + "`" + `]+`)
	// A comment or a quoted sentence continues on the next line after these.
	continuations = regexp.MustCompile(`(?m)^[ \t]*(//|#|>|\*)+`)
)

// wholeText keeps everything but addresses.
func wholeText(src []byte) []byte {
	text := bytes.Clone(src)
	for _, m := range links.FindAllIndex(text, -1) {
		blank(text[m[0]:m[1]], gap)
	}
	for _, m := range continuations.FindAllIndex(text, -1) {
		blank(text[m[0]:m[1]], ' ')
	}
	return text
}

var escapes = regexp.MustCompile(`\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)`)

// goText keeps the comments and the string literals of a Go file. Identifiers,
// import paths, and struct tags are code.
func goText(src []byte) []byte {
	text := bytes.Clone(src)
	blank(text, gap)
	file := token.NewFileSet().AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, scanner.ScanComments)
	for {
		pos, tok, _ := s.Scan()
		start := file.Offset(pos)
		switch tok {
		case token.EOF:
			joinComments(text)
			return text
		case token.COMMENT, token.STRING:
			// Not the literal that Scan returns: it lacks carriage returns.
			end := start + literalLength(src[start:])
			copy(text[start:end], wholeText(src[start:end]))
			switch src[start] {
			case '"':
				for _, m := range escapes.FindAllIndex(text[start+1:end], -1) {
					blank(text[start+1+m[0]:start+1+m[1]], ' ')
				}
				text[start], text[end-1] = gap, gap
			case '`':
				text[start], text[end-1] = gap, gap
			}
		}
	}
}

// literalLength returns the length of the comment or string that src begins with.
func literalLength(src []byte) int {
	end := func(after int, mark string) int {
		if i := bytes.Index(src[after:], []byte(mark)); i >= 0 {
			return after + i + len(mark)
		}
		return len(src)
	}
	switch {
	case bytes.HasPrefix(src, []byte("//")):
		return end(2, "\n")
	case bytes.HasPrefix(src, []byte("/*")):
		return end(2, "*/")
	case src[0] == '`':
		return end(1, "`")
	}
	for i := 1; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(src)
}

// joinComments lets a sentence continue across the indentation of the next
// line of a comment.
func joinComments(text []byte) {
	for i := range text {
		if text[i] != '\n' {
			continue
		}
		j := i + 1
		for j < len(text) && text[j] == gap {
			j++
		}
		if j < len(text) && text[j] == ' ' { // the blanked marker of a comment
			blank(text[i+1:j], ' ')
		}
	}
}

func blank(b []byte, with byte) {
	for i := range b {
		if b[i] != '\n' {
			b[i] = with
		}
	}
}
