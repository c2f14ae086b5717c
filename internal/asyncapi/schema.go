package asyncapi

import (
	"encoding/json"
	"strconv"

	"github.com/msctl/msctl/runtime/micro"
)

// schema is a micro.Schema that may refer to a component. The members here take precedence over
// those of the same names.
type schema struct {
	Ref string `json:"$ref,omitempty"`
	*micro.Schema
	Properties           ordered[*schema] `json:"properties,omitempty"`
	Items                *schema          `json:"items,omitempty"`
	AdditionalProperties *schema          `json:"additionalProperties,omitempty"`
}

// schemas are the components of a document.
type schemas struct {
	all   ordered[*schema]
	names map[string][]named // by title
}

// named is a type that has a name in the document.
type named struct {
	text string // of the type, in JSON
	name string
}

const schemaRef = "#/components/schemas/"

// convert returns the schema of a type; nil for none. Named types become components. within has
// the names of the types around it by their titles: a recursive type refers to one of them.
func (c *schemas) convert(service string, s *micro.Schema, within map[string]string) *schema {
	if s == nil {
		return nil
	}
	isNamed := s.Title != "" && identifier(s.Title) == s.Title && s.Type == "object"
	if !isNamed {
		return c.inline(service, s, within)
	}
	if around, ok := within[s.Title]; ok && len(s.Properties) == 0 {
		return &schema{Ref: schemaRef + around}
	}
	if len(s.Properties) == 0 {
		return c.inline(service, s, within)
	}
	name, known := c.nameOf(service, s)
	if !known {
		inner := map[string]string{s.Title: name}
		for title, around := range within {
			if title != s.Title {
				inner[title] = around
			}
		}
		at := len(c.all)
		c.all = append(c.all, entry[*schema]{name, nil})
		c.all[at].value = c.inline(service, s, inner)
	}
	return &schema{Ref: schemaRef + name}
}

// nameOf returns the component of a type, and whether it is known already. A type with the title
// of another one has the name of its service in front.
func (c *schemas) nameOf(service string, s *micro.Schema) (name string, known bool) {
	own := *s
	own.Description = "" // that of the member that has the type
	text, err := json.Marshal(&own)
	if err != nil {
		text = []byte(s.Title)
	}
	for _, n := range c.names[s.Title] {
		if n.text == string(text) {
			return n.name, true
		}
	}
	name = s.Title
	base := identifier(service) + "." + s.Title
	for n := 1; c.all.has(name); n++ {
		if name = base; n > 1 {
			name += strconv.Itoa(n)
		}
	}
	c.names[s.Title] = append(c.names[s.Title], named{string(text), name})
	return name, false
}

// inline returns the schema of a type with those of its parts.
func (c *schemas) inline(service string, s *micro.Schema, within map[string]string) *schema {
	out := &schema{
		Schema: s, Items: c.convert(service, s.Items, within),
		AdditionalProperties: c.convert(service, s.AdditionalProperties, within),
	}
	for _, p := range s.Properties {
		out.Properties = append(out.Properties, entry[*schema]{p.Name, c.convert(service, p.Schema, within)})
	}
	return out
}
