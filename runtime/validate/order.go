package validate

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// arrange puts the unknown members of each object into the order in which the text has them. It
// reads the text once, and looks only into the values that contain one of the objects.
func arrange(objects []*strangers, text []byte) {
	w := walker{dec: json.NewDecoder(bytes.NewReader(text)), wanted: map[string]*strangers{}}
	for _, o := range objects {
		if len(o.names) > 1 {
			w.wanted[o.path] = o
		}
	}
	if len(w.wanted) > 0 {
		w.value("")
	}
}

type walker struct {
	dec    *json.Decoder
	wanted map[string]*strangers
}

// value reads the value at a path, and reports whether the text continues.
func (w *walker) value(path string) bool {
	token, err := w.dec.Token()
	if err != nil {
		return false
	}
	switch token {
	case json.Delim('{'):
		var order []string
		for w.dec.More() {
			name, err := w.dec.Token()
			if err != nil {
				return false
			}
			text, _ := name.(string)
			order = append(order, text)
			if !w.member(path, text) {
				return false
			}
		}
		if o := w.wanted[path]; o != nil {
			o.arrange(order)
		}
	case json.Delim('['):
		for i := 0; w.dec.More(); i++ {
			if !w.member(path, strconv.Itoa(i)) {
				return false
			}
		}
	default:
		return true
	}
	_, err = w.dec.Token() // the end
	return err == nil
}

// member reads a member of the value at a path.
func (w *walker) member(path, name string) bool {
	for wanted := range w.wanted {
		if rest, ok := strings.CutPrefix(wanted, path); ok && strings.HasPrefix(rest, name) && strings.HasPrefix(rest[len(name):], ".") {
			return w.value(path + name + ".")
		}
	}
	var skipped json.RawMessage
	return w.dec.Decode(&skipped) == nil
}

// arrange sorts the names by their first places in a list that contains all of them.
func (s *strangers) arrange(order []string) {
	places := make(map[string]int, len(order))
	for i, name := range slices.Backward(order) {
		places[name] = i
	}
	slices.SortFunc(s.names, func(a, b string) int { return places[a] - places[b] })
}
