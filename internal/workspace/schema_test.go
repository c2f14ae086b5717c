package workspace

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/msctl/msctl/internal/test/golden"
)

// TestSchemaIsPublished compares the copy in docs/ with the embedded schema.
func TestSchemaIsPublished(t *testing.T) {
	golden.Check(t, filepath.Join("..", "..", "docs", "msctl.schema.json"), Schema())
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("msctl.schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("msctl.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// accepted reports whether the schema accepts a file.
func accepted(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	var file any
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(string(asJSON)))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(parsed)
}

// services are services of a file, and whether they are valid.
var services = []struct {
	text  string
	valid bool
}{
	{"{path: ./apps/a, port: 3002}", true},
	{"{path: apps/a, port: 3002, kind: service, transport: tcp, host: 10.0.0.1}", true},
	{"{command: npm run start:dev, dir: ../mail, port: 3002}", true},
	{"{command: [npm, run, 1, true], port: 3002}", true},
	{`{command: 'node "my app.js"', port: 3002}`, true},
	{"{command: x, dir: /srv/mail, port: 3002, host: '::1'}", true},
	{"{path: a, transport: rabbitmq}", true},
	{"{path: a, transport: rabbitmq, queue: items_queue}", true},
	{"{path: a, transport: nats, queue: workers, ready: process}", true},
	{"{command: x, transport: redis, ready: http, port: 3002}", true},
	{"{command: x, transport: redis, ready: {pattern: {cmd: status}}}", true},
	{"{command: x, transport: nats, ready: {pattern: status.v1}}", true},
	{"{path: a, kind: gateway, port: 3001, depends_on: [], watch: ['apps/**/*.go']}", true},
	{"{path: a, kind: gateway, port: 3001, ready: process}", true},
	{"{path: a, port: 3002, tap: false}", true},
	{"{command: node main.js, port: 3002, tap: True}", true},
	{"{path: a, port: 1, env: {A: b, B: 1, C: true, D: 1.5, E: }}", true},
	{"{path: a, port: 65535, env: , depends_on: , watch: }", true},

	{"{path: a, port: '${P}'}", true},
	{"{path: a, port: '${P:-3002}', host: '${H:-localhost}', env: {A: '${B}', C: '${D:-e}'}}", true},
	{"{path: a, port: '$P'}", false},
	{"{path: a, port: '${P'}", false},

	{"{port: 3002}", false},
	{"{}", false},
	{"[]", false},
	{"{path: a}", false},
	{"{path: a, command: x, port: 3002}", false},
	{"{path: a, dir: b, port: 3002}", false},
	{"{path: /a, port: 3002}", false},
	{"{path: ../a, port: 3002}", false},
	{`{path: 'a\b', port: 3002}`, false},
	{"{path: '', port: 3002}", false},
	{"{path: a, port: 0}", false},
	{"{path: a, port: 65536}", false},
	{"{path: a, port: -1}", false},
	{"{path: a, port: 3002.5}", false},
	{"{path: a, port: http}", false},
	{"{path: a, port: 3002, host: 'http://a'}", false},
	{"{path: a, port: 3002, host: 'a b'}", false},
	{"{path: a, port: 3002, kind: worker}", false},
	{"{path: a, port: 3002, tap: off}", false},
	{"{path: a, port: 3002, tap: 'false'}", false},
	{"{path: a, port: 3002, tap: }", false},
	{"{path: a, port: 3002, transport: kafka}", false},
	{"{path: a, port: 3002, queue: q}", false},
	{"{path: a, port: 3002, ready: soon}", false},
	{"{path: a, port: 3002, ready: {}}", false},
	{"{path: a, port: 3002, ready: {pattern: a, more: b}}", false},
	{"{path: a, port: 3002, prot: 3003}", false},
	{"{path: a, port: 3002, depends_on: b}", false},
	{"{path: a, port: 3002, depends_on: [a, a]}", false},
	{"{path: a, port: 3002, env: [A=b]}", false},
	{"{path: a, port: 3002, env: {1A: b}}", false},
	{"{path: a, port: 3002, env: {A: [b]}}", false},
	{"{path: a, port: 3002, watch: '*.go'}", false},
	{"{path: a, port: 3002, watch: ['[a']}", false},
	{"{path: a, port: 3002, watch: ['']}", false},
	{"{path: a, transport: rabbitmq, port: 3002}", false},
	{"{path: a, transport: rabbitmq, queue: amq.a}", false},
	{"{path: a, transport: rabbitmq, queue: ''}", false},
	{"{path: a, transport: rabbitmq, queue: 'a b'}", false},
	{"{path: a, transport: redis, queue: q}", false},
	{"{path: a, transport: redis, ready: http}", false},
	{"{path: a, kind: gateway}", false},
	{"{path: a, kind: gateway, port: 3001, transport: tcp}", false},
	{"{path: a, kind: gateway, port: 3001, queue: q}", false},
	{"{path: a, kind: gateway, port: 3001, ready: message}", false},
	{"{path: a, kind: gateway, port: 3001, ready: {pattern: a}}", false},
	{"{command: '', port: 3002}", false},
	{"{command: ' ', port: 3002}", false},
	{`{command: 'node "x', port: 3002}`, false},
	{"{command: [], port: 3002}", false},
	{"{command: [''], port: 3002}", false},
	{"{command: {a: b}, port: 3002}", false},
}

// TestSchemaAgreesWithTheChecker compares the schema with the checker: both accept the valid
// files, and reject the others.
func TestSchemaAgreesWithTheChecker(t *testing.T) {
	schema := compiledSchema(t)
	type file struct {
		text  string
		valid bool
	}
	files := []file{
		{"name: shop\nservices: {}", true},
		{"name: shop\nservices:\nenv:\nbrokers:", true},
		{"name: a-1\nservices: {}\nenv: {A: b}\nbrokers: {rabbitmq: 'amqp://u:p@h:1/v', redis: 'rediss://:p@h', nats: 'nats://a:1,tls://b'}", true},
		{"name: shop\nservices: {}\nbrokers: {rabbitmq: 'amqp://a,amqp://b', nats: 'nats://a,b:4222'}", true},
		{"name: shop\nservices: {}\nbrokers: {redis: '${R}', nats: '${N:-nats://a}', rabbitmq: 'amqp://u:${P}@h'}", true},
		{"services: {}", false},
		{"name: shop", false},
		{"name: Shop\nservices: {}", false},
		{"name: \nservices: {}", false},
		{"name: shop\nservices: []", false},
		{"name: shop\nservices: {A: {path: a, port: 1}}", false},
		{"name: shop\nservices: {}\nversion: 2", false},
		{"name: shop\nservices: {}\nenv: [a]", false},
		{"name: shop\nservices: {}\nbrokers: {kafka: x}", false},
		{"name: shop\nservices: {}\nbrokers: {redis: 'http://a'}", false},
		{"name: shop\nservices: {}\nbrokers: {redis: 'redis://a,redis://b'}", false},
		{"name: shop\nservices: {}\nbrokers: {rabbitmq: amqp}", false},
		{"name: shop\nservices: {}\nbrokers: {nats: }", false},
		{"[]", false},
	}
	for _, s := range services {
		files = append(files, file{"name: shop\nservices:\n  a: " + s.text, s.valid})
	}
	for _, f := range files {
		_, checked := Parse(FileName, []byte(f.text))
		if validated := accepted(t, schema, f.text); (checked == nil) != f.valid || (validated == nil) != f.valid {
			t.Errorf("%s\nwant valid %v\nchecker: %v\nschema: %v", f.text, f.valid, checked, validated)
		}
	}
}

// TestSchemaIsPerService lists what only the checker finds, because it concerns several
// services.
func TestSchemaIsPerService(t *testing.T) {
	schema := compiledSchema(t)
	for _, text := range []string{
		"name: shop\nservices:\n  a: {path: a, port: 1}\n  b: {path: b, port: 1}",
		"name: shop\nservices:\n  a: {path: a, port: 1, depends_on: [b]}",
		"name: shop\nservices:\n  a: {path: a, port: 1, depends_on: [a]}",
	} {
		if err := accepted(t, schema, text); err != nil {
			t.Errorf("the schema rejects %s: %v", text, err)
		}
		if _, err := Parse(FileName, []byte(text)); err == nil {
			t.Errorf("the checker accepts %s", text)
		}
	}
}

// TestExamples: the examples in the documentation are valid.
func TestExamples(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "msctl-yaml.md"))
	if err != nil {
		t.Fatal(err)
	}
	var examples []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(name: .*?)```").FindAllStringSubmatch(string(page), -1) {
		examples = append(examples, m[1])
	}
	_, example, _ := strings.Cut(Help, "\n\n")
	example, _, _ = strings.Cut(example, "\n\n")
	examples = append(examples, regexp.MustCompile("(?m)^  ").ReplaceAllString(example, ""))
	if len(examples) < 3 {
		t.Errorf("%d examples", len(examples))
	}
	schema := compiledSchema(t)
	for _, text := range examples {
		if _, err := Parse(FileName, []byte(text)); err != nil {
			t.Errorf("%s\nchecker: %v", text, err)
		}
		if err := accepted(t, schema, text); err != nil {
			t.Errorf("%s\nschema: %v", text, err)
		}
	}
}
