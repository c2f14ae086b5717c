package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway/internal/openapi"
	"github.com/msctl/msctl/runtime/principal"
)

// example returns an example of a schema for the document, or nil if the schema states none.
func (g *Gateway) example(s *huma.Schema) any {
	value, stated, ok := openapi.Sample(g.api.OpenAPI().Components.Schemas, s)
	if !stated || !ok {
		return nil
	}
	return value
}

// bodyExample is [Gateway.example] for the body of the route. The gateway would accept it.
func (g *Gateway) bodyExample(r *route, s *huma.Schema) any {
	example := g.example(s)
	text, err := json.Marshal(example)
	if example == nil || err != nil {
		return nil
	}
	if _, p := r.input.data(text, r.sample(nil), r.sampleCaller(), r); p != nil {
		return nil
	}
	return example
}

// rejection returns the response to an invalid request, or nil if none of those tried is
// invalid. For a route with a body, that is an empty object.
func (r *route) rejection() *problem {
	strange, caller := r.sample(nil), r.sampleCaller()
	strange.URL.RawQuery += "&unexpected=true"
	for _, attempt := range []struct {
		body string
		req  *http.Request
	}{
		{"{}", r.sample(nil)},
		{`{"unexpected":true}`, r.sample(nil)},
		{"", r.sample([]string{"x"})},
		{"", r.sample([]string{strings.Repeat("x", 1000)})},
		{"{", r.sample(nil)},
		{"", strange},
	} {
		if attempt.body != "" && !r.input.body {
			continue
		}
		var raw []byte
		if attempt.body != "" {
			raw = []byte(attempt.body)
		}
		if _, p := r.input.data(raw, attempt.req, caller, r); p != nil && p.status == http.StatusBadRequest {
			p.cause = nil
			return p
		}
	}
	return nil
}

// sample returns a request to the route. All parameters have the texts, or with nil, those that
// are required have a value that fits.
func (r *route) sample(texts []string) *http.Request {
	req := &http.Request{Method: r.method, URL: &url.URL{Path: r.path}, Header: http.Header{}}
	query := url.Values{}
	for _, p := range r.op.Parameters {
		values := texts
		if texts == nil && p.Required {
			values = []string{urlText(r.gateway.sampleOf(p.Schema))}
		}
		switch {
		case len(values) == 0:
		case p.In == "path":
			req.SetPathValue(p.Name, values[0])
		case p.In == "header":
			req.Header[http.CanonicalHeaderKey(p.Name)] = values
		default:
			query[p.Name] = values
		}
	}
	req.URL.RawQuery = query.Encode()
	return req
}

// sampleCaller returns a caller with the claims that the route requires.
func (r *route) sampleCaller() *principal.Principal {
	caller := &principal.Principal{Subject: "text"}
	members := map[string]any{}
	for _, f := range r.input.claims {
		schema := r.gateway.api.OpenAPI().Components.Schemas.Schema(r.in, false, "").Properties[f.Name]
		members[f.Claim] = r.gateway.sampleOf(schema)
		if f.Claim == "sub" {
			caller.Subject = urlText(members[f.Claim])
		}
	}
	if claims, err := json.Marshal(members); err == nil {
		caller.Claims = claims
	}
	return caller
}

// sampleOf returns any value of a schema.
func (g *Gateway) sampleOf(s *huma.Schema) any {
	value, _, _ := openapi.Sample(g.api.OpenAPI().Components.Schemas, s)
	return value
}

// urlText returns a value as a parameter has it.
func urlText(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = urlText(item)
	}
	return strings.Join(texts, ",")
}
