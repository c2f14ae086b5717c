package micro

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCodecErrorsAreTheLibrarys: what is odd about a plain type is reported, and
// decoded as far as the library goes, as if there were no short cut.
func TestCodecErrorsAreTheLibrarys(t *testing.T) {
	type dto struct {
		ID    int     `json:"id"`
		Name  string  `json:"name"`
		Price float64 `json:"price"`
	}
	for _, text := range []string{
		`{"id":1,"name":"a","price":1.5}`, `{"id":1,"name":2,"price":3}`, `{"id":1.5}`, `{"ID":7,"NAME":"b"}`, `{"id":1,"id":2}`,
		`{"id":1,"name":"a"`, `{"id":99999999999999999999}`, `[]`, `null`, ``, `{"price":1e999,"id":3}`, `{"name":"\ud800"}`,
	} {
		var want, got dto
		wantErr, gotErr := library{}.Unmarshal([]byte(text), &want), JSON().Unmarshal([]byte(text), &got)
		if diff := cmp.Diff(errorText(wantErr), errorText(gotErr)); diff != "" {
			t.Errorf("%s: error (-want +got):\n%s", text, diff)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, v := range []any{dto{ID: 1, Name: "é\u2028<"}, dto{Price: math.NaN()}, dto{Price: 1e-7}, make(chan int), json.RawMessage("{"), nil} {
		want, wantErr := library{}.Append([]byte("x"), v)
		got, gotErr := JSON().Append([]byte("x"), v)
		if diff := cmp.Diff(errorText(wantErr), errorText(gotErr)); diff != "" {
			t.Errorf("%#v: error (-want +got):\n%s", v, diff)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%#v (-want +got):\n%s", v, diff)
		}
	}
}

// TestCodecMerges: a value that is not zero is decoded into as encoding/json does.
func TestCodecMerges(t *testing.T) {
	got := map[string]any{"kept": true}
	if err := JSON().Unmarshal([]byte(`{"new":1}`), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"kept": true, "new": 1.0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
