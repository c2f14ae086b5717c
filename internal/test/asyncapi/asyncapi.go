// Package asyncapi checks AsyncAPI 3.0 documents.
package asyncapi

import (
	"bytes"
	_ "embed" // for the schema
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed testdata/asyncapi-3.0.0.json
var specification []byte

var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(specification))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("asyncapi-3.0.0.json", parsed); err != nil {
		return nil, err
	}
	return compiler.Compile("asyncapi-3.0.0.json")
})

// Check returns an error if text, which is JSON or YAML, does not match AsyncAPI's schema, if one
// of its references leads nowhere, or if an operation uses a message that is not one of its
// channel.
func Check(text []byte) error {
	schema, err := compiled()
	if err != nil {
		return err
	}
	var doc any
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	} else {
		err = yaml.Unmarshal(text, &doc)
	}
	if err != nil {
		return err
	}
	if err := schema.Validate(doc); err != nil {
		return err
	}
	return errors.Join(append(dangling(doc, doc, ""), foreign(doc)...)...)
}

// dangling returns an error for each reference in v that leads nowhere.
func dangling(doc, v any, place string) (all []error) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			all = append(all, dangling(doc, item, fmt.Sprintf("%s/%d", place, i))...)
		}
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && at(doc, ref) == nil {
			all = append(all, fmt.Errorf("%s: %s does not exist", place, ref))
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			all = append(all, dangling(doc, v[key], place+"/"+key)...)
		}
	}
	return all
}

// at returns the value that a reference leads to, or nil.
func at(doc any, ref string) any {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	for key := range strings.SplitSeq(path, "/") {
		object, _ := doc.(map[string]any)
		doc = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(key)]
	}
	return doc
}

// foreign returns an error for each message of an operation, or of its reply, that its channel
// does not have.
func foreign(doc any) (all []error) {
	operations, _ := at(doc, "#/operations").(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		for _, part := range []any{operations[name], at(operations[name], "#/reply")} {
			channel, _ := at(part, "#/channel/$ref").(string)
			messages, _ := at(part, "#/messages").([]any)
			for _, m := range messages {
				if ref, _ := at(m, "#/$ref").(string); !strings.HasPrefix(ref, channel+"/messages/") {
					all = append(all, fmt.Errorf("operation %s: %s is not a message of %s", name, ref, channel))
				}
			}
		}
	}
	return all
}
