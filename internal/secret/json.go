package secret

import (
	"encoding/json"
	"strings"
)

// inJSON returns the credentials of a JSON text: the strings and numbers of names that
// stand for one, at any depth. Text that is not JSON is searched as free text.
func inJSON(text string) []span {
	if !json.Valid([]byte(text)) {
		return find(text, true)
	}
	w := jsonWalker{text: text}
	w.value("", false)
	return w.spans
}

// jsonWalker walks through valid JSON.
type jsonWalker struct {
	text  string
	at    int
	spans []span
	known func(value string) bool // reports other credentials; nil for none
}

// value walks through the value at w.at. name is that of the closest member; found means
// that a name around the value stands for a credential.
func (w *jsonWalker) value(name string, found bool) {
	w.space()
	switch w.text[w.at] {
	case '{':
		w.list(func() {
			w.space()
			start := w.at
			w.literal()
			var member string
			_ = json.Unmarshal([]byte(w.text[start:w.at]), &member) // valid
			w.space()
			w.at++ // the colon
			named := Named(member)
			if !named && found {
				member = name
			}
			w.value(member, found || named)
		})
	case '[':
		w.list(func() { w.value(name, found) })
	case '"':
		start := w.at + 1
		w.literal()
		w.add(start, w.at-1, name, found)
	default:
		start := w.at
		w.at += strings.IndexAny(w.text[w.at:]+",", ",]} \t\r\n")
		w.add(start, w.at, name, found)
	}
}

func (w *jsonWalker) add(from, to int, name string, found bool) {
	known := w.known != nil && w.known(decoded(w.text[from:to]))
	if from < to && (known || found && !harmless(w.text[from:to])) {
		w.spans = append(w.spans, span{from: from, to: to, name: name})
	}
}

// list calls item for each member or element, and ends after the closing bracket.
func (w *jsonWalker) list(item func()) {
	w.at++
	for w.space(); w.text[w.at] != '}' && w.text[w.at] != ']'; w.space() {
		item()
		if w.space(); w.text[w.at] == ',' {
			w.at++
		}
	}
	w.at++
}

func (w *jsonWalker) literal() {
	for w.at++; w.text[w.at] != '"'; w.at++ {
		if w.text[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
}

func (w *jsonWalker) space() {
	for w.at < len(w.text) && strings.IndexByte(" \t\r\n", w.text[w.at]) >= 0 {
		w.at++
	}
}
