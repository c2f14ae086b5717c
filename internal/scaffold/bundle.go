package scaffold

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/msctl/msctl"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/templates"
)

const runtimeModule = "github.com/msctl/msctl"

// bundleDir is the folder of the runtime in a workspace.
const bundleDir = "third_party/msctl"

// bundledModules returns the modules that the packages of the bundle require, directly or
// indirectly, sorted by name: those of the gateway and of the brokers' drivers. A test
// compares the list with the imports. Package webhook requires another one, which
// `go mod tidy` adds for workspaces that use it.
func bundledModules(brokers []brokerView) []string {
	list := []string{"github.com/danielgtaylor/huma/v2", "github.com/go-jose/go-jose/v4", "github.com/rs/cors", "github.com/throttled/throttled/v2"}
	for _, b := range brokers {
		switch b.Transport {
		case workspace.RabbitMQ:
			list = append(list, "github.com/rabbitmq/amqp091-go")
		case workspace.Redis:
			list = append(list, "github.com/redis/go-redis/v9", "github.com/cespare/xxhash/v2", "go.uber.org/atomic", "golang.org/x/sys")
		case workspace.NATS:
			list = append(list, "github.com/nats-io/nats.go", "github.com/nats-io/nkeys", "github.com/nats-io/nuid",
				"github.com/klauspost/compress", "golang.org/x/crypto", "golang.org/x/sys")
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// versions holds the versions in msctl's own go.mod.
type versions struct {
	GoVersion string // 1.26.0
	GoMinor   string // 1.26
	Modules   []module.Version
	Direct    []module.Version // those of Modules that the workspace's own packages import
	Indirect  []module.Version // the others
	Store                      // whose driver is among them
}

// direct moves a module from Indirect to Direct.
func (v *versions) direct(path string) {
	v.Indirect = slices.DeleteFunc(v.Indirect, func(m module.Version) bool {
		if m.Path == path {
			v.Direct = append(v.Direct, m)
		}
		return m.Path == path
	})
}

// Required returns the modules that the workspace's own packages import, in the order of
// go.mod.
func (v versions) Required() []module.Version {
	list := append(slices.Clone(v.Direct), module.Version{Path: runtimeModule, Version: "v0.0.0-00010101000000-000000000000"})
	slices.SortFunc(list, func(a, b module.Version) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func readVersions(brokers []brokerView) (versions, error) {
	text, err := fs.ReadFile(msctl.Root(), "go.mod")
	if err != nil {
		return versions{}, err
	}
	var v versions
	goLine := regexp.MustCompile(`(?m)^go ((\d+\.\d+)\S*)$`).FindSubmatch(text)
	if goLine == nil {
		return versions{}, fmt.Errorf("msctl's go.mod has no go line")
	}
	v.GoVersion, v.GoMinor = string(goLine[1]), string(goLine[2])
	for _, name := range bundledModules(brokers) {
		line := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(name) + ` (v\S+)`).FindSubmatch(text)
		if line == nil {
			return versions{}, fmt.Errorf("msctl's go.mod does not require %s", name)
		}
		v.Modules = append(v.Modules, module.Version{Path: name, Version: string(line[1])})
	}
	v.Indirect = slices.Clone(v.Modules)
	return v, nil
}

// sums returns the go.sum of a workspace: our lines for its modules, and those that
// `go mod tidy` adds for the tests of these modules, so that it changes nothing.
func (v versions) sums(brokers []brokerView) ([]byte, error) {
	text, err := fs.ReadFile(msctl.Root(), "go.sum")
	if err != nil {
		return nil, err
	}
	names := []string{"tidy"}
	if slices.Contains(brokers, brokerView{workspace.Redis}) {
		names = append(names, "redis")
	} else {
		names = append(names, "noredis") // the driver requires a newer version of a module in these tests
	}
	if slices.Contains(brokers, brokerView{workspace.RabbitMQ}) {
		names = append(names, "rabbitmq")
	}
	if v.Store != "" && v.Store != Memory {
		names = append(names, string(v.Store))
	}
	var out []string
	for _, name := range names {
		tidy, err := fs.ReadFile(templates.Files(), "sums/"+name+".sum")
		if err != nil {
			return nil, err
		}
		out = append(out, strings.Split(strings.TrimSpace(string(tidy)), "\n")...)
	}
	found := map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) != 3 {
			continue
		}
		wanted := module.Version{Path: words[0], Version: strings.TrimSuffix(words[1], "/go.mod")}
		if slices.Contains(v.Modules, wanted) {
			out = append(out, lines.Text())
			found[wanted.Path]++
		}
	}
	for _, m := range v.Modules {
		if found[m.Path] != 2 {
			return nil, fmt.Errorf("msctl's go.sum does not contain %s %s", m.Path, m.Version)
		}
	}
	return mergeSums(nil, []byte(strings.Join(out, "\n"))), nil
}

// bundle returns the runtime's files, without its tests and generators, and
// without the transports of brokers that are not used.
func bundle(brokers []brokerView) ([]File, error) {
	license, err := fs.ReadFile(msctl.Root(), "LICENSE")
	if err != nil {
		return nil, err
	}
	files := []File{
		{Path: path.Join(bundleDir, "LICENSE"), Data: license, Generated: true},
		{Path: path.Join(bundleDir, "msctl.schema.json"), Data: []byte(workspace.Schema()), Generated: true}, // for editors
	}
	for _, m := range msctl.Modules() {
		err := fs.WalkDir(m.Files, ".", func(name string, entry fs.DirEntry, err error) error {
			p := path.Join(m.Dir, name)
			if err != nil || entry.IsDir() || !bundled(p) || !needed(p, brokers) {
				return err
			}
			data, err := fs.ReadFile(m.Files, name)
			if err != nil {
				return err
			}
			if path.Ext(p) == ".go" {
				data = markGenerated(data)
			}
			files = append(files, File{Path: path.Join(bundleDir, p), Data: data, Generated: true})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// bundled reports whether a file is copied into workspaces.
func bundled(p string) bool {
	switch {
	case strings.Contains(p, "/testdata/"), strings.Contains(p, "/internal/gen"), strings.Contains(p, "/nodetest/"), path.Base(p) == "sources.go":
		return false
	case path.Ext(p) == ".go":
		return !strings.HasSuffix(p, "_test.go")
	}
	return strings.HasPrefix(p, "runtime/gateway/ui/")
}

// needed reports whether a file belongs to a package that the brokers require.
func needed(p string, brokers []brokerView) bool {
	for _, t := range workspace.Brokers() {
		if strings.HasPrefix(p, "runtime/"+transportPackage(t)+"/") {
			return slices.Contains(brokers, brokerView{t})
		}
	}
	return true
}

// markGenerated marks the file as generated in its first line. Build constraints remain
// valid, since only blank lines and comments may precede them.
func markGenerated(source []byte) []byte {
	const line = "// Code generated by msctl: a copy of its runtime. DO NOT EDIT.\n\n"
	return append([]byte(line), source...)
}
