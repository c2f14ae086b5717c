package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/term"
)

// TestBenchOfAddressesWithPasswords: the password goes to the server, and is not in
// the command that runs the bench again.
func TestBenchOfAddressesWithPasswords(t *testing.T) {
	users := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		users <- user + " " + password
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	s, b := term.NewTest("", term.Facts{})
	code := Main(s, "", []string{"bench", "--to", "http://app:s3cret%40@" + host + "/x", "--requests", "1", "--fault", "latency=1ms"})
	if text := b.Out.String(); code != 0 || strings.Contains(text+b.Err.String(), "s3cret") || !strings.Contains(text, "--to http://app@"+host+"/x\n") {
		t.Errorf("code %d, %s\n%s", code, text, b.Err.String())
	}
	if got := <-users; got != "app s3cret@" {
		t.Errorf("the server was told %q", got)
	}
}
