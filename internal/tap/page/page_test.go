package page

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term/visible"
	reported "github.com/msctl/msctl/runtime/tap"
)

// session returns the trees of the messages that the tests of all views share.
func session(t *testing.T) []*tap.Span {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "outline", "testdata", "session.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var trees tap.Trees
	for lines := bufio.NewScanner(file); lines.Scan(); {
		m, err := tap.ParseMessage(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		trees.Add(m)
	}
	return trees.Roots()
}

func write(t *testing.T, p *Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPage checks the required content of a page. It writes the page to the folder MSCTL_TEST_PAGES, if set.
func TestPage(t *testing.T) {
	p := New("shop", session(t), time.Unix(1795984376, 0))
	p.Missing, p.Forgotten = 3, 1
	page := write(t, p)
	for _, piece := range []string{
		"<h1>shop</h1>", "7 call trees in ", "3 with errors", "1 older record left out", "3 records missing",
		"<b>gateway</b> <span class=\"dim\">→</span> <b>items</b> <code>findAllItems</code>", "↻2/2", "↩ items replied 222ms too late",
		"✖ stock: Item with ID nope not found (status 404)", `<i class="key">&#34;limit&#34;</i>`, "<dd>principal: ***</dd>",
		"RpcException: Item with ID nope not found\n    at StockService.reserve", "Reply: the last of 40 values", `class="good sent" style="left:`,
	} {
		if !strings.Contains(page, piece) {
			t.Errorf("the page lacks %s", piece)
		}
	}
	if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "NaN") {
		t.Error("the page has a value that could not be written")
	}
	if p.Shown() != 7 {
		t.Errorf("%d trees are shown", p.Shown())
	}
	if folder := os.Getenv("MSCTL_TEST_PAGES"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, "tap.html"), []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(write(t, New("shop", nil, time.Now())), "No messages.") {
		t.Error("a page without messages does not say so")
	}
	if err := p.Write(broken{}); err == nil {
		t.Error("a disk that is full is no error")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// TestOffline checks that nothing on the page uses the network, and that its policy permits its own script only.
func TestOffline(t *testing.T) {
	page := write(t, New("shop", session(t), time.Now()))
	fetching := regexp.MustCompile(`(?i)<(link|img|iframe|object|embed|audio|video|source|base|form|a|use|image)\b|\s(src|href|srcset|action|ping|background|poster)\s*=|url\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(`)
	if found := fetching.FindString(page); found != "" {
		t.Errorf("the page has %q", found)
	}
	_, rest, _ := strings.Cut(page, "<script>")
	script, _, ok := strings.Cut(rest, "</script>")
	if !ok || strings.Count(page, "<script") != 1 {
		t.Fatal("the page has no script, or several")
	}
	sum := sha256.Sum256([]byte(script))
	want := `content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-` + base64.StdEncoding.EncodeToString(sum[:]) + `'`
	if !strings.Contains(strings.ReplaceAll(page, "&#43;", "+"), want) {
		t.Error("the policy of the page does not permit its script only")
	}
}

// TestHostileTexts checks with a parser that texts of services stay text, in every field.
func TestHostileTexts(t *testing.T) {
	texts := []string{
		`</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'--></style><!--`, "\x1b[31m\u202e\x00", `{{.}}`, `</pre></section>`, `javascript:alert(1)`,
	}
	clean := shape(t, New("shop", []*tap.Span{hostile("x")}, time.Now()))
	for _, text := range texts {
		p := New("shop", []*tap.Span{hostile(text)}, time.Now())
		page := write(t, p)
		if strings.ContainsAny(page, "\x1b\x00\u202e") {
			t.Errorf("%q is on the page as it is", text)
		}
		if got := shape(t, p); got != clean {
			t.Errorf("%q changes the elements of the page:\n%s\n%s", text, got, clean)
		}
		document, err := html.Parse(strings.NewReader(page))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(contentOf(document), visible.Line(text)); got < 10 {
			t.Errorf("%q is %d times in the text of the page", text, got)
		}
	}
}

// hostile returns a tree that has a text in every field.
func hostile(text string) *tap.Span {
	quoted, _ := json.Marshal(text)
	record := reported.Record{
		Kind: reported.Send, Trace: text, Span: text, Pattern: text, Path: text, Call: text, Transport: text, Peer: text, ID: quoted,
		Correlation: text, Start: 1, Took: 10, Outcome: reported.Outcome(text), Error: &reported.Error{Message: text, Stack: text, Own: true},
		Data: quoted, Reply: json.RawMessage(`{` + string(quoted) + `:` + string(quoted) + `}`), Metadata: map[string]string{text: text},
	}
	s := &tap.Span{Message: tap.Message{Service: text, Runtime: text, Record: record}}
	handler := &tap.Span{Message: s.Message, Parent: s}
	handler.Kind = reported.Handle
	s.Children = []*tap.Span{handler, {Message: s.Message, Parent: s}}
	return s
}

// shape returns the names of the elements of a page, with those of their attributes. Parts of JSON are
// left out, because their number depends on the text.
func shape(t *testing.T, p *Page) string {
	t.Helper()
	document, err := html.Parse(strings.NewReader(write(t, p)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range document.Descendants() {
		if n.Type == html.ElementNode && (n.Data != "i" || n.Parent.Data != "pre") {
			b.WriteString(n.Data)
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func contentOf(document *html.Node) string {
	var b strings.Builder
	for n := range document.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return b.String()
}

// TestBounded checks that a page has the latest trees, and states how many it does not have.
func TestBounded(t *testing.T) {
	var roots []*tap.Span
	for i := range maxTrees + 5 {
		roots = append(roots, &tap.Span{Message: tap.Message{Service: "a", Record: reported.Record{Kind: reported.Emit, Pattern: fmt.Sprintf(`"e%d."`, i)}}})
	}
	page := write(t, New("shop", roots, time.Now()))
	if strings.Contains(page, "e4.") || !strings.Contains(page, "e5.") || !strings.Contains(page, "5 older call trees left out") {
		t.Error("the page does not have the latest trees")
	}
	big := json.RawMessage(`"` + strings.Repeat("x", maxBytes/3) + `"`)
	for i := range 5 {
		roots[i].Data = big
	}
	if p := New("shop", roots[:5], time.Now()); p.Shown() != 2 || p.leftOut != 3 {
		t.Errorf("%d large trees are shown, %d were left out", p.Shown(), p.leftOut)
	}
}
