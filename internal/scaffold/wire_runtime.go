package scaffold

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// OtherRuntime describes a copy of the runtime that this msctl did not write.
type OtherRuntime struct {
	// Version is the version of the msctl that wrote it, or "" if it is unknown.
	Version string
	// Changed are its files that the user has changed, or that may have been changed,
	// because an msctl without a record wrote them.
	Changed []string
}

// wireRuntime completes the workspace's copy of the runtime, its go.mod, and its go.sum
// for the first service on a broker, and if an older msctl has written the copy, without
// the packages that every new service imports. A copy of another version is replaced as a whole, which
// Write refuses without force, and always if its files have been changed.
func (d *Dir) wireRuntime(r *Result, s Service) error {
	before := d.bundledBrokers()
	hasTransport := !s.OnBroker() || slices.Contains(before, brokerView{s.Transport})
	isBundled := d.exists(bundleDir + "/go.mod")
	if hasTransport && (!isBundled || d.exists(bundleDir+"/runtime/probe")) {
		return nil
	}
	if !isBundled {
		r.byHand("%s does not contain the runtime: run `go mod tidy` for the driver of %s", bundleDir, s.Transport.Title())
		return nil
	}
	after := brokersOf(append(transportsOf(before), s.Transport)...)
	files, err := bundle(after)
	if err != nil {
		return err
	}
	written, _, err := readRecord(d.Root)
	if err != nil {
		return err
	}
	for _, f := range files {
		there, err := d.read(f.Path)
		if err == nil && bytes.Equal(there, unix(f.Data)) {
			continue
		}
		if err == nil {
			r.Runtime = cmp.Or(r.Runtime, &OtherRuntime{Version: d.RuntimeVersion()})
			if !written.unchanged(f.Path, there) {
				r.Runtime.Changed = append(r.Runtime.Changed, f.Path)
			}
		}
		r.Files = append(r.Files, f)
	}
	r.removeOld(written, files)
	if err := d.wireRuntimeModule(r, before, after); err != nil {
		return err
	}
	return d.wireModule(r, after)
}

// removeOld removes the files of an earlier copy of the runtime that the new one lacks.
func (r *Result) removeOld(written record, files []File) {
	current := map[string]bool{}
	for _, f := range files {
		current[f.Path] = true
	}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		if r.Runtime != nil && strings.HasPrefix(name, bundleDir+"/runtime/") && !current[name] {
			r.Files = append(r.Files, File{Path: name, Removed: true})
		}
	}
}

var versionLine = regexp.MustCompile(`^// .*The runtime of msctl (\S+), `)

// RuntimeVersion returns the version of the msctl that wrote the workspace's copy of the
// runtime, or "".
func (d *Dir) RuntimeVersion() string {
	text, err := d.read(bundleDir + "/go.mod")
	if line := versionLine.FindSubmatch(text); err == nil && line != nil {
		return string(line[1])
	}
	return ""
}

// bundledBrokers returns the brokers whose transports the workspace's copy of the runtime
// contains.
func (d *Dir) bundledBrokers() []brokerView {
	return slices.DeleteFunc(brokersOf(workspace.Brokers()...), func(b brokerView) bool {
		_, err := os.Stat(filepath.Join(d.Root, filepath.FromSlash(bundleDir), "runtime", transportPackage(b.Transport)))
		return err != nil
	})
}

func transportsOf(brokers []brokerView) []workspace.Transport {
	list := make([]workspace.Transport, len(brokers))
	for i, b := range brokers {
		list[i] = b.Transport
	}
	return list
}

// wireRuntimeModule regenerates the go.mod of the runtime. The file counts as not edited
// if it equals the one that msctl wrote for the previous brokers.
func (d *Dir) wireRuntimeModule(r *Result, before, after []brokerView) error {
	var rendered [2]File
	for i, brokers := range [][]brokerView{before, after} {
		versions, err := readVersions(brokers)
		if err != nil {
			return err
		}
		v := view{versions: versions, Version: cmp.Or(d.Version, "devel")}
		if rendered[i], err = render("workspace/"+bundleDir+"/go.mod.tmpl", bundleDir+"/go.mod", v); err != nil {
			return err
		}
	}
	text, err := d.read(bundleDir + "/go.mod")
	if err != nil {
		return err
	}
	f := rendered[1]
	f.Edited = bytes.Equal(withoutFirstLine(text), withoutFirstLine(rendered[0].Data))
	r.Files = append(r.Files, f)
	return nil
}

func withoutFirstLine(text []byte) []byte {
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	return rest
}

// wireModule adds the modules of the brokers' drivers to the workspace's own
// go.mod and go.sum.
func (d *Dir) wireModule(r *Result, brokers []brokerView) error {
	v, err := readVersions(brokers)
	if err != nil {
		return err
	}
	sums, err := v.sums(brokers)
	if err != nil {
		return err
	}
	before, err := d.read("go.mod")
	if err != nil {
		return err
	}
	after, err := addRequires(before, v.Modules)
	if err != nil {
		r.byHand("go.mod cannot be edited (%v): run `go mod tidy`", err)
		return nil
	}
	r.edit("go.mod", before, after)
	before, err = d.read("go.sum")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.edit("go.sum", before, mergeSums(before, sums))
	return nil
}
