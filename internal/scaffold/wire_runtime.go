package scaffold

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/msctl/msctl/internal/workspace"
)

// wireRuntime completes the workspace's copy of the runtime, its go.mod, and its go.sum
// for the first service on a broker. The copy must be that of this msctl, which [Origin.Age] reports.
// Files that the user has changed are left alone.
func (d *Dir) wireRuntime(r *Result, s Service) error {
	before := d.bundledBrokers()
	if !s.OnBroker() || slices.Contains(before, brokerView{s.Transport}) {
		return nil
	}
	if !d.exists(bundleDir + "/go.mod") {
		r.byHand("%s does not contain the runtime: run `go mod tidy` for the driver of %s", bundleDir, s.Transport.Title())
		return nil
	}
	after := brokersOf(append(transportsOf(before), s.Transport)...)
	files, err := bundle(after, d.addons()...)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !d.exists(f.Path) {
			r.Files = append(r.Files, f)
		}
	}
	if err := d.wireRuntimeModule(r, before, after); err != nil {
		return err
	}
	return d.wireModule(r, after)
}

// wireOrigin records the new service among the answers that render the workspace.
func (d *Dir) wireOrigin(r *Result, s Service) error {
	origin, err := ReadOrigin(d.Root)
	if err != nil || origin.Format == 0 {
		return err
	}
	answers, err := d.completed(origin.Answers.withService(s))
	if err != nil {
		return err
	}
	files, err := answers.render()
	if err != nil {
		return err
	}
	base, err := answers.archive(files)
	base.Edited = true
	r.Files = append(r.Files, base)
	return err
}

// bundledBrokers returns the brokers whose transports the workspace's copy of the runtime
// contains.
func (d *Dir) bundledBrokers() []brokerView {
	return slices.DeleteFunc(brokersOf(workspace.Brokers()...), func(b brokerView) bool {
		_, err := os.Stat(filepath.Join(d.Root, filepath.FromSlash(bundleDir), "runtime", transportPackage(b.Transport)))
		return err != nil
	})
}

// addons returns the optional packages that the workspace's copy of the runtime contains.
func (d *Dir) addons() []addon {
	return addons(d.exists(bundleDir + "/runtime/" + string(telemetry)))
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
		versions, err := readVersions(brokers, d.addons()...)
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
	v, err := readVersions(brokers, d.addons()...)
	if err != nil {
		return err
	}
	sums, err := v.sums(brokers, d.addons()...)
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
