package micro

import (
	"fmt"
	"testing"
)

// TestSharedMetadata checks that neither a shared copy nor the original changes with the
// other, also where the original has room for another pair.
func TestSharedMetadata(t *testing.T) {
	m := Metadata{raw: []byte(`{"r":"received"}`)}
	for i := range 3 {
		m.Set(fmt.Sprint(i), "own") // three pairs have room for a fourth
	}
	first, second := m.Shared(), m.Shared()
	first.Set("1", "first")
	first.Set("n", "first")
	second.Set("n", "second")
	second.Set("r", "second")
	m.Set("0", "later")
	m.Set("n", "later")
	for name, tt := range map[string]struct {
		m    *Metadata
		want string
	}{
		"original": {&m, "later own later received"}, "first": {&first, "own first first received"}, "second": {&second, "own own second second"},
	} {
		got := ""
		for _, key := range []string{"0", "1", "n", "r"} {
			if got != "" {
				got += " "
			}
			if v := tt.m.Get(key); v != "" {
				got += v
			} else {
				got += "-"
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
