package report_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/runtime/policy"
)

// saveText returns a document as written by Save.
func saveText(t *testing.T, d *report.Document) string {
	t.Helper()
	var out bytes.Buffer
	if err := d.Save(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestSave checks that saved documents are unchanged after loading.
func TestSave(t *testing.T) {
	for name, d := range documents(t) {
		read, err := report.Load(strings.NewReader(saveText(t, d)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(d, read, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: what was saved and read -want +got\n%s", name, diff)
		}
	}
	if err := sample(t).Save(broken{}); err == nil {
		t.Error("a disk that is full is no error")
	}
}

// TestSavedHistogram checks that other tools can read all latencies in the file.
func TestSavedHistogram(t *testing.T) {
	read, err := report.Load(strings.NewReader(saveText(t, sample(t))))
	if err != nil {
		t.Fatal(err)
	}
	h, err := hdr.Decode([]byte(read.Runs[0].Latency[report.LatencyAll].HDR))
	if err != nil {
		t.Fatal(err)
	}
	if got := time.Duration(h.ValueAtQuantile(99)); h.TotalCount() != 1000 || got.Round(ms) != 990*ms {
		t.Errorf("the saved histogram holds %d latencies with p99 %s, want 1000 with 990ms", h.TotalCount(), got)
	}
}

// TestSavedFileIsReadable checks that numbers share lines, and that only lines of histograms
// are long.
func TestSavedFileIsReadable(t *testing.T) {
	text := saveText(t, collapse(t))
	lines := strings.Split(text, "\n")
	if bare := regexp.MustCompile(`(?m)^\s*-?[0-9]+,?$`).FindAllString(text, -1); len(bare) > 0 {
		t.Errorf("%d lines hold a number alone", len(bare))
	}
	for _, line := range lines {
		if len(line) > 110 && !strings.Contains(line, `"hdr"`) && !strings.Contains(line, `": "`) {
			t.Errorf("a line is %d bytes long: %.120s…", len(line), line)
		}
	}
	// 5 runs of 30 s each.
	if len(lines) > 8000 || len(text) > 280_000 {
		t.Errorf("%d lines, %d bytes", len(lines), len(text))
	}
}

// TestPolicyBothWays checks that a policy's settings are unchanged after conversion.
func TestPolicyBothWays(t *testing.T) {
	for _, name := range policy.PresetNames() {
		p, _ := policy.Preset(name, policy.WithBreaker(policy.Breaker{Ratio: 0.5}), policy.WithHedge(policy.Hedge{Quantile: 0.95}))
		for _, settings := range []policy.Settings{p.Settings(), policy.New().Settings()} {
			described := report.NewPolicy(settings)
			if diff := cmp.Diff(settings, described.Settings()); diff != "" {
				t.Errorf("%s: -before +after\n%s", name, diff)
			}
			if described.Text != policytext.Describe(settings) {
				t.Errorf("%s is called %q", name, described.Text)
			}
		}
	}
}

// change replaces the first old in text.
func change(t *testing.T, text, old, other string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("no %s to change", old)
	}
	return strings.Replace(text, old, other, 1)
}

func TestLoadRefuses(t *testing.T) {
	text := saveText(t, sample(t))
	swept := saveText(t, sweep(t))
	cases := map[string]struct{ text, want string }{
		"nothing":            {"", "the file is empty"},
		"blanks":             {" \n\n", "the file is empty"},
		"text":               {"hello", "not JSON"},
		"a list":             {"[]", "not JSON"},
		"gob of vegeta":      {"\x7f\xff\x81\x03\x01\x01\x06Result\x01\xff\x82\x00\x01\x0c\x01\x06Attack", "vegeta report"},
		"JSON of vegeta":     {`{"attack":"a","seq":0,"code":200,"latency":5}`, "vegeta results"},
		"another JSON":       {`{"name":"x"}`, "no version"},
		"version 2":          {change(t, text, `"version": 3`, `"version": 2`), "format version 2, which this msctl cannot read: repeat the run"},
		"version 4":          {change(t, text, `"version": 3`, `"version": 4`), "update msctl"},
		"cut off":            {text[:len(text)/2], "was it truncated?"},
		"cut off by one":     {strings.TrimSuffix(text, "}\n"), "was it truncated?"},
		"not JSON inside":    {change(t, text, `"kind": "run",`, `"kind": run,`), "line 4: invalid JSON"},
		"trailing data":      {text + "{}", "invalid JSON"},
		"a text for a count": {change(t, text, `"offered": 1003`, `"offered": "many"`), "offered: unexpected string"},
		"a list for a run":   {`{"version":3,"kind":"run","runs":[[]]}`, ": unexpected array"},
		"another kind":       {change(t, text, `"kind": "run"`, `"kind": "walk"`), `kind: "walk" is not run`},
		"no runs":            {`{"version":3,"kind":"run","runs":[]}`, "runs: must not be empty"},
		"a wrong sum":        {change(t, text, `"ok":970`, `"ok":971`), "runs[0].outcomes: the sum is 1004, but offered is 1003"},
		"a negative count":   {change(t, text, `"ok":970`, `"ok":-1`), "runs[0].outcomes.ok: -1 is negative"},
		"another outcome":    {change(t, text, `"shed":3`, `"shy":3`), "unknown outcome"},
		"another verdict":    {change(t, swept, `"verdict": "RECOVERED"`, `"verdict": "GREAT"`), "runs[0].triggers[0]: a trigger requires"},
		"a cell too far":     {change(t, swept, `"cell": 8`, `"cell": 9`), "runs[8].cell: 9 is not one of the 9 cells"},
		"a best too far":     {change(t, swept, `"best": 4`, `"best": 44`), "experiment.best: 44 is not one of the 9 cells"},
		"values missing":     {change(t, swept, `"values": ["100ms","0"]`, `"values": ["100ms"]`), "experiment.cells[0].values: 1 values for 2 axes"},
		"no histogram":       {regexp.MustCompile(`"hdr": "[^"]{9}`).ReplaceAllString(text, `"hdr": "broken!!!`), "latency."},
		"another count":      {change(t, text, `"count": 1000`, `"count": 999`), "it contains 1000 values, but count is 999"},
		"seconds disordered": {change(t, text, `"at_ns": 1000000000`, `"at_ns": 0`), "runs[0].seconds[1].at_ns: seconds must ascend"},
		"too many objects":   {`{"version":3,"runs":[` + strings.Repeat("{},", 1<<20) + `{}]}`, "objects"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := report.Load(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
	if _, err := report.Load(unreadable{}); !errors.Is(err, errUnreadable) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

type unreadable struct{}

var errUnreadable = errors.New("input/output error")

func (unreadable) Read([]byte) (int, error) { return 0, errUnreadable }

// TestHistogramsAreBounded checks that a small file cannot allocate much memory.
func TestHistogramsAreBounded(t *testing.T) {
	text := saveText(t, sample(t))
	giant, err := hdr.New(1, 1<<62, 5).Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ hdr, want string }{
		"range": {string(giant), "not written by msctl"},
		"text":  {strings.Repeat("A", 2<<20), "too large"},
		"short": {"AAAA", "too short"},
	} {
		hostile := regexp.MustCompile(`"hdr": "[^"]*"`).ReplaceAllString(text, `"hdr": "`+c.hdr+`"`)
		if _, err := report.Load(strings.NewReader(hostile)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.want)
		}
	}
}

// FuzzLoad checks that every document that Load accepts can be rendered and saved.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"version":3,"kind":"run","runs":[{"outcomes":{"ok":1},"offered":1}]}`))
	f.Add([]byte(`{"version":3,"kind":"collapse","runs":[{"seconds":[{"at_ns":0},{"at_ns":1}],"triggers":[{"verdict":"COLLAPSED"}]}],"experiment":{"cells":[{}],"best":0}}`))
	f.Add([]byte(`{"version":3,"kind":"sweep","runs":[{"cell":1}],"experiment":{"axes":[{"name":"a","values":["1"]},{"name":"b"}],"cells":[{"values":["1","2"]},{"values":["",""]}],"best":-1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := report.Load(bytes.NewReader(data))
		if err != nil {
			return
		}
		render(t, d)
	})
}

// render writes every report of a document.
func render(t *testing.T, d *report.Document) {
	t.Helper()
	var out bytes.Buffer
	threshold, err := report.ParseThreshold("p99<1s")
	if err != nil {
		t.Fatal(err)
	}
	d.Hold([]report.Threshold{threshold})
	for name, err := range map[string]error{
		"text": d.Text(&out, golden.Plain{}, format.Width), "page": d.HTML(&out), "CSV": d.CSV(&out), "JUnit": d.JUnit(&out), "Markdown": d.Markdown(&out),
		"file": d.Save(&out),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
