package operate

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/workspace"
)

// TestDebugPorts checks the ports of services that are debugged: they depend on the place of
// the service in msctl.yaml only.
func TestDebugPorts(t *testing.T) {
	w := parsedWorkspace(t)
	for _, tt := range []struct {
		debug  []string
		offset int
		want   map[string]int
	}{
		{nil, 0, map[string]int{}},
		{[]string{"items"}, 0, map[string]int{"items": 2345}},
		{[]string{"mail", "orders"}, 0, map[string]int{"mail": 9230, "orders": 2347}},
		{[]string{"orders:40000", "mail"}, 100, map[string]int{"orders": 40000, "mail": 9330}},
	} {
		o := runOptions{debug: tt.debug, portOffset: tt.offset}
		got, err := o.parseDebug(w)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("--debug %v: error %v (-want +got):\n%s", tt.debug, err, diff)
		}
	}
}

// TestDebugWithoutDelve checks that a Go service, and no other, requires Delve.
func TestDebugWithoutDelve(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	w := parsedWorkspace(t)
	_, err := (&runOptions{debug: []string{"items"}}).debugged(t.Context(), w)
	if want := "debugging items requires Delve: dlv is neither on the PATH nor where go install puts programs"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
	if got, want := exit.Hint(err), "install it: `go install github.com/go-delve/delve/cmd/dlv@latest`"; got != want {
		t.Errorf("hint %q, want %q", got, want)
	}
	if _, err := (&runOptions{debug: []string{"mail"}}).debugged(t.Context(), w); err != nil {
		t.Error(err)
	}
}

func parsedWorkspace(t *testing.T) *workspace.Workspace {
	t.Helper()
	w, err := workspace.Parse(workspace.FileName, []byte("name: shop\nservices:\n"+
		"  items: {path: ./items, port: 3001}\n  mail: {command: npm start, port: 3002}\n  orders: {path: ./orders, port: 3003}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return w
}
