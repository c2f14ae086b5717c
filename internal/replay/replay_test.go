package replay

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const session = `
{"kind":"send","span":"01","trace":"t","pattern":"{\"cmd\":\"find\"}","start":10,"took":9,"outcome":"ok","data":{"id":"a"},"reply":{"id":"a","name":"Widget"},"service":"gateway"}
{"kind":"handle","span":"02","trace":"t","parent":"01","pattern":"{\"cmd\":\"find\"}","start":11,"took":7,"open":true,"service":"items"}
{"kind":"handle","span":"02","trace":"t","parent":"01","pattern":"{\"cmd\":\"find\"}","start":11,"took":7,"outcome":"ok","data":{"id":"a"},"reply":{"id":"a","name":"Widget"},"service":"items"}
{"kind":"handle","span":"03","trace":"t","pattern":"{\"cmd\":\"find\"}","start":20,"took":5,"outcome":"ok","data":{"id":"a"},"reply":{"id":"a","name":"Gadget"},"service":"items"}
{"kind":"handle","span":"04","trace":"t","pattern":"{\"cmd\":\"find\"}","start":30,"took":5,"outcome":"error","error":{"message":"none","status":404,"own":true},"data":{"id":"z"},"reply":{"status":404,"message":"none"},"service":"items"}
{"kind":"handle","span":"05","trace":"t","pattern":"\"login\"","start":40,"took":5,"outcome":"ok","data":{"password":"***"},"reply":true,"service":"users"}
{"kind":"emit","span":"06","trace":"t","pattern":"\"seen\"","start":50,"took":5,"outcome":"ok","data":1,"service":"items"}
{"kind":"send","span":"07","trace":"t","pattern":"\"slow\"","start":60,"took":5,"outcome":"timeout","service":"gateway"}
{"kind":"send","span":"08","trace":"t","pattern":"\"big\"","start":70,"took":5,"outcome":"ok","reply":"\"xx","cut":true,"service":"gateway"}
{"kind":"http","span":"09","trace":"t","pattern":"GET /","start":80,"took":5,"outcome":"ok","service":"gateway"}
{"dropped":3,"service":"items"}
`

func load(t *testing.T, text, service string) *Recording {
	t.Helper()
	r, err := Load(strings.NewReader(text), service)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLoad(t *testing.T) {
	list := func(r *Recording) (lines []string) {
		for _, x := range r.Exchanges {
			lines = append(lines, fmt.Sprintf("%d %s %s %s %s %t %v", x.Line, x.Service, x.Pattern, string(x.Data), string(x.Reply), x.Event, x.Took))
		}
		return lines
	}
	all := load(t, session, "")
	want := []string{
		`4 items {"cmd":"find"} {"id":"a"} {"id":"a","name":"Widget"} false 7ns`,
		`5 items {"cmd":"find"} {"id":"a"} {"id":"a","name":"Gadget"} false 5ns`,
		`6 items {"cmd":"find"} {"id":"z"} {"status":404,"message":"none"} false 5ns`,
		`7 users login {"password":"***"} true false 5ns`,
		`8  seen 1  true 5ns`,
	}
	if diff := cmp.Diff(want, list(all)); diff != "" || all.Cut != 1 || all.Unanswered != 1 {
		t.Errorf("cut %d, unanswered %d\n%s", all.Cut, all.Unanswered, diff)
	}
	if diff := cmp.Diff(want[3:4], list(load(t, session, "users"))); diff != "" {
		t.Error(diff)
	}
}

func TestLoadErrors(t *testing.T) {
	for text, want := range map[string]string{
		"\nno json": "line 2 is not a record",
		`{"span":"1","kind":"handle","outcome":"ok","pattern":"{"}`: "line 1: the pattern",
	} {
		if _, err := Load(strings.NewReader(text), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
}

// TestMock checks the replies of a mock: recorded ones in turn, errors, secrets, other data, and times.
func TestMock(t *testing.T) {
	recording := load(t, session, "")
	for _, nearest := range []bool{false, true} {
		m := NewMock(recording, nearest)
		c := microtest.Serve(t, m.Server("mock", slog.New(slog.DiscardHandler), recording.Patterns()))
		for _, step := range []struct{ pattern, data, want string }{
			{`{"cmd":"find"}`, `{"id":"a"}`, `{"id":"a","name":"Widget"}`},
			{`{"cmd":"find"}`, `{"id":"a"}`, `{"id":"a","name":"Gadget"}`},
			{`{"cmd":"find"}`, `{"id":"a"}`, `{"id":"a","name":"Gadget"}`},
			{`{"cmd":"find"}`, `{"id":"z"}`, `none (status 404)`},
			{`"login"`, `{"password":"hunter2"}`, `true`},
			{`{"cmd":"find"}`, `{"id":"new"}`, map[bool]string{true: `{"id":"new","name":"Gadget"}`, false: `not in this`}[nearest]},
			{`"other"`, `1`, `no matching message handler`},
		} {
			p, err := micro.ParsePattern(step.pattern)
			if err != nil {
				t.Fatal(err)
			}
			got, err := micro.Call[json.RawMessage](t.Context(), c, p, json.RawMessage(step.data))
			text := string(got)
			if err != nil {
				text = err.Error()
			}
			if step.want == "not in this" {
				step.want = "no message"
			}
			if !strings.Contains(text, step.want) {
				t.Errorf("nearest %t: %s %s: %s, want %s", nearest, step.pattern, step.data, text, step.want)
			}
		}
		stats := m.Stats()
		want := Stats{Replied: 5, Unknown: 1}
		if nearest {
			want = Stats{Replied: 6, Filled: 1}
		}
		if stats != want {
			t.Errorf("nearest %t: %+v", nearest, stats)
		}
	}
}

func TestTimes(t *testing.T) {
	text := strings.Replace(session, `"took":5,"outcome":"ok","data":{"password`, `"took":30000000,"outcome":"ok","data":{"password`, 1)
	recording := load(t, text, "users")
	for quick, least := range map[bool]time.Duration{false: 30 * time.Millisecond, true: 0} {
		m := NewMock(recording, false)
		m.Quick = quick
		c := microtest.Serve(t, m.Server("mock", slog.New(slog.DiscardHandler), recording.Patterns()))
		began := time.Now()
		if _, err := micro.Call[bool](t.Context(), c, micro.Name("login"), map[string]string{"password": "x"}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < least {
			t.Errorf("a reply took %v, want %v", took, least)
		}
	}
}

func TestCompare(t *testing.T) {
	tests := []struct {
		name, recorded, got string
		want                []string
	}{
		{"equal", `{"a":1,"b":["x"]}`, `{"b":["x"],"a":1.0}`, nil},
		{"the type of a member", `{"price":9.99}`, `{"price":"9.99"}`, []string{`$.price: 9.99, got "9.99"`}},
		{"members", `{"a":1,"b c":null}`, `{"a":1,"d":[]}`, []string{`$["b c"]: null, got missing`, `$.d: missing, got a list`}},
		{"a stable value", `{"name":"Widget","ok":true}`, `{"name":"Gadget","ok":false}`, []string{`$.name: "Widget", got "Gadget"`, `$.ok: true, got false`}},
		{
			"what varies", `{"id":"01a228fe-8535-7000-9ddc-deac1f7d2509","at":"2026-11-29T20:28:18.613Z","oid":"507f1f77bcf86cd799439011","m":"Item 507f1f77bcf86cd799439011 not found"}`,
			`{"id":"01a228fe-8662-7000-829a-8fc4a242aa30","at":"2027-01-01T00:00:00Z","oid":"607f1f77bcf86cd799439011","m":"Item 607f1f77bcf86cd799439011 not found"}`, nil,
		},
		{"an ID of another kind", `{"id":"01a228fe-8535-7000-9ddc-deac1f7d2509"}`, `{"id":"7"}`, []string{`$.id: "01a228fe-8535-7000-9ddc-deac1f7d2509", got "7"`}},
		{"lists of other lengths", `[{"a":1},{"a":1}]`, `[{"a":1}]`, nil},
		{"in a list", `[{"a":1},{"a":1}]`, `[{"a":1},{"a":null}]`, []string{`$[1].a: 1, got null`}},
		{"an empty list", `[1]`, `[]`, []string{`$: a list of 1, got an empty list`}},
		{"a secret", `{"token":"***"}`, `{"token":{"a":1}}`, nil},
		{"no value", ``, `1`, []string{`$: nothing, got 1`}},
		{"a value that is missing", `{}`, ``, []string{`$: an object, got nothing`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v Verifier
			found, err := v.Compare(&Exchange{Reply: json.RawMessage(tt.recorded)}, json.RawMessage(tt.got))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range found {
				got = append(got, fmt.Sprintf("%s: %s, got %s", d.Path, d.Recorded, d.Got))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestIDs checks that an ID that a service gives to something now is used in the data of later messages.
func TestIDs(t *testing.T) {
	const old, now = "01a228fe-8535-7000-9ddc-deac1f7d2509", "01a228fe-8662-7000-829a-8fc4a242aa30"
	var v Verifier
	if found, err := v.Compare(&Exchange{Reply: json.RawMessage(`{"id":"` + old + `"}`)}, json.RawMessage(`{"id":"`+now+`"}`)); err != nil || len(found) > 0 {
		t.Fatal(found, err)
	}
	data, err := v.Data(&Exchange{Data: json.RawMessage(`{"list":["` + old + `"],"n":1}`)})
	if want := `{"list":["` + now + `"],"n":1}`; err != nil || string(data) != want {
		t.Errorf("%s, %v, want %s", data, err, want)
	}
}

// FuzzLoad checks that no recording breaks the loader, the matcher, or the comparison.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(session), []byte(`{"id":"b"}`))
	f.Fuzz(func(_ *testing.T, text, data []byte) {
		r, err := Load(strings.NewReader(string(text)), "")
		if err != nil {
			return
		}
		m := NewMatcher(r, true)
		var v Verifier
		for _, x := range r.Exchanges {
			if found := m.Match(x.Pattern, data); found != nil {
				found.Fill(data)
			}
			_, _ = v.Data(x)
			_, _ = v.Compare(x, data)
		}
	})
}
