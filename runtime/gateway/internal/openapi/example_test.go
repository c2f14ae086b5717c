package openapi

import (
	"reflect"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
)

type category struct {
	Name     string     `json:"name" example:"root"`
	Children []category `json:"children"`
	Parent   *category  `json:"parent,omitempty"`
}

type endless struct {
	Next *endless `json:"next" nullable:"false"`
}

type bounds struct {
	Even    int       `json:"even" minimum:"3" multipleOf:"2"`
	Low     float64   `json:"low" exclusiveMaximum:"0"`
	Above   int       `json:"above" exclusiveMinimum:"4"`
	Long    string    `json:"long" minLength:"6"`
	Short   string    `json:"short" maxLength:"2"`
	ID      string    `json:"id" format:"uuid"`
	Raw     []byte    `json:"raw"`
	Flag    bool      `json:"flag"`
	Pair    []int     `json:"pair" minItems:"2"`
	Empty   []any     `json:"empty"`
	Skipped string    `json:"skipped,omitempty"`
	Shown   string    `json:"shown,omitempty" example:"yes"`
	Set     string    `json:"set,omitempty" default:"preset"`
	Pairs   [2]string `json:"pairs" enum:"a,b"`
}

type impossible struct {
	Code string `json:"code" pattern:"^[A-Z]+$"`
}

func TestSample(t *testing.T) {
	for _, tt := range []struct {
		name       string
		of         any
		want       any
		stated, ok bool
	}{
		{"bounds", bounds{}, map[string]any{
			"even": 4.0, "low": -1.0, "above": 5.0, "long": "texttt", "short": "te", "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "raw": "dGV4dA==",
			"flag": true, "pair": []any{1.0, 1.0}, "empty": []any{}, "shown": "yes", "pairs": []any{"a", "a"},
		}, true, true},
		{"recursive", category{}, map[string]any{"name": "root", "children": []any{}}, true, true},
		{"endless", endless{}, nil, false, false},
		{"a pattern", impossible{}, nil, false, false},
		{"a string", "", "text", false, true},
	} {
		registry := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
		schema := registry.Schema(reflect.TypeOf(tt.of), true, "")
		got, stated, ok := Sample(registry, schema)
		if diff := cmp.Diff(tt.want, got); diff != "" || stated != tt.stated || ok != tt.ok {
			t.Errorf("%s: stated %t, ok %t\n%s", tt.name, stated, ok, diff)
		}
	}
}
