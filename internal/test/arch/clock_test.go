package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// wallClock are the methods of time.Time whose result is a reading of the wall clock, or loses that of the monotonic clock. What
// is computed from it is wrong when the clock is set.
var wallClock = []string{"Unix", "UnixMilli", "UnixMicro", "UnixNano", "Round", "Truncate", "UTC", "Local", "In"}

// wallClockUses are the files of runtime/ that may use them, with the reason.
var wallClockUses = map[string]string{
	"micro/client.go":         "compares a time with itself",
	"micro/message.go":        "compares a time with itself",
	"micro/internal_error.go": "the time in an error, which people read",
	"micro/log.go":            "counts lines until the second changes, in either direction",
	"principal/key.go":        "the times in a token, which other machines compare with their clocks",
	"tap/span.go":             "the start of a message, which is compared with those of other programs",
	"microrabbit/frame.go":    "AMQP's timestamps, which only users read",
	"microrabbit/table.go":    "AMQP's timestamps, which only users read",
}

// TestMonotonicClock checks that the runtime measures and waits by the monotonic clock, which cannot be set.
func TestMonotonicClock(t *testing.T) {
	root := filepath.Join(testenv.Root(), "runtime")
	used := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		for node := range ast.Preorder(file) {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				continue
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains(wallClock, method.Sel.Name) || isOther(method, call) {
				continue
			}
			used[name] = true
			if wallClockUses[name] == "" {
				t.Errorf("%s: %s depends on the wall clock: use time.Until, time.Since, or micro.Clock", files.Position(call.Pos()), method.Sel.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range wallClockUses {
		if !used[name] {
			t.Errorf("%s no longer uses the wall clock: remove it from the list", name)
		}
	}
}

// isOther reports whether a call is not that of a method of time.Time: time.Unix creates a time, and durations are rounded to
// something other than 0.
func isOther(method *ast.SelectorExpr, call *ast.CallExpr) bool {
	if pkg, ok := method.X.(*ast.Ident); ok && pkg.Name == "time" {
		return true
	}
	if method.Sel.Name != "Round" && method.Sel.Name != "Truncate" || len(call.Args) != 1 {
		return false
	}
	zero, ok := call.Args[0].(*ast.BasicLit)
	return !ok || zero.Value != "0"
}
