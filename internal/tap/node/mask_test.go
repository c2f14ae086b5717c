package node_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/tap"
)

// masked is what an implementation makes of the cases in testdata/mask.json.
type masked struct {
	Texts     []string `json:"texts"`
	Names     []bool   `json:"names"`
	Documents []string `json:"documents"`
}

// TestMask checks that the script masks the same secrets as programs in Go.
func TestMask(t *testing.T) {
	needNode(t)
	file := filepath.Join("testdata", "mask.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases struct{ Texts, Names, Documents []string }
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	want := masked{}
	for _, text := range cases.Texts {
		want.Texts = append(want.Texts, tap.MaskText(text))
	}
	for _, name := range cases.Names {
		want.Names = append(want.Names, tap.IsSecret(name))
	}
	for _, document := range cases.Documents {
		want.Documents = append(want.Documents, string(tap.Mask(nil, []byte(document))))
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "mask.cjs"), preload(t), file)
	cmd.Env = clean()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got masked
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("masked (-Go +script):\n%s", diff)
	}
}

func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("MSCTL_TEST_NEST") == "required" {
			t.Fatal("node is not installed")
		}
		t.Skip("node is not installed")
	}
}
