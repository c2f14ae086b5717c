package report_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/test/golden"
)

// schemaOf compiles the published schema, with validation of formats.
func schemaOf(t *testing.T) *jsonschema.Schema {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(report.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiler.AssertContent()
	if err := compiler.AddResource("bench.schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("bench.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// TestSchemaIsPublished compares the copy in docs/ with the embedded schema.
func TestSchemaIsPublished(t *testing.T) {
	golden.Check(t, filepath.Join("..", "..", "..", "docs", "bench.schema.json"), report.Schema())
}

// asJSON returns a document as generic JSON.
func asJSON(t *testing.T, d *report.Document) any {
	t.Helper()
	var out bytes.Buffer
	if err := d.Save(&out); err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(&out)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestSavedRunsFollowTheSchema checks that the schema accepts saved documents and rejects
// broken ones.
func TestSavedRunsFollowTheSchema(t *testing.T) {
	schema := schemaOf(t)
	for name, d := range documents(t) {
		t.Run(name, func(t *testing.T) {
			if err := schema.Validate(asJSON(t, d)); err != nil {
				t.Fatal(err)
			}
		})
	}
	whole := short(collapse(t))
	whole.Runs[0] = short(documents(t)["many_errors"]).Runs[0]
	whole.Runs[0].Triggers = short(collapse(t)).Runs[0].Triggers
	hold(t, whole, "p99<1s")
	broken := 0
	breakEach(asJSON(t, whole), func(value any, how string) {
		broken++
		if schema.Validate(value) == nil {
			t.Errorf("still valid with %s", how)
		}
	})
	if broken < 400 {
		t.Errorf("only %d ways were found to break a document", broken)
	}
}

// short returns a document with only the first element of each list.
func short(d *report.Document) *report.Document {
	d.Runs = d.Runs[:1]
	r := &d.Runs[0]
	r.Seconds, r.Cohorts = r.Seconds[:1], r.Cohorts[:min(1, len(r.Cohorts))]
	return d
}

// breakEach calls try with the document changed in one place at a time: in the first object
// of each kind, each required property is removed or replaced by a list, and an unknown one
// is added.
func breakEach(document any, try func(value any, how string)) {
	var walk func(value any, path string)
	walk = func(value any, path string) {
		switch v := value.(type) {
		case []any:
			if len(v) > 0 {
				walk(v[0], path+"[0]")
			}
		case map[string]any:
			v["unknown"] = true
			try(document, path+".unknown")
			delete(v, "unknown")
			for name, old := range v {
				if !optional(name) {
					delete(v, name)
					try(document, "no "+path+"."+name)
				}
				v[name] = map[string]any{"a": []any{}}
				try(document, path+"."+name+" of another kind")
				v[name] = old
				walk(old, path+"."+name)
			}
		}
	}
	walk(document, "document")
}

// optional reports whether a property may be absent: those with omitempty in the Go types.
func optional(name string) bool {
	var list []string
	for _, of := range []any{
		report.Document{}, report.Run{}, report.Policy{}, report.Attempts{}, report.ErrorCount{}, report.Second{},
		report.Trigger{}, report.Experiment{}, report.Cell{}, report.Suggestion{}, report.ThresholdResult{},
	} {
		for i := range reflect.TypeOf(of).NumField() {
			if tag, ok := strings.CutSuffix(reflect.TypeOf(of).Field(i).Tag.Get("json"), ",omitempty"); ok {
				list = append(list, tag)
			}
		}
	}
	return slices.Contains(list, name)
}

// TestSchemaKnowsEveryField checks that the properties of the schema are the fields of the Go
// types, and that those without omitempty are required.
func TestSchemaKnowsEveryField(t *testing.T) {
	var s struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(report.Schema()), &s); err != nil {
		t.Fatal(err)
	}
	types := map[string]any{
		"machine": report.Machine{}, "run": report.Run{}, "policy": report.Policy{}, "attempts": report.Attempts{},
		"latency": report.Latency{}, "error": report.ErrorCount{}, "message": report.Message{}, "second": report.Second{},
		"change": report.Change{}, "trigger": report.Trigger{}, "experiment": report.Experiment{}, "axis": report.Axis{},
		"cell": report.Cell{}, "suggestion": report.Suggestion{}, "basis": report.Basis{}, "quantiles": report.Quantiles{}, "objective": report.Objective{}, "backlog": report.Backlog{},
		"fault": report.Fault{}, "agent": report.Agent{}, "threshold": report.ThresholdResult{},
	}
	s.object.check(t, "document", report.Document{})
	for name, of := range types {
		s.Defs[name].check(t, name, of)
	}
}

type object struct {
	Properties map[string]json.RawMessage `json:"properties"`
	Required   []string                   `json:"required"`
}

func (o object) check(t *testing.T, name string, of any) {
	t.Helper()
	var fields, required []string
	for i := range reflect.TypeOf(of).NumField() {
		tag := reflect.TypeOf(of).Field(i).Tag.Get("json")
		field, left := strings.CutSuffix(tag, ",omitempty")
		fields = append(fields, field)
		if !left {
			required = append(required, field)
		}
	}
	var properties []string
	for p, text := range o.Properties {
		properties = append(properties, p)
		if !strings.Contains(string(text), `"description"`) && !strings.Contains(string(text), `"$ref"`) {
			t.Errorf("%s.%s has no description", name, p)
		}
	}
	for _, list := range [][]string{fields, required, properties, o.Required} {
		slices.Sort(list)
	}
	if diff := cmp.Diff(fields, properties); diff != "" {
		t.Errorf("%s: fields and properties -Go +schema\n%s", name, diff)
	}
	if diff := cmp.Diff(required, o.Required); diff != "" {
		t.Errorf("%s: required -Go +schema\n%s", name, diff)
	}
}
