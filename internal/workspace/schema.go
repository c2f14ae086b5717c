package workspace

import _ "embed"

//go:embed msctl.schema.json
var schema string

// Schema returns the JSON Schema (2020-12) of workspace files, for editors. It cannot
// express what depends on several services: duplicate ports, unknown dependencies, and
// cycles. docs/ and each new workspace have a copy.
func Schema() string { return schema }
