package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Difference is what differs between a recorded reply and another one at one place.
type Difference struct {
	Path     string `json:"path"` // such as $.tags[0].name; $ is the reply
	Recorded string `json:"recorded"`
	Got      string `json:"got"`
}

// Verifier compares the replies of a service with recorded ones. It is used by one goroutine, in the order
// of the recording: what a recorded reply calls by another ID than the reply to the same message now, such as
// an item that was created, gets that ID in the data of later messages.
type Verifier struct {
	ids map[string]any // by recorded ID
}

// Data returns the data to send for an exchange.
func (v *Verifier) Data(x *Exchange) (json.RawMessage, error) {
	if len(v.ids) == 0 || len(x.Data) == 0 {
		return x.Data, nil
	}
	data, err := decode(x.Data)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(substitute(data, v.ids))
	if err != nil {
		return nil, fmt.Errorf("the data of line %d: %w", x.Line, err)
	}
	return text, nil
}

// Compare returns how a reply differs from the recorded one: in its members, in the types of values, and in
// values that are stable. IDs, times, and tokens are not; nor is what has the length of a list.
func (v *Verifier) Compare(x *Exchange, reply json.RawMessage) ([]Difference, error) {
	recorded, err := decode(x.Reply)
	if err != nil {
		return nil, fmt.Errorf("line %d: the reply: %w", x.Line, err)
	}
	got, err := decode(reply)
	if err != nil {
		return nil, fmt.Errorf("the reply is not JSON: %w", err)
	}
	c := comparison{verifier: v}
	switch {
	case len(x.Reply) == 0 && len(reply) > 0:
		c.differ("$", "nothing", describe(got))
	case len(x.Reply) > 0 && len(reply) == 0:
		c.differ("$", describe(recorded), "nothing")
	default:
		c.compare("$", recorded, got)
	}
	return c.found, nil
}

type comparison struct {
	verifier *Verifier
	found    []Difference
}

func (c *comparison) differ(path, recorded, got string) {
	c.found = append(c.found, Difference{path, recorded, got})
}

func (c *comparison) compare(path string, recorded, got any) {
	if recorded == masked {
		return
	}
	if kind(recorded) != kind(got) {
		c.differ(path, describe(recorded), describe(got))
		return
	}
	switch recorded := recorded.(type) {
	case map[string]any:
		c.members(path, recorded, got.(map[string]any))
	case []any:
		got := got.([]any)
		if (len(recorded) == 0) != (len(got) == 0) {
			c.differ(path, length(recorded), length(got))
		}
		for i := range min(len(recorded), len(got)) {
			c.compare(path+"["+strconv.Itoa(i)+"]", recorded[i], got[i])
		}
	case string:
		got := got.(string)
		switch {
		case recorded == got, c.verifier.ids[recorded] == got:
		case varies(recorded) && varies(got):
			c.verifier.learn(recorded, got)
		default:
			c.differ(path, describe(recorded), describe(got))
		}
	default:
		if !equal(recorded, got) {
			c.differ(path, describe(recorded), describe(got))
		}
	}
}

func (c *comparison) members(path string, recorded, got map[string]any) {
	names := maps.Clone(recorded)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		at := path + "." + name
		if !plainName.MatchString(name) {
			at = path + "[" + strconv.Quote(name) + "]"
		}
		was, had := recorded[name]
		is, has := got[name]
		switch {
		case !has:
			c.differ(at, describe(was), "missing")
		case !had:
			c.differ(at, "missing", describe(is))
		default:
			c.compare(at, was, is)
		}
	}
}

var (
	plainName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)
	// What differs from run to run: UUIDs, object IDs and digests, dates and times, and JWTs.
	varying = regexp.MustCompile(`(?i)^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}|\d{4}-\d\d-\d\d([T ][0-9:.+Z-]+)?|eyJ[\w-]+\.[\w-]+\.[\w-]*|[0-9A-HJKMNP-TV-Z]{26})$`)
)

// varies reports whether a text looks like an ID, a time, or a token. In an error, it may be one word of several.
func varies(text string) bool {
	if varying.MatchString(text) {
		return true
	}
	return strings.ContainsRune(text, ' ') && slices.ContainsFunc(strings.Fields(text), varying.MatchString)
}

// maxIDs limits the IDs that are remembered.
const maxIDs = 100_000

func (v *Verifier) learn(recorded, got string) {
	if v.ids == nil {
		v.ids = map[string]any{}
	}
	was, is := strings.Fields(recorded), strings.Fields(got)
	if len(was) == 1 && len(is) == 1 && len(v.ids) < maxIDs {
		v.ids[recorded] = got
	}
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	}
	return "an object"
}

func length(list []any) string {
	if len(list) == 0 {
		return "an empty list"
	}
	return "a list of " + strconv.Itoa(len(list))
}

// describe returns a value as text, if it is short, or its kind.
func describe(v any) string {
	switch v.(type) {
	case map[string]any, []any:
		return kind(v)
	}
	text, err := json.Marshal(v)
	if err != nil || len(text) > 60 {
		return kind(v)
	}
	return string(text)
}
