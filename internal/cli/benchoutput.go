package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/compare"
	benchreport "github.com/msctl/msctl/internal/load/report"
)

// benchOutput are the flags that say which files are written, and what the run is
// compared with.
type benchOutput struct {
	save, html, csv, junit, markdown, vegeta string
	baseline                                 string

	before *benchreport.Document // the baseline
}

func (o *benchOutput) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.save, "save", "", "save everything to `FILE` (JSON), for bench report and bench compare")
	f.StringVar(&o.html, "html", "", "write the report as one HTML page to `FILE`")
	f.StringVar(&o.markdown, "markdown", "", "write the report for a pull request to `FILE`")
	f.StringVar(&o.csv, "csv", "", "write a line a second to `FILE`")
	f.StringVar(&o.junit, "junit", "", "write thresholds and verdicts as JUnit's XML to `FILE`")
	f.StringVar(&o.vegeta, "vegeta", "", "write every request to `FILE`, for vegeta report and vegeta plot")
	f.StringVar(&o.baseline, "baseline", "", "compare with the run saved in `FILE`; one that has regressed ends with exit code 99")
	groupFlags(cmd, "Result", "save", "html", "markdown", "csv", "junit", "vegeta", "baseline")
}

// check reads the baseline.
func (o *benchOutput) check(all *benchOptions) (err error) {
	if o.vegeta != "" && all.lab.several() {
		return exit.Usagef("--vegeta writes the requests of one run, and this makes several")
	}
	if o.baseline == "" || all.lab.part {
		return o.distinct()
	}
	if len(all.lab.sweeps) > 0 || all.lab.collapse || all.lab.demo {
		return exit.Usagef("--baseline compares one kind of run, and this makes several: leave it out, or compare with `msctl bench compare --run`")
	}
	if o.before, err = loadDocument(o.baseline); err != nil {
		return err
	}
	if _, err := compare.Documents(o.before, o.before, compare.Options{A: o.baseline, B: o.baseline}); err != nil {
		return exit.Usagef("--baseline: %w", err)
	}
	return o.distinct()
}

// distinct refuses to write two things to one file.
func (o *benchOutput) distinct() error {
	flags := map[string]string{}
	for _, file := range []struct{ flag, path string }{
		{"--save", o.save}, {"--html", o.html}, {"--markdown", o.markdown}, {"--csv", o.csv}, {"--junit", o.junit}, {"--vegeta", o.vegeta},
	} {
		path := filepath.Clean(file.path)
		if file.path == "" || path == os.DevNull {
			continue
		}
		if other, ok := flags[path]; ok {
			return exit.Usagef("%s and %s are the same file: %s", other, file.flag, file.path)
		}
		flags[path] = file.flag
	}
	return nil
}

// loadDocument reads a saved run. What is wrong with it is a usage error.
func loadDocument(path string) (*benchreport.Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, exit.Usagef("read a saved run: %w", err)
	}
	defer file.Close()
	d, err := benchreport.Load(file)
	if err != nil {
		return nil, exit.Usagef("%s: %w", path, err)
	}
	return d, nil
}

// benchFiles are the files that a bench writes when it is done.
type benchFiles struct {
	list    []benchFile
	encoder *benchreport.Vegeta // nil: nobody takes requests down
	device  *os.File            // where the encoder writes, unless that is a file of the list
}

// benchFile is a file that is written whole or not at all.
type benchFile struct {
	path  string
	write func(*benchreport.Document, io.Writer) error
	temp  *os.File // beside path; nil where path is a device
}

// open makes sure, before anything is sent, that the files can be written: a path
// that cannot costs no run.
func (o *benchOutput) open(title, target string) (*benchFiles, error) {
	f := &benchFiles{}
	for _, file := range []struct {
		flag, path string
		write      func(*benchreport.Document, io.Writer) error
	}{
		{"--save", o.save, (*benchreport.Document).Save},
		{"--html", o.html, (*benchreport.Document).HTML},
		{"--markdown", o.markdown, (*benchreport.Document).Markdown},
		{"--csv", o.csv, (*benchreport.Document).CSV},
		{"--junit", o.junit, (*benchreport.Document).JUnit},
	} {
		if file.path == "" {
			continue
		}
		temp, err := beside(file.path)
		if err != nil {
			f.discard()
			return nil, exit.Usagef("%s: %w", file.flag, err)
		}
		f.list = append(f.list, benchFile{file.path, file.write, temp})
	}
	if o.vegeta == "" {
		return f, nil
	}
	if err := f.openVegeta(o.vegeta, title, target); err != nil {
		f.discard()
		return nil, exit.Usagef("--vegeta: %w", err)
	}
	return f, nil
}

// openVegeta begins the file that every request of a run goes to.
func (f *benchFiles) openVegeta(path, title, target string) error {
	temp, err := beside(path)
	if err != nil {
		return err
	}
	if temp != nil {
		f.encoder = benchreport.NewVegeta(temp, title, target)
		f.list = append(f.list, benchFile{path, func(*benchreport.Document, io.Writer) error { return f.encoder.Close() }, temp})
		return nil
	}
	if f.device, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		return err
	}
	f.encoder = benchreport.NewVegeta(f.device, title, target)
	return nil
}

// beside makes a temporary file next to path, which takes its name once it is
// complete; nil where path is something else than a file.
func beside(path string) (*os.File, error) {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a folder", path)
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

// hook is what takes each request of a run down; nil when nobody does.
func (f *benchFiles) hook() func(load.Request) {
	if f.encoder == nil {
		return nil
	}
	return f.encoder.Result
}

// discard removes what is not complete.
func (f *benchFiles) discard() {
	for _, file := range f.list {
		if file.temp != nil {
			_ = file.temp.Close()
			_ = os.Remove(file.temp.Name()) // gone already once it has its name
		}
	}
	if f.device != nil {
		_ = f.device.Close() // closed already, or of no use
	}
}

// finish writes all files.
func (f *benchFiles) finish(d *benchreport.Document) error {
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

func (f *benchFile) finish(d *benchreport.Document) error {
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
