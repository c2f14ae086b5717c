// Package openapi checks OpenAPI documents.
package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/goccy/go-yaml"
)

// Check returns an error if text, which is JSON or YAML, is not a valid OpenAPI document, if one
// of its references leads nowhere, or if an example does not match its schema.
func Check(ctx context.Context, text []byte) error {
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return fmt.Errorf("load the document: %w", err)
	}
	return doc.Validate(ctx, openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation(), openapi3.EnableSchemaPatternValidation())
}

// Same returns an error if a document differs in JSON and in YAML.
func Same(inJSON, inYAML []byte) error {
	var a, b any
	if err := json.Unmarshal(inJSON, &a); err != nil {
		return err
	}
	text, err := yaml.YAMLToJSON(inYAML)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(bytes.TrimSpace(text), &b); err != nil {
		return err
	}
	if !reflect.DeepEqual(a, b) {
		return fmt.Errorf("the document differs in YAML:\n%s", inYAML)
	}
	return nil
}
