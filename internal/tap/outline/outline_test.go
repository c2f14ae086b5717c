package outline

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term/visible"
	reported "github.com/msctl/msctl/runtime/tap"
)

// session returns the trees of the messages that the tests of all views share.
func session(t *testing.T) []*tap.Span {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "session.jsonl"))
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

// draw describes a tree, one line for each row.
func draw(t *Tree) (lines []string) {
	for i := range t.Rows {
		row := &t.Rows[i]
		text := row.Branch()
		switch row.Kind {
		case Failure:
			lines = append(lines, text+"✖ "+ErrorText(row))
			continue
		case Late:
			by, handler := LateBy(row.Span)
			lines = append(lines, text+"↩ "+handler+" "+by.String())
			continue
		case More:
			lines = append(lines, text+"…")
			continue
		case Message:
		}
		from, arrow, to := row.Parties()
		words := []string{from, arrow, to, PatternOf(row.Span), OutcomeOf(row.Span).Text}
		if row.Attempts > 0 {
			words = append(words, strings.Repeat("+", row.Attempt)+"/"+strings.Repeat("+", row.Attempts))
		}
		if row.Origin {
			words = append(words, "origin")
		}
		lines = append(lines, text+strings.Join(strings.Fields(strings.Join(words, " ")), " "))
	}
	return lines
}

// TestOutline checks how trees are laid out.
func TestOutline(t *testing.T) {
	evil := visible.Line("</script><script>alert(1)</script>\x1b[31mred\x1b[0m\u202egnp.exe\a\"'<!--")
	var got []string
	for _, root := range session(t) {
		got = append(got, draw(Of(root))...)
	}
	want := []string{
		"gateway GET /items 200",
		"└ gateway → items findAllItems ok",
		"gateway POST /orders 201",
		"└ gateway → orders createOrder ok",
		"  ├ orders → items findOneItem timeout +/++ origin",
		"  │ ✖ orders: no reply within 300ms",
		"  │ ↩ items 222ms",
		"  ├ orders → items findOneItem ok ++/++",
		"  └ orders ⇢ audit, mail order.v1.created ok",
		"    ├ → audit order.v1.created ok",
		"    └ → mail order.v1.created ok",
		"gateway POST /orders 422",
		"└ gateway → orders createOrder 422",
		"  └ orders → stock reserve 404 origin",
		"    ✖ stock: Item with ID nope not found (status 404)",
		"items ⇢ ? item.v1.viewed ok",
		"→ items watchItems ok",
		evil + " → ? " + evil + " 500 origin",
		"✖ " + evil + ": " + evil,
		"gateway → ? report open",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestBounds checks that a tree that is long or deep is drawn in part.
func TestBounds(t *testing.T) {
	root := &tap.Span{Message: tap.Message{Service: "a", Record: reported.Record{Kind: reported.HTTP, Span: "r"}}}
	for range maxRows {
		root.Children = append(root.Children, &tap.Span{Message: tap.Message{Service: "a", Record: reported.Record{Kind: reported.Emit}}, Parent: root})
	}
	if tree := Of(root); len(tree.Rows) != maxRows+1 || tree.Rows[maxRows].Kind != More {
		t.Errorf("%d rows", len(tree.Rows))
	}
	deep := &tap.Span{Message: tap.Message{Service: "a", Record: reported.Record{Kind: reported.Send}}}
	for at, n := deep, 0; n < 2*maxLevel; n++ {
		at.Children = []*tap.Span{{Message: at.Message, Parent: at}}
		at = at.Children[0]
	}
	tree := Of(deep)
	last := tree.Rows[len(tree.Rows)-1]
	if last.Kind != More || last.Depth != maxLevel || len([]rune(last.Branch())) > 24 {
		t.Errorf("the last of %d rows is %+v", len(tree.Rows), last)
	}
}

func TestPretty(t *testing.T) {
	cases := []struct {
		text string
		cut  bool
		want string
	}{
		{`{"a":1,"b":[true,null,{}],"c":[ ]}`, false, "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    null,\n    {}\n  ],\n  \"c\": []\n}"},
		{`"x, {y}: \" z"`, false, `"x, {y}: \" z"`},
		{`{ "a" : [ 1 , -2.5e3 ] }`, false, "{\n  \"a\": [\n    1,\n    -2.5e3\n  ]\n}"},
		{`"{\"a\":\"beginn"`, true, "{\n  \"a\": \"beginn"},
		{"{\"a\":\"\x1b[31m\u202e\"}", false, "{\n  \"a\": \"\\u001b[31m\\u202e\"\n}"},
		{`}}]`, false, "\n}\n}\n]"},
		{``, false, ""},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, Pretty(json.RawMessage(c.text), c.cut)); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.text, diff)
		}
	}
}

// FuzzPretty checks that the tokens and their order stay, and that nothing controls the terminal.
func FuzzPretty(f *testing.F) {
	f.Add(`{"a":[1,{"b":"c\"d"}],"e":null}`)
	f.Add(`{"a":"cut of`)
	f.Add("\x1b[2J\u202e\"\\")
	f.Fuzz(func(t *testing.T, text string) {
		pretty := Pretty(json.RawMessage(text), false)
		for line := range strings.SplitSeq(pretty, "\n") {
			var joined strings.Builder
			Parts(line, func(_ Role, part string) {
				if part == "" {
					t.Fatalf("%q has an empty part", line)
				}
				joined.WriteString(part)
			})
			if joined.String() != line {
				t.Errorf("the parts of %q are %q", line, joined.String())
			}
			for _, r := range line {
				if visible.Special(r) && r != '\t' {
					t.Errorf("%q contains %q", line, r)
				}
			}
		}
		if !json.Valid([]byte(text)) {
			return
		}
		var want, got any
		if json.Unmarshal([]byte(text), &want) == nil && json.Unmarshal([]byte(pretty), &got) == nil {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("another value: %s", diff)
			}
		} else {
			t.Errorf("%q became %q", text, pretty)
		}
	})
}
