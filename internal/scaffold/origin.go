package scaffold

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/msctl/msctl"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/templates"
)

// Origin describes the msctl that created a workspace or upgraded it last.
type Origin struct {
	// Format is the format of the archive. 0 means that there is no archive.
	Format int `json:"format"`
	// Version is the version of that msctl, or "" if it is unknown.
	Version string `json:"msctl"`
	// Edition identifies its templates and its runtime.
	Edition string `json:"edition"`
	// Answers are those from which it rendered the workspace.
	Answers Workspace `json:"answers"`
}

// archiveFormat is the format of the archives that this msctl writes.
const archiveFormat = 1

// Age is the age of a workspace, compared with this msctl.
type Age int

const (
	// Unmanaged is a workspace without files of msctl new.
	Unmanaged Age = iota
	// Current is a workspace that has the templates and the runtime of this msctl.
	Current
	// Behind is a workspace of an earlier msctl, or of one whose version is not that of a release.
	Behind
	// Ahead is a workspace of a newer msctl.
	Ahead
)

// ReadOrigin returns the origin of the workspace in dir. It is the zero Origin if msctl new
// did not create the workspace. A workspace that is older than the archive has only a
// version.
func ReadOrigin(dir string) (Origin, error) {
	a, err := readArchive(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Origin{Version: runtimeVersion(dir)}, nil
	}
	return a.Origin, err
}

var versionLine = regexp.MustCompile(`^// .*The runtime of msctl (\S+), `)

// runtimeVersion returns the version of the msctl that wrote the workspace's copy of the
// runtime, or "".
func runtimeVersion(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(bundleDir), "go.mod"))
	if line := versionLine.FindSubmatch(text); err == nil && line != nil {
		return string(line[1])
	}
	return ""
}

// Age compares the origin of a workspace with this msctl, which has the given version.
// Builds of one version may have other templates, so that they are compared, too.
func (o Origin) Age(version string) (Age, error) {
	switch {
	case o.Format == 0 && o.Version == "":
		return Unmanaged, nil
	case o.Format > archiveFormat:
		return Ahead, nil
	}
	own, err := edition()
	switch {
	case err != nil:
		return Unmanaged, err
	case o.Edition == own:
		return Current, nil
	case semver.IsValid(o.Version) && semver.IsValid(version) && newer(o.Version, version):
		return Ahead, nil
	}
	return Behind, nil
}

// Release returns the version of the workspace's msctl for `go install`, or "latest" if it
// was not a release.
func (o Origin) Release() string {
	if semver.IsValid(o.Version) && semver.Build(o.Version) == "" {
		return o.Version
	}
	return "latest"
}

// edition identifies the templates and the runtime of this msctl, with the versions of the
// modules that they require.
func edition() (string, error) {
	sum := sha256.New()
	add := func(dir string, files fs.FS, wanted func(string) bool) error {
		return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
			p := path.Join(dir, name)
			if err != nil || entry.IsDir() || !wanted(p) {
				return err
			}
			data, err := fs.ReadFile(files, name)
			fmt.Fprintf(sum, "%s %d\n%s", p, len(data), data)
			return err
		})
	}
	every := func(string) bool { return true }
	errs := []error{add("templates", templates.Files(), every), add("", msctl.Root(), every)}
	for _, m := range msctl.Modules() {
		errs = append(errs, add(m.Dir, m.Files, bundled))
	}
	fmt.Fprint(sum, workspace.Schema())
	return hex.EncodeToString(sum.Sum(nil))[:16], errors.Join(errs...)
}

// completed returns recorded answers with what the record does not hold: the version of this
// msctl, and the secrets of the workspace.
func (d *Dir) completed(w Workspace) (Workspace, error) {
	secrets, err := SecretsIn(d.Root)
	w.Version, w.Secrets = d.Version, secrets.complete()
	return w, err
}

// withService returns the answers with a service that `msctl new service` adds.
func (w Workspace) withService(s Service) Workspace {
	var services []Service
	for _, other := range w.Services {
		if other.Name != s.Name { // which the user had removed
			services = append(services, other)
		}
	}
	s.Plain = true
	services = append(services, s)
	w.Services = services
	return w
}

// inferAnswers returns the answers from which an msctl without an archive rendered the
// workspace, as far as its files show.
func (d *Dir) inferAnswers(written record) Workspace {
	has := func(name string) bool { return written[name] != "" || len(written) == 0 && d.exists(name) }
	w := Workspace{Name: d.Workspace.Name, Module: d.Module, Version: d.Version, Store: d.inferStore()}
	if gateway := d.gateway(); gateway != nil {
		w.GatewayPort = gateway.Port
	}
	for _, s := range d.Workspace.Services {
		if s.Kind != workspace.KindService || path.Clean(s.Path) != "apps/"+s.Name {
			continue
		}
		own := Service{Name: s.Name, Transport: s.Transport, Port: s.Port}
		switch s.Name { // a file that only the sample has
		case "items":
			own.Plain = !has("apps/items/store.go")
		case "orders":
			own.Plain = !has("apps/orders/catalog.go")
		case notifications:
			w.Notifications = has("apps/notifications/mail.go")
		}
		w.Services = append(w.Services, own)
	}
	return w
}

// inferStore returns the store whose driver the workspace requires.
func (d *Dir) inferStore() Store {
	text, err := d.read("go.mod")
	if err != nil || !d.exists("internal/database") {
		return Memory
	}
	for _, s := range Stores() {
		if drivers, err := s.drivers(); err == nil && len(drivers) > 0 && bytes.Contains(text, []byte(drivers[0].Path+" ")) {
			return s
		}
	}
	return Memory
}

// withOnly returns the answers with only the services of a msctl.yaml, if it has any.
func (w Workspace) withOnly(manifest []byte) Workspace {
	known, err := workspace.Parse(workspace.FileName, manifest)
	if err != nil {
		return w
	}
	var services []Service
	for _, s := range w.Services {
		if known.Service(s.Name) != nil {
			services = append(services, s)
		}
	}
	if len(services) > 0 {
		w.Services = services
	}
	return w
}

// withoutRemoved returns the answers without the services that the user has removed from
// msctl.yaml together with their folders, so that an upgrade removes the rest of them, too.
// Services that change the code of others stay.
func (d *Dir) withoutRemoved(w Workspace) Workspace {
	var services []Service
	for _, s := range w.Services {
		needed := w.Notifications || s.Name == "items" && w.service("orders") != nil
		if needed || d.Workspace.Service(s.Name) != nil || d.exists("apps/"+s.Name) {
			services = append(services, s)
		}
	}
	if len(services) > 0 {
		w.Services = services
	}
	return w
}

// moved returns the text of a file of a module under the module's current name.
func moved(text []byte, from, to string) []byte {
	if from == to {
		return text
	}
	return []byte(strings.ReplaceAll(string(text), `"`+from+`/`, `"`+to+`/`))
}
