package microtcp_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestNestSeesEmptyLists: a NestJS caller can iterate over a list that our service did not
// create.
func TestNestSeesEmptyLists(t *testing.T) {
	type order struct {
		Items []string          `json:"items"`
		Notes map[string]string `json:"notes"`
		Lines map[int][]string  `json:"lines"`
		By    *string           `json:"by"`
	}
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, micro.Cmd("list"), func(context.Context, micro.None) ([]order, error) { return nil, nil })
	micro.Handle(s, micro.Cmd("order"), func(context.Context, micro.None) (order, error) { return order{}, nil })
	client := testenv.NestClient(t, testenv.Nest12, "--port", portOf(t, serve(t, s)))
	for pattern, want := range map[string]string{
		`{"cmd":"list"}`:  `{"next":[]}`,
		`{"cmd":"order"}`: `{"next":{"items":[],"notes":{},"lines":{},"by":null}}`,
	} {
		events, err := client.Call(testenv.Call{Pattern: json.RawMessage(pattern)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, e.String())
		}
		if diff := cmp.Diff([]string{want, `{"complete":true}`}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
	}
}
