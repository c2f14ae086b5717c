// Package page writes call trees as one HTML page for `msctl tap --html`. It needs no network, is
// complete without scripts, and its content security policy permits only its own script.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/outline"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
)

//go:embed files
var files embed.FS

// The limits of a page, so that browsers open it: the latest trees are kept.
const (
	maxTrees = 1000
	maxRows  = 20_000
	maxBytes = 16 << 20 // of data and replies
)

// Page is the page of some trees.
type Page struct {
	// Missing is the number of records that did not arrive, and Forgotten of those that were discarded
	// for newer ones.
	Missing, Forgotten int

	name    string
	written time.Time
	trees   []treeView
	leftOut int // trees
	rows    int
	bad     int
	begin   time.Time
	end     time.Time
}

// New returns the page of the latest trees of a workspace. The trees are not used afterwards.
func New(name string, roots []*tap.Span, now time.Time) *Page {
	p := &Page{name: visible.Line(name), written: now}
	bytes := 0
	for i := len(roots) - 1; i >= 0; i-- {
		t := outline.Of(roots[i])
		size := 0
		for j := range t.Rows {
			size += len(t.Rows[j].Span.Data) + len(t.Rows[j].Span.Reply)
		}
		if len(p.trees) > 0 && (len(p.trees) == maxTrees || p.rows+len(t.Rows) > maxRows || bytes+size > maxBytes) {
			p.leftOut = i + 1
			break
		}
		bytes += size
		p.rows += len(t.Rows)
		p.add(t)
	}
	slices.Reverse(p.trees)
	return p
}

func (p *Page) add(t *outline.Tree) {
	view := viewOf(t)
	if view.Bad {
		p.bad++
	}
	if begin := time.Unix(0, t.Start); p.begin.IsZero() || begin.Before(p.begin) {
		p.begin = begin
	}
	if end := time.Unix(0, t.End); end.After(p.end) {
		p.end = end
	}
	p.trees = append(p.trees, view)
}

// Shown returns the number of trees on the page.
func (p *Page) Shown() int { return len(p.trees) }

// data is what the template is given. It is prepared here, so that the template contains no logic.
type data struct {
	Style                  template.CSS
	Script                 template.JS
	ScriptHash             string
	Name, Written, Summary string
	Notes                  []string
	Trees                  []treeView
}

// Write writes the page.
func (p *Page) Write(to io.Writer) error {
	style, err := files.ReadFile("files/page.css")
	if err != nil {
		return fmt.Errorf("render the page: %w", err)
	}
	script, err := files.ReadFile("files/page.js")
	if err != nil {
		return fmt.Errorf("render the page: %w", err)
	}
	t, err := template.ParseFS(files, "files/*.tmpl")
	if err != nil {
		return fmt.Errorf("render the page: %w", err)
	}
	sum := sha256.Sum256(script)
	err = t.Execute(to, data{
		Style: template.CSS(style), Script: template.JS(script), // both are files of this package
		ScriptHash: base64.StdEncoding.EncodeToString(sum[:]),
		Name:       p.name, Written: "written " + p.written.Format("2006-01-02 15:04:05"), Summary: p.summary(), Notes: p.notes(), Trees: p.trees,
	})
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func (p *Page) summary() string {
	if len(p.trees) == 0 {
		return "no messages"
	}
	text := term.Count(len(p.trees), "call tree") + " in " + term.Duration(p.end.Sub(p.begin)) + ", from " +
		p.begin.Format("2006-01-02 15:04:05") + " to " + p.end.Format("15:04:05")
	if p.bad > 0 {
		text += fmt.Sprintf("; %d with errors", p.bad)
	}
	return text
}

func (p *Page) notes() (notes []string) {
	if p.leftOut > 0 {
		notes = append(notes, term.Count(p.leftOut, "older call tree")+" left out: the page has room for the latest.")
	}
	if p.Forgotten > 0 {
		notes = append(notes, term.Count(p.Forgotten, "older record")+" left out: they had been discarded for newer ones.")
	}
	if p.Missing > 0 {
		notes = append(notes, term.Count(p.Missing, "record")+" missing: messages came faster than they could be recorded.")
	}
	return notes
}
