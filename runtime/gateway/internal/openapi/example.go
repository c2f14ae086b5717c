package openapi

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Sample returns a value of a schema, composed of the examples, defaults, and enumerations that
// its parts state, and of any value that fits for the others. Optional members are left out
// unless they state an example. stated reports whether one of the parts does; ok is false if a
// required part has no value that can be composed.
func Sample(registry huma.Registry, s *huma.Schema) (value any, stated, ok bool) {
	c := composer{registry: registry, within: map[string]bool{}}
	value, ok = c.value(s)
	return value, c.stated, ok
}

type composer struct {
	registry huma.Registry
	within   map[string]bool // the schemas around the current one, for recursive types
	stated   bool            // an example of the document is part of the value
}

// value returns a value of a schema, if there is one.
func (c *composer) value(s *huma.Schema) (any, bool) {
	switch {
	case s == nil:
		return nil, false
	case len(s.Examples) > 0:
		c.stated = true
		return s.Examples[0], true
	case s.Default != nil:
		return s.Default, true
	case len(s.Enum) > 0:
		return s.Enum[0], true
	case s.Ref != "":
		if c.within[s.Ref] {
			return nil, false
		}
		c.within[s.Ref] = true
		defer delete(c.within, s.Ref)
		return c.value(c.registry.SchemaFromRef(s.Ref))
	}
	switch s.Type {
	case huma.TypeString:
		return text(s)
	case huma.TypeInteger, huma.TypeNumber:
		return number(s), true
	case huma.TypeBoolean:
		return true, true
	case huma.TypeArray:
		return c.array(s)
	case huma.TypeObject:
		return c.object(s)
	}
	return nil, false
}

func (c *composer) array(s *huma.Schema) (any, bool) {
	least := 1
	if s.MinItems != nil {
		least = max(least, *s.MinItems)
	}
	item, ok := c.value(s.Items)
	switch {
	case ok && (s.MaxItems == nil || least <= *s.MaxItems):
		return slices.Repeat([]any{item}, least), true
	case s.MinItems == nil || *s.MinItems == 0:
		return []any{}, true
	}
	return nil, false
}

func (c *composer) object(s *huma.Schema) (any, bool) {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		required := slices.Contains(s.Required, name)
		part := composer{registry: c.registry, within: c.within}
		value, ok := part.value(s.Properties[name])
		switch {
		case required && !ok:
			return nil, false
		case ok && (required || part.stated):
			out[name] = value
			c.stated = c.stated || part.stated
		}
	}
	return out, true
}

// text returns a string of a schema. None can be composed for a pattern.
func text(s *huma.Schema) (any, bool) {
	samples := map[string]string{
		"date-time": "2026-01-31T12:00:00Z", "date": "2026-01-31", "time": "12:00:00Z", "email": "ada@example.com",
		"uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "uri": "https://example.com", "url": "https://example.com",
		"hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "byte": "dGV4dA==",
	}
	if s.ContentEncoding == "base64" {
		return samples["byte"], true
	}
	if sample, ok := samples[s.Format]; ok {
		return sample, true
	}
	sample := "text"
	if s.MinLength != nil && len(sample) < *s.MinLength {
		sample += strings.Repeat("t", *s.MinLength-len(sample))
	}
	if s.MaxLength != nil && len(sample) > *s.MaxLength {
		sample = sample[:*s.MaxLength]
	}
	return sample, s.Pattern == "" && s.Format == ""
}

// number returns the number closest to 1 that a schema allows.
func number(s *huma.Schema) float64 {
	n, unit := 1.0, 1.0
	if s.MultipleOf != nil {
		unit = *s.MultipleOf
	}
	for _, least := range []*float64{s.Minimum, plus(s.ExclusiveMinimum, unit)} {
		if least != nil {
			n = max(n, *least)
		}
	}
	for _, most := range []*float64{s.Maximum, plus(s.ExclusiveMaximum, -unit)} {
		if most != nil {
			n = min(n, *most)
		}
	}
	if s.MultipleOf != nil {
		n = math.Ceil(n/unit) * unit
	}
	return n
}

func plus(bound *float64, delta float64) *float64 {
	if bound == nil {
		return nil
	}
	sum := *bound + delta
	return &sum
}
