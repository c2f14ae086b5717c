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

// addon is an optional package of the runtime, by its name below runtime/.
type addon string

const telemetry addon = "telemetry"

// addons are the optional packages of a workspace with telemetry, or without.
func addons(withTelemetry bool) []addon {
	if withTelemetry {
		return []addon{telemetry}
	}
	return nil
}

// telemetryModules are the modules that package telemetry requires, directly or indirectly.
var telemetryModules = []string{
	"github.com/beorn7/perks", "github.com/cenkalti/backoff/v5", "github.com/cespare/xxhash/v2", "github.com/go-logr/logr", "github.com/go-logr/stdr",
	"github.com/google/uuid", "github.com/grpc-ecosystem/grpc-gateway/v2", "github.com/munnerz/goautoneg", "github.com/prometheus/client_golang",
	"github.com/prometheus/client_model", "github.com/prometheus/common", "github.com/prometheus/procfs", "go.opentelemetry.io/auto/sdk",
	"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/exporters/otlp/otlptrace", "go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp",
	"go.opentelemetry.io/otel/log", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/trace",
	"go.opentelemetry.io/proto/otlp", "golang.org/x/net", "golang.org/x/sys", "golang.org/x/text", "google.golang.org/genproto/googleapis/api",
	"google.golang.org/genproto/googleapis/rpc", "google.golang.org/grpc", "google.golang.org/protobuf",
}

// bundledModules returns the modules that the packages of the bundle require, directly or
// indirectly, sorted by name: those of the gateway, of the brokers' drivers, and of the optional
// packages. A test compares the list with the imports. Package webhook requires another one,
// which `go mod tidy` adds for workspaces that use it.
func bundledModules(brokers []brokerView, more ...addon) []string {
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
	if slices.Contains(more, telemetry) {
		list = append(list, telemetryModules...)
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

func readVersions(brokers []brokerView, more ...addon) (versions, error) {
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
	for _, name := range bundledModules(brokers, more...) {
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
func (v versions) sums(brokers []brokerView, more ...addon) ([]byte, error) {
	text, err := fs.ReadFile(msctl.Root(), "go.sum")
	if err != nil {
		return nil, err
	}
	names := []string{"tidy"}
	switch {
	case slices.Contains(brokers, brokerView{workspace.Redis}):
		names = append(names, "redis")
	case !slices.Contains(more, telemetry):
		names = append(names, "noredis") // the driver and telemetry require a newer version of a module in these tests
	}
	if slices.Contains(brokers, brokerView{workspace.RabbitMQ}) {
		names = append(names, "rabbitmq")
	}
	if v.Store != "" && v.Store != Memory {
		names = append(names, string(v.Store))
	}
	if slices.Contains(more, telemetry) {
		names = append(names, "telemetry")
		if !slices.Contains(brokers, brokerView{workspace.NATS}) {
			names = append(names, "nonats") // the driver requires a newer version of a module in these tests
		}
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
// without the transports of brokers and the optional packages that are not used.
func bundle(brokers []brokerView, more ...addon) ([]File, error) {
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
			if err != nil || entry.IsDir() || !bundled(p) || !needed(p, brokers, more) {
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

// needed reports whether a file belongs to a package that the workspace requires.
func needed(p string, brokers []brokerView, more []addon) bool {
	if strings.HasPrefix(p, "runtime/"+string(telemetry)+"/") {
		return slices.Contains(more, telemetry)
	}
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
