package payload

import (
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

func TestMeta(t *testing.T) {
	attempt := &micro.Request{Attempt: 3, Deadline: time.UnixMilli(1_700_000_000_123)}
	for value, want := range map[string]string{
		"plain":                      "plain",
		"{{deadline}}":               "1700000000123",
		"a{{attempt}} of {{seq}}":    "a3 of 7",
		`{{if true}}x{{end}}{{seq}}`: "x7",
	} {
		valueOf, err := Meta(value)
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		if got := valueOf(7, attempt); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
	for value, want := range map[string]string{"{{nope}}": `function "nope" not defined`, "{{": "unclosed action", "{{seq 1}}": "want 0 got 1"} {
		if _, err := Meta(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", value, err, want)
		}
	}
}
