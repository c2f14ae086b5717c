package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load/report"
)

func pageOf(t *testing.T, d *report.Document) string {
	t.Helper()
	var out bytes.Buffer
	if err := d.HTML(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestHTML checks the required content of each page. It writes the pages to the folder
// MSCTL_TEST_PAGES, if set.
func TestHTML(t *testing.T) {
	pieces := map[string][]string{
		"plain": {
			`<h1>{&#34;cmd&#34;:&#34;findAllItems&#34;}</h1>`, "96.71%", "990ms", "Throughput", "Latency distribution", `class="change"`,
			"rate 500/s", "<code>p99&lt;50ms</code>", `<span class="chip bad">crossed</span>`, `<span class="chip good">met</span>`,
			"no answer in time", "<pre>msctl bench cmd=findAllItems --rate 500/s</pre>", "linux/amd64 with 2 processors, go1.26.0", "A second in which the load generator",
		},
		"collapsed":   {`<p class="verdict bad"><span>verdict</span>COLLAPSED</p>`, `class="band"`, "stall 4s", `class="doubt"`, "goodput was at 1% of"},
		"recovered":   {`<p class="verdict good"><span>verdict</span>RECOVERED</p>`, "after the trigger, and stayed."},
		"nothing":     {"<h1>p</h1>", "the service sent no replies"},
		"stopped":     {"unknown over HTTP", "4 requests in flight", "the breaker was open"},
		"many_errors": {"<h2>Messages</h2>", "never sent"},
		"collapse":    {"Which policies recover", "★", "95/s", "Goodput of each", "Suggested policy", "never"},
		"sweep":       {`class="heat"`, "retries 3", "timeout 300ms", `class="best"`},
		"sweep3":      {`class="list cells"`, "100ms"},
		"repeated":    {"run 1", "run 2"},
	}
	for name, d := range documents(t) {
		page := pageOf(t, d)
		for _, piece := range pieces[name] {
			if !strings.Contains(page, piece) {
				t.Errorf("%s: the page lacks %s", name, piece)
			}
		}
		if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "NaN") {
			t.Errorf("%s: the page has a value that could not be written", name)
		}
		checkOffline(t, name, page)
		if folder := os.Getenv("MSCTL_TEST_PAGES"); folder != "" {
			if err := os.WriteFile(filepath.Join(folder, name+".html"), []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := sample(t).HTML(broken{}); err == nil {
		t.Error("a disk that is full is no error")
	}
}

// checkOffline checks that nothing on the page uses the network, and that its policy would
// not permit it.
func checkOffline(t *testing.T, name, page string) {
	t.Helper()
	fetching := regexp.MustCompile(`(?i)<(link|img|iframe|object|embed|audio|video|source|base|form|a|use|image)\b|\s(src|href|srcset|action|ping|background|poster|on[a-z]+)\s*=|url\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(`)
	if found := fetching.FindString(page); found != "" {
		t.Errorf("%s: the page has %q", name, found)
	}
	if !strings.Contains(page, `content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-`) {
		t.Errorf("%s: the page does not forbid the network", name)
	}
}

// TestHTMLRunsItsScriptOnly checks that the policy of the page permits only its own script.
func TestHTMLRunsItsScriptOnly(t *testing.T) {
	page := pageOf(t, sample(t))
	_, rest, _ := strings.Cut(page, "<script>")
	script, _, ok := strings.Cut(rest, "</script>")
	if !ok || strings.Count(page, "<script>") != 1 {
		t.Fatal("the page has no script, or several")
	}
	sum := sha256.Sum256([]byte(script))
	named := regexp.MustCompile(`sha256-([^']+)'`).FindStringSubmatch(page)[1]
	if want := base64.StdEncoding.EncodeToString(sum[:]); strings.ReplaceAll(named, "&#43;", "+") != want {
		t.Errorf("the page allows the script %s, it has %s", named, want)
	}
}

// TestHostileHTML checks that text of the service is escaped.
func TestHostileHTML(t *testing.T) {
	d := hostileDocument(t)
	single := *d
	single.Runs, single.Experiment, single.Kind = d.Runs[1:2], nil, report.KindRun
	for name, d := range map[string]*report.Document{"several": d, "single": &single} {
		page := pageOf(t, d)
		for _, wrong := range []string{"<script>alert", "{{.}}</style>", `"><script`} {
			if strings.Contains(page, wrong) {
				t.Errorf("%s: the page has %s", name, wrong)
			}
		}
		clean := pageOf(t, collapse(t))
		if name == "several" && strings.Count(page, "<script") != strings.Count(clean, "<script") {
			t.Errorf("the page has %d scripts, one without hostile text %d", strings.Count(page, "<script"), strings.Count(clean, "<script"))
		}
		checkOffline(t, name, strings.ReplaceAll(page, "](http://evil.example/a)", ""))
	}
}

// TestHoverData checks the data of the script.
func TestHoverData(t *testing.T) {
	page := pageOf(t, sample(t))
	text := regexp.MustCompile(`(?s)<script type="application/json">(.*?)</script>`).FindStringSubmatch(page)
	var got struct {
		Length, Total float64
		Rows          []struct {
			Label, Class string
			Values       []string
		}
	}
	if err := json.Unmarshal([]byte(text[1]), &got); err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, row := range got.Rows {
		rows[row.Label] = row.Values
	}
	want := map[string][]string{
		"offered": {"500/s", "503/s"}, "attempts": {"520/s", "580/s"}, "ok": {"490/s", "480/s"}, "error": {"5/s", "15/s"},
		"timeout": {"5/s", "5/s"}, "shed": {"", "3/s"}, "max": {"", "10ns"}, "p99": {"", "9ns"}, "p99 of all": {"", "19ns"}, "p90": {"", "8ns"}, "p50": {"", "7ns"},
		"in flight": {"0", "2"}, "doubtful": {"lateness 20.0ms, CPU 25%", ""},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got.Length != 1 || got.Total != 2 {
		t.Errorf("a column is %g s long, the axis %g s", got.Length, got.Total)
	}
}

// TestLongRunIsDrawnInFewPoints checks that the page of a day is no larger than that of a
// quarter of an hour, and that no second is lost.
func TestLongRunIsDrawnInFewPoints(t *testing.T) {
	d := sample(t)
	r := &d.Runs[0]
	second := r.Seconds[1]
	r.Seconds, r.Elapsed = nil, 24*time.Hour
	for i := range 24 * 3600 {
		second.At = time.Duration(i) * time.Second
		r.Seconds = append(r.Seconds, second)
	}
	page := pageOf(t, d)
	if len(page) > 400_000 {
		t.Errorf("the page of a day has %d bytes", len(page))
	}
	if !strings.Contains(page, "503/s") || strings.Contains(page, "504/s") {
		t.Error("the rate of several seconds together is not theirs")
	}
}
