package page

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/browser"
)

// TestInBrowser filters the trees of a page in Chromium. The page makes no request, and its policy is not
// violated.
func TestInBrowser(t *testing.T) {
	browser.Need(t)
	path := filepath.Join(t.TempDir(), "tap.html")
	if err := os.WriteFile(path, []byte(write(t, New("shop", session(t), time.Now()))), 0o600); err != nil {
		t.Fatal(err)
	}
	b := browser.New(t)
	b.Open("file://" + path)
	b.Wait(`document.readyState === "complete" && !document.getElementById("filter").hidden`)
	const shown = `document.querySelectorAll(".tree:not([hidden])").length`
	if got := b.Eval(shown); got != 7.0 {
		t.Errorf("%v trees are shown", got)
	}
	b.Screenshot("tap", "body")
	b.Fill("#text", "WIDGET")
	if got, count := b.Eval(shown), b.Eval(`document.getElementById("count").textContent`); got != 3.0 || count != "3 of 7 trees" {
		t.Errorf("%v trees are shown, with the count %v", got, count)
	}
	b.Fill("#text", "")
	b.Click("#errors")
	if got := b.Eval(shown); got != 3.0 {
		t.Errorf("%v trees with errors are shown", got)
	}
	b.Click(".tree:not([hidden]) summary")
	b.Wait(`document.querySelector(".tree:not([hidden]) .facts").offsetHeight > 0`)
	b.Screenshot("tap_open", ".tree:not([hidden])")
	for _, request := range b.Seen("Network.requestWillBeSent") {
		if !strings.Contains(string(request), "file://"+path) {
			t.Errorf("a request: %s", request)
		}
	}
	if entries := b.Seen("Log.entryAdded"); len(entries) > 0 {
		t.Errorf("the browser reports %s", entries)
	}
}
