package target

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// termJSON returns the JSON of a list or a table as RabbitMQ prints it, in Erlang's syntax:
// [{long,1},{longstr,<<"a">>}] and [{<<"a">>,long,1}]. ok is false if the value has a type
// that the JSON in an address does not have, such as an integer of 32 bits: RabbitMQ
// distinguishes these within lists and tables.
func termJSON(text, kind string) (value string, ok bool) {
	t := termParser{text: text}
	v, ok := t.value(kind)
	if t.space(); !ok || t.text != "" {
		return "", false
	}
	out, err := json.Marshal(v)
	return string(out), err == nil
}

// termParser reads an Erlang term. text is the rest.
type termParser struct{ text string }

func (t *termParser) space() { t.text = strings.TrimLeft(t.text, " \t\r\n") }

// skip skips a token, and reports whether it was there.
func (t *termParser) skip(token string) bool {
	t.space()
	rest, ok := strings.CutPrefix(t.text, token)
	if ok {
		t.text = rest
	}
	return ok
}

// value reads the value of a field of a type.
func (t *termParser) value(kind string) (any, bool) {
	switch kind {
	case "longstr":
		return t.binary()
	case "long":
		n, err := strconv.ParseInt(t.word(), 10, 64)
		return n, err == nil
	case "double":
		word := t.word()
		_, err := strconv.ParseFloat(word, 64)
		return json.Number(word), err == nil
	case "bool":
		word := t.word()
		return word == "true", word == "true" || word == "false"
	case "void":
		return nil, t.word() == "undefined"
	case "array":
		list := []any{}
		ok := t.list(func() bool {
			item, ok := t.value(t.word())
			list = append(list, item)
			return ok
		})
		return list, ok
	case "table":
		table := map[string]any{}
		ok := t.list(func() bool {
			name, ok := t.binary()
			if !ok || !t.skip(",") {
				return false
			}
			table[name], ok = t.value(t.word())
			return ok
		})
		return table, ok
	}
	return nil, false
}

// list reads [{…},…]. item reads what is between the braces.
func (t *termParser) list(item func() bool) bool {
	if !t.skip("[") {
		return false
	}
	for first := true; !t.skip("]"); first = false {
		if !first && !t.skip(",") || !t.skip("{") || !item() || !t.skip("}") {
			return false
		}
	}
	return true
}

// word reads a number or an atom, and the comma after the name of a type.
func (t *termParser) word() string {
	t.space()
	end := strings.IndexAny(t.text+",", ",{}[] \t\r\n")
	word := t.text[:end]
	t.text = t.text[end:]
	if word != "" && word[0] >= 'a' && word != "true" && word != "false" && word != "undefined" {
		t.skip(",")
	}
	return word
}

// binary reads <<"text">>, <<"text"/utf8>>, or the bytes <<116,101>>.
func (t *termParser) binary() (string, bool) {
	if !t.skip("<<") {
		return "", false
	}
	var b strings.Builder
	for !t.skip(">>") {
		t.skip(",")
		t.space()
		if !strings.HasPrefix(t.text, `"`) {
			n, err := strconv.ParseUint(t.until(",> \n"), 10, 8)
			if err != nil {
				return "", false
			}
			b.WriteByte(byte(n))
			continue
		}
		end := 1 + strings.IndexByte(t.text[1:], '"')
		for end > 0 && strings.HasSuffix(strings.ReplaceAll(t.text[:end], `\\`, ""), `\`) {
			next := strings.IndexByte(t.text[end+1:], '"')
			if next < 0 {
				return "", false
			}
			end += 1 + next
		}
		if end == 0 {
			return "", false
		}
		part, err := strconv.Unquote(strings.NewReplacer("\n", `\n`, `\e`, `\x1b`, `\s`, " ", `\d`, `\x7f`).Replace(t.text[:end+1]))
		if err != nil {
			return "", false
		}
		b.WriteString(part)
		t.text = t.text[end+1:]
		t.skip("/utf8")
	}
	return b.String(), utf8.ValidString(b.String())
}

// until returns the text before one of the bytes.
func (t *termParser) until(bytes string) string {
	end := strings.IndexAny(t.text+bytes[:1], bytes)
	word := t.text[:end]
	t.text = t.text[end:]
	return word
}
