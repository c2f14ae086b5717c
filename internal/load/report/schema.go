package report

import _ "embed"

//go:embed bench.schema.json
var schema string

// Schema is the JSON Schema (2020-12) of what Save writes. docs/ has a copy.
func Schema() string { return schema }
