package nestinit

import "testing"

// TestNestedReferences checks the references in the values of files such as .env.
func TestNestedReferences(t *testing.T) {
	env := environment{"HOST": {value: "db"}, "EMPTY": {}}
	for text, want := range map[string]string{
		"$HOST:${HOST}": "db:db", "${NONE:-${HOST}}": "db", "${EMPTY:-x}": "x", "${HOST:-${NONE}}": "db", "amqp://${NONE:-a${NO:-b}c}:1": "amqp://abc:1",
		"${NONE}": "${NONE}", "a": "a", "p@$5": "p@$5",
	} {
		if got := expand(text, env); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
