package parity_test

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/page"
)

// The lists of the service.
const (
	allPages   = 45
	nextCursor = "k7"
)

// handleLists adds the handlers of lists and streams.
func (s *service) handleLists(server *micro.Server, handle func(string, replyFunc)) {
	handle("findPage", func(_ context.Context, data json.RawMessage) (json.RawMessage, error) {
		var in struct{ Cursor string }
		if err := json.Unmarshal(data, &in); err != nil {
			return nil, err
		}
		next := nextCursor
		if in.Cursor == nextCursor {
			next = ""
		}
		return json.Marshal(listed{Items: []string{"Cup"}, Total: allPages, Next: next})
	})
	many := json.RawMessage("[" + strings.Repeat(`{"name":"Cup"},`, 200) + `{"name":"Bowl"}]`)
	handle("findMany", func(context.Context, json.RawMessage) (json.RawMessage, error) { return many, nil })
	stream := func(cmd string, values []string, end error) {
		micro.HandleStream(server, micro.Cmd(cmd), func(_ context.Context, data json.RawMessage) iter.Seq2[json.RawMessage, error] {
			s.record(cmd, data)
			return replay(values, end)
		})
	}
	cups := []string{`{"id":"1","name":"Cup"}`, `{"id":"2","name":"Two\nlines"}`, `{"id":"3","name":"ü"}`}
	stream("watchItems", cups, nil)
	stream("watchTexts", []string{`"one"`, `"two"`}, nil)
	stream("watchBroken", cups[:1], micro.Errorf(409, "the catalog has changed"))
	stream("watchRefused", nil, micro.Errorf(404, "no catalog"))
}

// replay returns values, and then an error if there is one.
func replay(values []string, end error) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for _, v := range values {
			if !yield(json.RawMessage(v), nil) {
				return
			}
		}
		if end != nil {
			yield(nil, end)
		}
	}
}

// listed is a page of a list.
type listed struct {
	Items []string `json:"items"`
	Total int      `json:"total"`
	Next  string   `json:"next,omitempty"`
}

// watched is the input of a stream.
type watched struct {
	Last string `json:"last,omitempty" header:"Last-Event-ID"`
}

// addLists adds the routes of lists and streams.
func addLists(gw *gateway.Gateway, items *micro.Client) {
	public := gateway.WithPublic()
	gateway.Route(gw, "GET /pages", items, micro.NewMethod[page.Offset, listed](micro.Cmd("findPage")), public, gateway.WithPages(func(in page.Offset, out listed) gateway.Page {
		return gateway.Page{Limit: in.Limit, Offset: in.Offset, Total: out.Total}
	}))
	gateway.Route(gw, "GET /cursors", items, micro.NewMethod[page.Cursor, listed](micro.Cmd("findPage")), public, gateway.WithPages(func(_ page.Cursor, out listed) gateway.Page {
		return gateway.Page{Total: -1, Next: out.Next}
	}))
	gateway.Stream(gw, "GET /watch", items, method[watched]("watchItems"), public)
	gateway.Stream(gw, "GET /watch/texts", items, method[micro.None]("watchTexts"), public)
	gateway.Stream(gw, "GET /watch/broken", items, method[micro.None]("watchBroken"), public)
	gateway.Stream(gw, "GET /watch/refused", items, method[micro.None]("watchRefused"), public)
}

// startCompressing starts our gateway with compression.
func startCompressing(t *testing.T, s *service, items *micro.Client) peer {
	t.Helper()
	gw := gateway.New("Shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithDrain(time.Millisecond, 5*time.Second), gateway.WithCompression(0))
	public := gateway.WithPublic()
	gateway.Route(gw, "GET /compressed/many", items, method[micro.None]("findMany"), public)
	gateway.Route(gw, "GET /compressed/few", items, method[micro.None]("findAllItems"), public)
	gateway.Stream(gw, "GET /compressed/watch", items, method[micro.None]("watchItems"), public)
	return peer{name: "msctl", addr: listen(t, gw), service: s}
}
