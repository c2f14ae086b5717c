package gateway

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// WithProblemDetails writes the bodies of errors in the form of RFC 9457, as application/problem+json,
// instead of NestJS's:
//
//	{"type":"about:blank","title":"Bad Request","status":400,"detail":"name must be a string","errors":["name must be a string"]}
//
// The member errors is in responses to requests that are not valid: it has every message, and
// detail has them as one text. Statuses and messages are the same in both forms.
func WithProblemDetails() Option {
	return gatewayOption(func(g *Gateway) { g.errors = problemDetails })
}

// errorForm is the form of the bodies of errors.
type errorForm uint8

const (
	nestErrors errorForm = iota
	problemDetails
)

// media returns the media type of an error.
func (f errorForm) media() string {
	if f == problemDetails {
		return "application/problem+json"
	}
	return mediaJSON
}

// contentType returns the Content-Type of an error.
func (f errorForm) contentType() string {
	if f == problemDetails {
		return f.media()
	}
	return typeJSON
}

// body returns the body of an error.
func (f errorForm) body(p *problem) []byte {
	if f == nestErrors {
		return p.body()
	}
	var errors []string
	detail := ""
	if json.Unmarshal(p.message, &errors) == nil {
		detail = strings.Join(errors, "; ")
	} else if json.Unmarshal(p.message, &detail) != nil {
		detail = string(p.message)
	}
	body, err := json.Marshal(struct {
		Type   string   `json:"type"`
		Title  string   `json:"title"`
		Status int      `json:"status"`
		Detail string   `json:"detail"`
		Errors []string `json:"errors,omitempty"`
	}{"about:blank", cmp.Or(http.StatusText(p.status), "Error"), p.status, detail, errors})
	if err != nil {
		return []byte(`{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"Internal server error"}`)
	}
	return body
}

// schema returns the schema of an error.
func (f errorForm) schema() *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString}
	texts := &huma.Schema{Type: huma.TypeArray, Items: text}
	status := &huma.Schema{Type: huma.TypeInteger, Examples: []any{http.StatusBadRequest}}
	title := &huma.Schema{Type: huma.TypeString, Examples: []any{"Bad Request"}}
	if f == problemDetails {
		return &huma.Schema{
			Type: huma.TypeObject,
			Properties: map[string]*huma.Schema{
				"type":   {Type: huma.TypeString, Examples: []any{"about:blank"}},
				"title":  title,
				"status": status,
				"detail": {Type: huma.TypeString, Description: "What is wrong."},
				"errors": {Type: huma.TypeArray, Items: text, Description: "Everything that is wrong, in responses to requests that are not valid."},
			},
			Required: []string{"type", "title", "status", "detail"},
		}
	}
	return &huma.Schema{
		Type: huma.TypeObject,
		Properties: map[string]*huma.Schema{
			"statusCode": status,
			"message":    {OneOf: []*huma.Schema{text, texts}, Description: "What is wrong: one sentence, or a list of everything that is."},
			"error":      title,
		},
		Required: []string{"statusCode", "message"},
	}
}

// content documents the body of an error, with an example.
func (f errorForm) content(p *problem) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{f.media(): {Schema: &huma.Schema{Ref: schemaRef + errorSchema}, Example: json.RawMessage(f.body(p))}}
}
