package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/msctl/msctl/internal/disk"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
)

// Outputs are the files that are written, and the saved run to compare with.
type Outputs struct {
	Save, HTML, Markdown, CSV, JUnit, Vegeta string
	Baseline                                 string
}

// output is a file of Outputs, and the flag that names it.
type output struct {
	flag, path string
	write      func(*report.Document, io.Writer) error // nil for vegeta
}

func (o *Outputs) list() []output {
	return []output{
		{"--save", o.Save, (*report.Document).Save},
		{"--html", o.HTML, (*report.Document).HTML},
		{"--markdown", o.Markdown, (*report.Document).Markdown},
		{"--csv", o.CSV, (*report.Document).CSV},
		{"--junit", o.JUnit, (*report.Document).JUnit},
		{"--vegeta", o.Vegeta, nil},
	}
}

// checkOutputs checks the files against each other and against the other settings.
func (s *Spec) checkOutputs() error {
	t := &s.Trials
	switch {
	case s.Outputs.Vegeta != "" && t.several():
		return s.Usagef([]string{"vegeta"}, "--vegeta writes the requests of a single run and cannot be combined with --repeat, --sweep, --collapse, or --demo")
	case s.Outputs.Baseline != "" && (len(t.Axes) > 0 || t.Collapse || t.Demo):
		return s.Usagef([]string{"baseline"}, "--baseline cannot be combined with --sweep, --collapse, or --demo: compare saved runs with `msctl bench compare --run`")
	}
	flags := map[string]string{}
	for _, o := range s.Outputs.list() {
		path := filepath.Clean(o.path)
		if o.path == "" || path == os.DevNull {
			continue
		}
		if other, ok := flags[path]; ok {
			return s.Usagef([]string{other[2:], o.flag[2:]}, "%s and %s write to the same file: %s", other, o.flag, o.path)
		}
		flags[path] = o.flag
	}
	return nil
}

// LoadDocument reads a saved run. All its errors are usage errors.
func LoadDocument(path string) (*report.Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, exit.Usagef("read a saved run: %w", err)
	}
	defer file.Close()
	d, err := report.Load(file)
	if err != nil {
		return nil, exit.Usagef("%s: %w", path, err)
	}
	return d, nil
}

// files are the files that a bench writes when it has finished.
type files struct {
	list    []output
	encoder *report.Vegeta // nil without --vegeta
	spool   *disk.Spool    // that the encoder writes to
}

// open makes sure, before anything is sent, that the files can be written.
func (o *Outputs) open(title, target string) (*files, error) {
	f := &files{}
	for _, out := range o.list() {
		if out.path == "" {
			continue
		}
		err := disk.Check(out.path)
		if err == nil && out.write == nil {
			err = f.openVegeta(out.path, title, target)
			out.write = f.writeVegeta
		}
		if err != nil {
			f.discard()
			return nil, exit.Usagef("%s: %w", out.flag, err)
		}
		f.list = append(f.list, out)
	}
	return f, nil
}

// openVegeta opens the spool that every request of a run is written to.
func (f *files) openVegeta(path, title, target string) (err error) {
	if f.spool, err = disk.NewSpool(path); err != nil {
		return err
	}
	f.encoder = report.NewVegeta(f.spool, title, target)
	return nil
}

func (f *files) writeVegeta(_ *report.Document, w io.Writer) error {
	if err := f.encoder.Close(); err != nil {
		return err
	}
	return f.spool.CopyTo(w)
}

// hook returns the function that records each request of a run, or nil.
func (f *files) hook() func(load.Request) {
	if f.encoder == nil {
		return nil
	}
	return f.encoder.Result
}

// discard removes what is not part of the files.
func (f *files) discard() {
	if f.spool != nil {
		_ = f.spool.Close() // nothing is read from it anymore
	}
}

// finish writes all files. If one cannot be written, the others are written nevertheless.
func (f *files) finish(d *report.Document) error {
	var all []error
	for _, file := range f.list {
		if err := disk.Write(file.path, func(w io.Writer) error { return file.write(d, w) }); err != nil {
			all = append(all, fmt.Errorf("write %s: %w", file.path, err))
		}
	}
	return errors.Join(all...)
}
