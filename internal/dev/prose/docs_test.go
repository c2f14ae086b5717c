package main

import (
	"bytes"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	markdownLink = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading      = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	fence        = regexp.MustCompile("(?ms)^```.*?^```$")
	codeSpan     = regexp.MustCompile("`[^`\n]*`")
	goProgram    = regexp.MustCompile("(?ms)^```go\n(package .*?)^```$")
	notInAnchor  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestLinks: every relative link in the documentation leads to a file, and to
// a heading in it if the link has an anchor.
func TestLinks(t *testing.T) {
	for _, doc := range documents(t) {
		for _, m := range markdownLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(prose(t, doc), ""), -1) {
			link, err := url.Parse(m[1])
			if err != nil || link.IsAbs() {
				continue
			}
			target := doc
			if link.Path != "" {
				target = filepath.Join(filepath.Dir(doc), filepath.FromSlash(link.Path))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link to %s: no such file", doc, m[1])
				continue
			}
			if link.Fragment != "" && !hasHeading(prose(t, target), link.Fragment) {
				t.Errorf("%s: link to %s: no such heading", doc, m[1])
			}
		}
	}
}

// TestPrograms: every complete Go program in the documentation passes go vet.
func TestPrograms(t *testing.T) {
	root := repositoryRoot(t)
	for _, doc := range documents(t) {
		src, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range goProgram.FindAllSubmatch(src, -1) {
			name := "main.go"
			if bytes.Contains(m[1], []byte("*testing.T")) {
				name = "main_test.go"
			}
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, m[1], 0o600); err != nil {
				t.Fatal(err)
			}
			vet := exec.CommandContext(t.Context(), "go", "vet", file)
			vet.Dir = root
			if out, err := vet.CombinedOutput(); err != nil {
				t.Errorf("%s: go vet: %v\n%s\n%s", doc, err, out, m[1])
			}
		}
	}
}

// hasHeading reports whether text has a heading with the anchor that GitHub
// gives it.
func hasHeading(text, anchor string) bool {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		slug := notInAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// prose returns a document without its blocks of code.
func prose(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fence.ReplaceAllString(string(text), "")
}

// documents returns the Markdown files that git tracks.
func documents(t *testing.T) (files []string) {
	t.Helper()
	root := repositoryRoot(t)
	out, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z", "*.md").Output()
	if err != nil {
		t.Skipf("git ls-files: %v", err)
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		files = append(files, filepath.Join(root, filepath.FromSlash(name)))
	}
	return files
}

func repositoryRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}
