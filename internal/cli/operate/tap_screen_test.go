package operate

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	reported "github.com/msctl/msctl/runtime/tap"
)

func sentMessage(change func(*tap.Message)) tap.Message {
	m := tap.Message{Service: "gateway", Record: reported.Record{
		Kind: reported.Send, Pattern: `{"cmd":"createItem"}`, Transport: "tcp", In: 17, Data: json.RawMessage(`{"name":"it's"}`),
	}}
	if change != nil {
		change(&m)
	}
	return m
}

// TestTapCommand checks the command that the screen copies. Nothing of the service's data is looked up.
func TestTapCommand(t *testing.T) {
	cases := []struct {
		name   string
		to     string
		change func(*tap.Message)
		want   string // the command, or the error
	}{
		{"request", "items", nil, `msctl send --to items cmd=createItem '{"name":"it'\''s"}'`},
		{"event", "items", func(m *tap.Message) { m.Kind, m.Pattern = reported.Emit, `"item.v1.viewed"` }, `msctl emit --to items item.v1.viewed '{"name":"it'\''s"}'`},
		{"handled event", "items", func(m *tap.Message) { m.Kind, m.Event = reported.Handle, true }, `msctl emit --to items cmd=createItem '{"name":"it'\''s"}'`},
		{"an address", "", func(m *tap.Message) { m.Peer = "127.0.0.1:3002" }, `msctl send --to tcp://127.0.0.1:3002 cmd=createItem '{"name":"it'\''s"}'`},
		{"a broker", "", func(m *tap.Message) { m.Peer, m.Transport = "127.0.0.1:4222", "nats" }, `msctl send cmd=createItem '{"name":"it'\''s"}'`},
		{"no data", "items", func(m *tap.Message) { m.Data, m.In = nil, 0 }, `msctl send --to items cmd=createItem`},
		{"a number", "items", func(m *tap.Message) { m.Data = json.RawMessage(`-5`) }, `msctl send --to items -- cmd=createItem -5`},
		{"variables", "items", func(m *tap.Message) { m.Data = json.RawMessage(`{"a":"$HOME","b":"${HOME}","c":"$5"}`) }, `msctl send --to items cmd=createItem '{"a":"\u0024HOME","b":"\u0024{HOME}","c":"$5"}'`},
		{"control characters", "items", func(m *tap.Message) { m.Data = json.RawMessage("\"\x1b[2J\u202e\"") }, `msctl send --to items cmd=createItem '"\u001b[2J\u202e"'`},
		{"metadata", "items", func(m *tap.Message) {
			m.Data, m.In = nil, 0
			m.Metadata = map[string]string{"tenant": "a b", "file": "@/etc/passwd", "home": "$HOME", "principal": "***", "correlation-id": "1", "timeout-ms": "5", reported.Key: "x", "traceparent": "y"}
		}, `msctl send --to items --meta 'file=\@/etc/passwd' --meta 'home=\$HOME' --meta 'tenant=a b' cmd=createItem`},
		{"HTTP", "", func(m *tap.Message) { m.Kind = reported.HTTP }, "this is an HTTP request: select one of the messages below it"},
		{"cut", "items", func(m *tap.Message) { m.Data, m.In, m.Cut = json.RawMessage(`"{\"a"`), 20_000, true }, "the data was not recorded completely"},
		{"not recorded", "items", func(m *tap.Message) { m.Data = nil }, "the data was not recorded completely"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := tapCommand(&tapSource{}, sentMessage(c.change), c.to)
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestResend sends recorded messages again, to a real service.
func TestResend(t *testing.T) {
	t.Setenv("HOME", "a secret of the user")
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, micro.Cmd("createItem"), func(_ context.Context, data json.RawMessage) (json.RawMessage, error) {
		if strings.Contains(string(data), "fail") {
			return nil, micro.Errorf(404, "no such item")
		}
		return data, nil
	})
	listener := microtcp.Listen("127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	addr, err := listener.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to := "tcp://" + addr.String()
	for _, c := range []struct {
		name, data, want string
	}{
		{"a reply", `{"a":"$HOME","b":"@/etc/passwd"}`, "{\n  \"a\": \"\\u0024HOME\",\n  \"b\": \"@/etc/passwd\"\n}\n"},
		{"an error", `{"a":"fail"}`, "error: " + to + " returned an error: no such item (status 404)"},
		{"masked", `{"password":"***"}`, "the data has masked secrets: press c, and replace the *** in the command"},
	} {
		t.Run(c.name, func(t *testing.T) {
			console, _ := term.NewTest("", term.Facts{})
			m := sentMessage(func(m *tap.Message) { m.Data = json.RawMessage(c.data) })
			got, err := resend(t.Context(), console, &tapSource{}, m, to)
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestSaveMessages checks that a saved tree can be read, and that no file is overwritten.
func TestSaveMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tree.jsonl")
	want := sentMessage(nil)
	if err := saveMessages(path, []tap.Message{want}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tap.ParseMessage(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := saveMessages(path, nil); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("the file was overwritten: %v", err)
	}
}

// TestWritePage checks that the page has the trees that the filter selects.
func TestWritePage(t *testing.T) {
	console, b := term.NewTest("", term.Facts{})
	var trees tap.Trees
	for _, outcome := range []reported.Outcome{reported.OK, reported.TimedOut} {
		trees.Add(sentMessage(func(m *tap.Message) { m.Span, m.Outcome = string(outcome), outcome }))
	}
	path := filepath.Join(t.TempDir(), "tap.html")
	v := tapView{io: console, o: tapOptions{html: path, filter: tap.Filter{Errors: true}}, trees: &trees}
	if err := v.writePage("shop"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "✖ timeout") || strings.Contains(string(text), `chip good`) || !strings.Contains(b.Err.String(), "wrote "+path+": 1 call tree") {
		t.Errorf("%q: %s", b.Err.String(), text)
	}
}
