package page_test

import (
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/page"
)

func TestCursor(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "7", "019376a2-9c00-7000-8000-5f0c2a9d1e47", "é&?/", strings.Repeat("k", 300)} {
		cursor := page.After(key)
		if got, err := page.Key(cursor); err != nil || got != key {
			t.Errorf("%q became %q, and then %q, %v", key, cursor, got, err)
		}
		if strings.ContainsAny(cursor, "+/=&?") {
			t.Errorf("the cursor %q is not safe in a URL", cursor)
		}
	}
	for _, cursor := range []string{"7", "*", "Nw==", "Nx", "_w", " Nw", "Nw\n"} {
		if key, err := page.Key(cursor); err == nil {
			t.Errorf("%q was accepted as %q", cursor, key)
		}
	}
}
