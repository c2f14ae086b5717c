package micro

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type base struct {
	ID int `json:"id"`
}

type Deep struct {
	*Deep2
	Also string `json:"also,omitzero"`
}

type Deep2 struct {
	*Deep      // embeds itself by way of Deep
	Two   bool `json:"two"`
}

type level int

func (l *level) MarshalText() ([]byte, error) { return []byte("x"), nil }

type custom struct{ hidden int }

func (c *custom) MarshalJSON() ([]byte, error) { return json.Marshal(c.hidden) }

type node struct {
	base
	*Deep
	Kids     []node            `json:"kids"`
	Parent   *node             `json:"parent,omitempty"`
	Names    map[string]string `json:"names"`
	Raw      json.RawMessage   `json:"raw"`
	Any      any               `json:"any"`
	Bytes    []byte            `json:"bytes"`
	At       time.Time         `json:"at"`
	Rate     float64           `json:"rate" doc:"A share." minimum:"0" maximum:"1"`
	Mood     string            `json:"mood" enum:"good,bad" minLength:"3" maxLength:"x" pattern:"^[a-z]+$" format:"word"`
	Level    level             `json:"level"`
	Custom   custom            `json:"custom"`
	On       bool
	Skipped  int `json:"-"`
	internal int
}

func TestSchema(t *testing.T) {
	_ = node{internal: 1}
	got, err := json.Marshal(schemaOf(reflect.TypeFor[*node]()))
	if err != nil {
		t.Fatal(err)
	}
	const again = `{"type":"object","title":"node","description":"recursive: as above"}`
	want := `{"type":"object","title":"node","properties":{"id":{"type":"integer"},"two":{"type":"boolean"},"also":{"type":"string"},` +
		`"kids":{"type":"array","items":` + again + `},"parent":{"type":"object","title":"node"},` +
		`"names":{"type":"object","additionalProperties":{"type":"string"}},"raw":{},"any":{},"bytes":{"type":"string","format":"byte"},` +
		`"at":{"type":"string","format":"date-time"},"rate":{"type":"number","description":"A share.","minimum":0,"maximum":1},` +
		`"mood":{"type":"string","format":"word","enum":["good","bad"],"pattern":"^[a-z]+$","minLength":3},` +
		`"level":{"type":"string","title":"level"},"custom":{"title":"custom"},"On":{"type":"boolean"}},` +
		`"required":["id","two","kids","names","raw","any","bytes","at","rate","mood","level","custom","On"]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var back Schema
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(&back); string(again) != string(got) {
		t.Errorf("comes back as %s", again)
	}
	for _, bad := range []string{`{"properties":{"a":1}}`, `{"properties":7}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil && bad != `{"properties":7}` {
			t.Errorf("%s was read", bad)
		}
	}
	for _, none := range []reflect.Type{nil, reflect.TypeFor[None](), reflect.TypeFor[json.RawMessage]()} {
		if s := schemaOf(none); s != nil {
			t.Errorf("%v is %+v", none, s)
		}
	}
	if s := schemaOf(reflect.TypeFor[struct{ E error }]()); s.Properties[0].Schema.Type != "" {
		t.Error("an interface has a type")
	}
}

// priced has an encoding of its own, and states what it is.
type priced int64

func (priced) MarshalJSON() ([]byte, error) { return []byte("1"), nil }
func (priced) JSONType() string             { return "number" }

func TestJSONType(t *testing.T) {
	type order struct {
		Total *priced `json:"total" minimum:"0" multipleOf:"0.01"`
	}
	got, err := json.Marshal(schemaOf(reflect.TypeFor[order]()))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"object","title":"order","properties":{"total":{"type":"number","title":"priced","minimum":0,"multipleOf":0.01}},"required":["total"]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}
