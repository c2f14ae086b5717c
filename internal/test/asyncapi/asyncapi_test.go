package asyncapi

import (
	"strings"
	"testing"
)

// TestCheck: mistakes in a document are found.
func TestCheck(t *testing.T) {
	const good = `asyncapi: 3.0.0
info: {title: items, version: 1.0.0}
channels:
  create: {messages: {request: {payload: {$ref: "#/components/schemas/Item"}}}}
  create.reply: {messages: {reply: {payload: {type: string}}}}
operations:
  create:
    action: receive
    channel: {$ref: "#/channels/create"}
    messages: [{$ref: "#/channels/create/messages/request"}]
    reply: {channel: {$ref: "#/channels/create.reply"}, messages: [{$ref: "#/channels/create.reply/messages/reply"}]}
components: {schemas: {Item: {type: object}}}
`
	if err := Check([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, text, want string }{
		{"a wrong action", "receive", "publish", "value must be one of"},
		{"an unknown member", "operations:", "subscribe: {}\noperations:", "additional properties 'subscribe' not allowed"},
		{"another version", "3.0.0", "2.6.0", "value must be '3.0.0'"},
		{"no channel", `channel: {$ref: "#/channels/create"}`, "title: x", "missing property 'channel'"},
		{"an unknown type", "type: string", "type: text", "value must be one of"},
		{"a dangling reference", "schemas/Item", "schemas/Thing", "/channels/create/messages/request/payload: #/components/schemas/Thing does not exist"},
		{"a message of another channel", `[{$ref: "#/channels/create/messages/request"}]`, `[{$ref: "#/channels/create.reply/messages/reply"}]`, "#/channels/create.reply/messages/reply is not a message of #/channels/create"},
		{"a reply of another channel", `reply: {channel: {$ref: "#/channels/create.reply"}`, `reply: {channel: {$ref: "#/channels/create"}`, "is not a message of #/channels/create"},
	} {
		if !strings.Contains(good, tt.old) {
			t.Fatalf("%s: the document does not contain %s", tt.name, tt.old)
		}
		err := Check([]byte(strings.Replace(good, tt.old, tt.text, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %s", tt.name, err, tt.want)
		}
	}
}
