package report

import _ "embed"

//go:embed bench.schema.json
var schema string

// Schema returns the JSON Schema (2020-12) of saved documents. docs/ has a copy.
func Schema() string { return schema }
