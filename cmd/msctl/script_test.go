package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/msctl/msctl/internal/cli"
	"github.com/msctl/msctl/internal/term"
)

// TestMain makes this test binary run as msctl and as the programs of helpers_test.go.
func TestMain(m *testing.M) {
	commands := map[string]func(){
		"msctl":          func() { os.Exit(run()) },
		"released-msctl": func() { os.Exit(cli.Main(term.System(), "v1.0.0", os.Args[1:])) },
	}
	for name, command := range helpers() {
		commands[name] = command
	}
	testscript.Main(m, commands)
}

// TestScripts runs testdata/script/*.txtar of the repository. In a script, `msctl` is
// this build. UPDATE_SCRIPTS=1 rewrites the expected output.
func TestScripts(t *testing.T) {
	cache, gopath := goFolders(t)
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "../../testdata/script",
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, ".home")
			env.Setenv("HOME", home)
			env.Setenv("REPOSITORY", repository)
			env.Setenv("USERPROFILE", home)
			env.Setenv("GOCACHE", cache)
			env.Setenv("GOPATH", gopath)
			env.Setenv("GOFLAGS", "-buildvcs=false -trimpath") // the runtime is built once for all workspaces
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Setenv("TERM", "xterm")
			env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			env.Values[testKey{}] = env.T()
			return os.MkdirAll(home, 0o755)
		},
		Cmds:                scriptCommands(),
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireUniqueNames:  true,
		ContinueOnError:     true,
		RequireExplicitExec: false,
	})
}

// goFolders returns the developer's build cache and module folder, so that scripts that
// build Go code can reuse them.
func goFolders(t *testing.T) (cache, gopath string) {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	userCache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache, gopath = os.Getenv("GOCACHE"), os.Getenv("GOPATH")
	if cache == "" {
		cache = filepath.Join(userCache, "go-build")
	}
	if gopath == "" {
		gopath = filepath.Join(home, "go")
	}
	return cache, gopath
}
