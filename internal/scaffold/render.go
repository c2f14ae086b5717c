package scaffold

import (
	"bytes"
	"fmt"
	"go/format"
	"io/fs"
	"path"
	"strings"
	"text/template"

	"github.com/msctl/msctl/templates"
)

// File is one file to write.
type File struct {
	// Path is relative to the workspace, with slashes.
	Path string
	// Data is its content.
	Data []byte
	// Edited reports whether lines are inserted into an existing file.
	Edited bool
	// Generated reports whether the file is marked DO NOT EDIT.
	Generated bool
	// Removed reports whether the file is to be removed, if it exists.
	Removed bool
}

// renderDir renders every template under dir. names maps parts of paths that
// depend on the answers: "NAME" to "items".
func renderDir(dir string, data any, names *strings.Replacer) ([]File, error) {
	var files []File
	err := fs.WalkDir(templates.Files(), dir, func(p string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(p) != ".tmpl" {
			return err
		}
		to := names.Replace(strings.TrimSuffix(strings.TrimPrefix(p, dir+"/"), ".tmpl"))
		f, err := render(p, to, data)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	return files, nil
}

// dotted adds the leading dot to file names whose templates do not have it.
func dotted(p string) string {
	first, _, _ := strings.Cut(p, "/")
	if dir, base := path.Split(p); dir == WebDir+"/" && (base == "gitignore" || base == "dockerignore" || base == "npmrc") {
		return dir + "." + base
	}
	switch first {
	case "gitignore", "gitattributes", "dockerignore", "env.example", "golangci.yml", "github":
		return "." + p
	}
	return p
}

// render renders one template and formats Go code.
func render(from, to string, data any) (File, error) {
	text, err := fs.ReadFile(templates.Files(), from)
	if err != nil {
		return File{}, err
	}
	t, err := template.New(from).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return File{}, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return File{}, err
	}
	f := File{Path: dotted(to), Data: out.Bytes()}
	if path.Ext(to) == ".go" {
		if f.Data, err = format.Source(f.Data); err != nil {
			return File{}, fmt.Errorf("%s: %w", from, err)
		}
	}
	firstLine, _, _ := strings.Cut(out.String(), "\n")
	f.Generated = strings.Contains(firstLine, "DO NOT EDIT")
	return f, nil
}
