package scaffold

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
)

// asOlder makes the workspace in dir look as if an older msctl had created it, whose
// templates differ: in each file, the old text stands for the new one. An empty new text
// removes the file from the older templates, and an empty old text adds one.
func asOlder(t *testing.T, dir string, edits map[string][2]string) {
	t.Helper()
	a, err := readArchive(dir)
	if err != nil {
		t.Fatal(err)
	}
	written, _, err := readRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range edits {
		text, wasThere := tree(t, dir)[name]
		switch {
		case edit[1] == "" && wasThere:
			delete(a.files, name)
			delete(written, name)
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			continue
		case !wasThere:
			text = edit[0]
		case !strings.Contains(text, edit[1]):
			t.Fatalf("%s does not contain %q", name, edit[1])
		}
		put(t, dir, name, strings.ReplaceAll(text, edit[1], edit[0]))
		if strings.HasPrefix(name, bundleDir+"/") {
			written[name] = objectID([]byte(edit[0]))
			continue
		}
		if base, isBase := a.files[name]; isBase {
			text = string(base)
		}
		a.files[name] = []byte(strings.ReplaceAll(text, edit[1], edit[0]))
		written[name] = objectID(placeholders().replaced(a.files[name], testSecrets()))
	}
	var files []File
	for name, data := range a.files {
		files = append(files, File{Path: name, Data: data})
	}
	a.Answers.Version = "v0.9.0"
	older, err := a.Answers.archiveOf(files, "older")
	if err != nil {
		t.Fatal(err)
	}
	written[archiveFile] = objectID(older.Data)
	put(t, dir, archiveFile, string(older.Data))
	put(t, dir, recordFile, string(written.text()))
}

// upgrade upgrades the workspace in dir, and returns what happened to each file.
func upgrade(t *testing.T, dir string) map[string]Change {
	t.Helper()
	d := open(t, dir)
	d.Version = "test"
	plan, err := d.Upgrade(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	steps, err := d.UpgradeSteps(plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, steps, true); err != nil {
		t.Fatal(err)
	}
	changes := map[string]Change{}
	for _, c := range plan.Changes {
		changes[c.Path] = c
	}
	return changes
}

// olderEdits are differences between the templates of an older msctl and those of this one.
func olderEdits() map[string][2]string {
	return map[string][2]string{
		"apps/items/server.go":              {"// It was described in another way.\nfunc (s *service) register(", "func (s *service) register("},
		"apps/orders/service.go":            {"// It was described in another way.\ntype service struct", "type service struct"},
		"compose.yaml":                      {"stop_grace_period: 10s", "stop_grace_period: 15s"},
		"Makefile":                          {"go build -o bin/", "go build -trimpath -o bin/"},
		"internal/config/secret.go":         {"", ""},
		"internal/config/former.go":         {"package config\n", ""},
		"internal/config/edited.go":         {"package config\n\n// former\n", ""},
		"go.mod":                            {"github.com/rs/cors v1.0.0", "github.com/rs/cors v1.11.1"},
		bundleDir + "/runtime/micro/old.go": {"package micro\n", ""},
	}
}

// TestUpgrade upgrades a workspace with edits of all kinds.
func TestUpgrade(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	fresh := tree(t, dir)
	asOlder(t, dir, olderEdits())

	change(t, dir, "apps/items/server.go", "package main\n", "package main\n\n// mine\n")
	change(t, dir, "compose.yaml", "name: shop\n", "name: shop # mine\n")
	change(t, dir, "Makefile", "go build -o bin/", "go build -v -o bin/")
	change(t, dir, "internal/config/edited.go", "// former", "// mine")
	change(t, dir, "go.mod", "\n// The runtime", "\nrequire example.com/mine v1.0.0\n\nreplace example.com/mine => ../mine\n\n// The runtime")
	change(t, dir, "msctl.yaml", "port: 3002", "port: 4002 # mine")
	put(t, dir, "apps/mine.go", "package mine\n")
	if err := os.Remove(filepath.Join(dir, ".github", "workflows", "ci.yaml")); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	changes := upgrade(t, dir)
	got := map[string]Fate{}
	for name, c := range changes {
		got[name] = c.Fate
	}
	want := map[string]Fate{
		"apps/items/server.go": Merged, "apps/orders/service.go": Updated, "compose.yaml": Merged, "Makefile": Conflicted,
		"internal/config/secret.go": Added, "internal/config/former.go": Dropped, "internal/config/edited.go": Retained, "go.mod": Merged,
		bundleDir + "/runtime/micro/old.go": Dropped, ".github/workflows/ci.yaml": Deleted,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	after := tree(t, dir)
	for name, text := range map[string]string{
		"apps/items/server.go":   strings.Replace(fresh["apps/items/server.go"], "package main\n", "package main\n\n// mine\n", 1),
		"apps/orders/service.go": fresh["apps/orders/service.go"],
		"compose.yaml":           strings.Replace(fresh["compose.yaml"], "name: shop\n", "name: shop # mine\n", 1),
		"msctl.yaml":             before["msctl.yaml"], "apps/mine.go": before["apps/mine.go"], "internal/config/edited.go": before["internal/config/edited.go"],
	} {
		if diff := cmp.Diff(text, after[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	marked := "<<<<<<< yours\n\tgo build -v -o bin/ ./apps/...\n=======\n\tgo build -trimpath -o bin/ ./apps/...\n>>>>>>> msctl test\n"
	if !strings.Contains(after["Makefile"], marked) || len(changes["Makefile"].Conflicts) != 1 {
		t.Errorf("no conflict in %s", after["Makefile"])
	}
	for _, line := range []string{"github.com/rs/cors v1.11.1", "require example.com/mine v1.0.0", "replace example.com/mine => ../mine", "replace github.com/msctl/msctl => ./third_party/msctl"} {
		if !strings.Contains(after["go.mod"], line) {
			t.Errorf("go.mod lacks %s:\n%s", line, after["go.mod"])
		}
	}
	for _, name := range []string{"internal/config/former.go", bundleDir + "/runtime/micro/old.go", ".github/workflows/ci.yaml"} {
		if _, exists := after[name]; exists {
			t.Errorf("%s exists", name)
		}
	}
	checkUpgraded(t, dir)
}

// checkUpgraded checks the state after an upgrade with a conflict in the Makefile: it is
// reported until it is resolved, and then the workspace is up to date.
func checkUpgraded(t *testing.T, dir string) {
	t.Helper()
	places, err := open(t, dir).Unresolved()
	if err != nil || len(places) != 3 || !strings.HasPrefix(places[0], "Makefile:") {
		t.Errorf("unresolved %q, %v", places, err)
	}
	text := tree(t, dir)["Makefile"]
	from, to := strings.Index(text, "<<<<<<<"), strings.Index(text, ">>>>>>> msctl test\n")+len(">>>>>>> msctl test\n")
	put(t, dir, "Makefile", text[:from]+"\tgo build -v -trimpath -o bin/ ./apps/...\n"+text[to:])
	if places, err := open(t, dir).Unresolved(); err != nil || places != nil {
		t.Errorf("unresolved %q, %v", places, err)
	}
	origin, err := ReadOrigin(dir)
	if err != nil {
		t.Fatal(err)
	}
	if age, err := origin.Age("test"); err != nil || age != Current {
		t.Errorf("age %v, %v", age, err)
	}
	before := tree(t, dir)
	for name, c := range upgrade(t, dir) {
		if c.Fate != Deleted {
			t.Errorf("the second upgrade changes %s: %v", name, c.Fate)
		}
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("the second upgrade changes files: %s", diff)
	}
}

// TestUpgradeKeepsAdditions: services and handlers that were added stay, and the next
// upgrade merges the files of the services, too.
func TestUpgradeKeepsAdditions(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	add := func(r Result, err error) {
		t.Helper()
		if err != nil || r.ByHand != nil {
			t.Fatal(err, r.ByHand)
		}
		if err := write(t, dir, false, r.Files...); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []Service{{Name: "payments", Port: 3004}, {Name: "mail", Transport: workspace.RabbitMQ}} {
		d := open(t, dir)
		d.Version = "test"
		add(d.NewService(s))
	}
	handler, _, err := open(t, dir).NewHandler(Handler{Service: "items", Name: "archiveItem", Route: "POST /items/archive"})
	add(handler, err)
	want := tree(t, dir)
	asOlder(t, dir, map[string][2]string{
		"apps/payments/main.go": {"package main // older\n", "package main\n"},
		"apps/items/server.go":  {"package main // older\n", "package main\n"},
		"compose.yaml":          {"stop_grace_period: 10s", "stop_grace_period: 15s"},
	})
	for name, c := range upgrade(t, dir) {
		if c.Fate != Merged && c.Fate != Updated {
			t.Errorf("%s: %v\n%s", name, c.Fate, c.After)
		}
	}
	got := tree(t, dir)
	for _, name := range []string{recordFile, archiveFile, "README.md"} { // of which msctl new service does not write all
		delete(got, name)
		delete(want, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-before +after): %s", diff)
	}
}

// TestUpgradeKeepsLineEndings: in a clone whose files end their lines with \r\n, an upgrade
// merges the same text, and the files keep their line endings.
func TestUpgradeKeepsLineEndings(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	asOlder(t, dir, map[string][2]string{
		"Makefile": {"go build -o bin/", "go build -trimpath -o bin/"}, "compose.yaml": {"stop_grace_period: 10s", "stop_grace_period: 15s"},
	})
	change(t, dir, "compose.yaml", "name: shop\n", "name: shop # mine\n")
	for name, text := range tree(t, dir) {
		if !strings.HasSuffix(name, "/") && !strings.ContainsRune(text, 0) {
			put(t, dir, name, strings.ReplaceAll(text, "\n", "\r\n"))
		}
	}
	changes := upgrade(t, dir)
	if changes["Makefile"].Fate != Updated || changes["compose.yaml"].Fate != Merged {
		t.Errorf("Makefile %v, compose.yaml %v", changes["Makefile"].Fate, changes["compose.yaml"].Fate)
	}
	after := tree(t, dir)
	for name, text := range map[string]string{"Makefile": "go build -trimpath", "compose.yaml": "name: shop # mine\r\n", recordFile: "compose.yaml"} {
		if !strings.Contains(after[name], text) || strings.Count(after[name], "\n") != strings.Count(after[name], "\r\n") {
			t.Errorf("%s lacks %q or has mixed line endings: %q", name, text, after[name])
		}
	}
}

// TestUpgradeOfRenamedModule: new and merged code imports the packages of a module that the
// user has renamed.
func TestUpgradeOfRenamedModule(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	asOlder(t, dir, map[string][2]string{"apps/items/main.go": {"package main // older\n", "package main\n"}, "apps/orders/main.go": {"", ""}})
	change(t, dir, "go.mod", "module shop\n", "module example.com/mine\n")
	for name, text := range tree(t, dir) {
		if strings.HasSuffix(name, ".go") && !strings.HasPrefix(name, bundleDir+"/") {
			put(t, dir, name, strings.ReplaceAll(text, `"shop/`, `"example.com/mine/`))
		}
	}
	changes := upgrade(t, dir)
	for name, want := range map[string]Fate{"apps/items/main.go": Updated, "apps/orders/main.go": Added} {
		text := tree(t, dir)[name]
		if changes[name].Fate != want || !strings.Contains(text, `"example.com/mine/internal/config"`) || strings.Contains(text, `"shop/`) {
			t.Errorf("%s: %v\n%s", name, changes[name].Fate, text)
		}
	}
}
