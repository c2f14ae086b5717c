package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
	list    []file
	encoder *report.Vegeta // nil without --vegeta
	device  *os.File       // that the encoder writes to; nil if that is in list
}

// file is a file that is written completely or not at all.
type file struct {
	path  string
	write func(*report.Document, io.Writer) error
	temp  *os.File // in the same directory; nil if path is a device
}

// open makes sure, before anything is sent, that the files can be written.
func (o *Outputs) open(title, target string) (*files, error) {
	f := &files{}
	for _, out := range o.list() {
		if out.path == "" {
			continue
		}
		var err error
		if out.write == nil {
			err = f.openVegeta(out.path, title, target)
		} else {
			var temp *os.File
			temp, err = createTemp(out.path)
			f.list = append(f.list, file{out.path, out.write, temp})
		}
		if err != nil {
			f.discard()
			return nil, exit.Usagef("%s: %w", out.flag, err)
		}
	}
	return f, nil
}

// openVegeta opens the file that every request of a run is written to.
func (f *files) openVegeta(path, title, target string) error {
	temp, err := createTemp(path)
	if err != nil {
		return err
	}
	if temp != nil {
		f.encoder = report.NewVegeta(temp, title, target)
		f.list = append(f.list, file{path, func(*report.Document, io.Writer) error { return f.encoder.Close() }, temp})
		return nil
	}
	if f.device, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		return err
	}
	f.encoder = report.NewVegeta(f.device, title, target)
	return nil
}

// createTemp creates a temporary file in the directory of path, which gets the name
// once it is complete. It returns nil if path is neither a file nor missing.
func createTemp(path string) (*os.File, error) {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a directory", path)
	case err == nil && !info.Mode().IsRegular():
		return nil, nil
	case err == nil: // replaced only if it may be written
		existing, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		_ = existing.Close()
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, errors.Unwrap(err))
	}
	return temp, nil
}

// hook returns the function that records each request of a run, or nil.
func (f *files) hook() func(load.Request) {
	if f.encoder == nil {
		return nil
	}
	return f.encoder.Result
}

// discard removes the files that are not complete.
func (f *files) discard() {
	for _, file := range f.list {
		if file.temp != nil {
			_ = file.temp.Close()
			_ = os.Remove(file.temp.Name()) // fails once the file has its name
		}
	}
	if f.device != nil {
		_ = f.device.Close() // fails once finish has closed it
	}
}

// finish writes all files.
func (f *files) finish(d *report.Document) error {
	for _, file := range f.list {
		if err := file.finish(d); err != nil {
			return fmt.Errorf("write %s: %w", file.path, err)
		}
	}
	if f.device != nil {
		if err := errors.Join(f.encoder.Close(), f.device.Close()); err != nil {
			return fmt.Errorf("write %s: %w", f.device.Name(), err)
		}
	}
	return nil
}

func (f *file) finish(d *report.Document) error {
	if f.temp == nil {
		device, err := os.OpenFile(f.path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.write(d, device), device.Close())
	}
	if err := errors.Join(f.write(d, f.temp), f.temp.Chmod(0o644), f.temp.Close()); err != nil {
		return err
	}
	return os.Rename(f.temp.Name(), f.path)
}
