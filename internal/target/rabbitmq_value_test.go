package target

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
)

// TestPreconditionHint checks that following the hint for an argument that RabbitMQ has with
// another value gives the argument that value, with the same types.
func TestPreconditionHint(t *testing.T) {
	for _, tt := range []struct {
		value, kind string
		want        any // nil if an address cannot express it
	}{
		{`text`, "longstr", "text"},
		{`12`, "longstr", "12"},
		{`12`, "signedint", int64(12)},
		{`true`, "bool", true},
		{`[]`, "array", []any{}},
		{`[{longstr,<<"a">>},{long,-1},{double,0.5},{bool,true},{void,undefined}]`, "array", []any{"a", int64(-1), 0.5, true, nil}},
		{`[{<<"a">>,longstr,<<"x,y}">>},` + "\n " + `{<<"b">>,array,[{table,[{<<"c">>,long,1}]}]}]`, "table",
			map[string]any{"a": "x,y}", "b": []any{map[string]any{"c": int64(1)}}}},
		{`[{longstr,<<"caf\x{E9}">>}]`, "array", nil},
		{`[{longstr,<<"café"/utf8>>},{longstr,<<"\"q\"\\">>},{longstr,<<97,10>>},{longstr,<<>>}]`, "array", []any{"café", `"q"\`, "a\n", ""}},
		{`[{longstr,<<255>>}]`, "array", nil},
		{`[{signedint,1}]`, "array", nil},
		{`[{long,1}`, "array", nil},
		{`[{longstr,<<"a]`, "array", nil},
		{`{2,314}`, "decimal", nil},
		{`undefined`, "void", nil},
		{`1700000000`, "timestamp", nil},
	} {
		text := fmt.Sprintf("PRECONDITION_FAILED - inequivalent arg 'x-one' for queue 'q' in vhost '/': received none but current is the value '%s' of type '%s' (406)", tt.value, tt.kind)
		target, err := ParseURL("amqp://localhost/q")
		if err != nil {
			t.Fatal(err)
		}
		hint := exit.Hint(Explain(fmt.Errorf("%w: %w", micro.ErrRefused, errors.New(text)), target))
		found := regexp.MustCompile(`^to match it, set (x-one)=(\S+) in the address$`).FindStringSubmatch(hint)
		if tt.want == nil {
			if found != nil || regexp.MustCompile(`^an address cannot express its value, .+: use another queue, or delete it$`).FindString(hint) == "" {
				t.Errorf("%s: hint %q, want that an address cannot express it", tt.value, hint)
			}
			continue
		}
		if found == nil {
			t.Errorf("%s: hint %q", tt.value, hint)
			continue
		}
		followed, err := ParseURL("amqp://localhost/q?" + found[1] + "=" + found[2])
		if err != nil {
			t.Errorf("%s: following %q: %v", tt.value, hint, err)
			continue
		}
		if diff := cmp.Diff(tt.want, followed.Broker.Parameters["x-one"]); diff != "" {
			decoded, _ := url.QueryUnescape(found[2])
			t.Errorf("%s: the hint sets %s (-want +got):\n%s", tt.value, decoded, diff)
		}
	}
}
