package message

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/openapi"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
)

// runLsOpenAPI lists the routes of an OpenAPI document.
func runLsOpenAPI(ctx context.Context, s *term.IO, o lsOptions) error {
	doc, err := o.readOpenAPI(ctx, s)
	if err != nil {
		return err
	}
	if len(doc.Routes) == 0 {
		return fmt.Errorf("no routes in %s", secret.URL(o.openAPI))
	}
	if o.output == "json" {
		return printRoutes(s, doc)
	}
	writeRoutes(s, doc, o.verbose)
	return nil
}

// readOpenAPI reads the document from a URL or a file.
func (o *lsOptions) readOpenAPI(ctx context.Context, s *term.IO) (*openapi.Document, error) {
	from := secret.URL(o.openAPI)
	var text []byte
	var err error
	if isURL(o.openAPI) {
		text, err = o.fetch(ctx, s)
	} else {
		text, err = readLimited(o.openAPI)
		err = exit.WithCode(err, exit.Usage)
	}
	if err != nil {
		return nil, err
	}
	doc, err := openapi.Read(bytes.NewReader(text))
	switch {
	case err != nil && isURL(o.openAPI) && bytes.HasPrefix(bytes.TrimSpace(text), []byte("<")):
		return nil, exit.WithHint(fmt.Errorf("%s is a page, not an OpenAPI document", from), documentHint)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return doc, nil
}

const documentHint = "msctl's gateways and NestJS serve the document at /api-json"

func isURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

// readLimited reads a file, and no more of it than a document may have.
func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, openapi.MaxSize+1))
}

// fetch requests the document. A URL without a path is the address of a gateway.
func (o *lsOptions) fetch(ctx context.Context, s *term.IO) ([]byte, error) {
	t, err := o.target.Parse(ctx, o.openAPI)
	if err != nil {
		return nil, err
	}
	req, err := o.documentRequest(ctx, s, t)
	if err != nil {
		return nil, err
	}
	config, err := o.target.TLSConfig()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: o.timeout, CheckRedirect: sameHost}
	res, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error // names the URL, with its login
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, exit.WithCode(fmt.Errorf("get %s: %w", t, err), exit.Unreachable)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return nil, exit.WithHint(fmt.Errorf("get %s: %s", t, status(res)), "add credentials, such as -H 'Authorization: Bearer $TOKEN'")
	case res.StatusCode == http.StatusNotFound:
		return nil, exit.WithHint(fmt.Errorf("get %s: %s", t, status(res)), documentHint)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("get %s: %s", t, status(res))
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, openapi.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", t, err)
	}
	return text, nil
}

// status returns the status of a response in the words of RFC 9110, not of the server.
func status(res *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, http.StatusText(res.StatusCode)))
}

func (o *lsOptions) documentRequest(ctx context.Context, s *term.IO, t target.Target) (*http.Request, error) {
	u, err := url.Parse(t.Addresses[0])
	if err != nil {
		return nil, exit.Usagef("invalid URL %s", t)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/api-json"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, exit.Usagef("invalid URL %s", t)
	}
	req.Header.Set("Accept", "application/json, application/yaml, */*")
	if t.Login.Given {
		req.SetBasicAuth(t.Login.User, t.Login.PasswordText())
	}
	for _, header := range o.headers {
		name, value, ok := strings.Cut(header, ":")
		if !ok || name == "" {
			return nil, exit.Usagef("invalid --header %q: use NAME: VALUE", secret.Malformed(header))
		}
		if value, err = (shorthand.Reader{Secrets: s.Secrets()}).Value(strings.TrimSpace(value), nil); err != nil {
			return nil, err
		}
		req.Header.Add(name, value)
	}
	return req, nil
}

// sameHost follows redirects on the host of the request only, so that no other host receives
// the credentials.
func sameHost(req *http.Request, via []*http.Request) error {
	switch {
	case req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme:
		return http.ErrUseLastResponse
	case len(via) >= 10:
		return errors.New("too many redirects")
	}
	return nil
}

// writeRoutes prints the routes as a table.
func writeRoutes(s *term.IO, doc *openapi.Document, verbose bool) {
	p := s.OutPalette()
	visible.Strings(doc, visible.Line)
	fmt.Fprintf(s.Out, "%s  %s\n", p.Bold(strings.TrimSpace(doc.Title+" "+doc.Version)), p.Dim("OpenAPI "+doc.OpenAPI))
	t := &term.Table{}
	t.Row("METHOD", "PATH", "OPERATION", "ACCESS", "INPUT", "OUTPUT")
	for _, r := range doc.Routes {
		path := r.Path
		if r.Deprecated {
			path += " (deprecated)"
		}
		t.Row(r.Method, path, cmp.Or(r.OperationID, "-"), accessText(r.Access), inputText(r), outputText(r))
	}
	t.Write(s.Out, p)
	if verbose {
		writeRouteTypes(s, doc)
	}
}

func accessText(a openapi.Access) string {
	var all []string
	for _, combination := range a.AnyOf {
		var names []string
		for _, c := range combination {
			name := c.Name
			if len(c.Scopes) > 0 {
				name += " (" + strings.Join(c.Scopes, " ") + ")"
			}
			names = append(names, name)
		}
		all = append(all, strings.Join(names, " and "))
	}
	switch text := strings.Join(all, " or "); {
	case !a.Stated:
		return "-"
	case text == "":
		return "public"
	case a.Public:
		return "public or " + text
	default:
		return text
	}
}

// inputText returns the parameters outside of the path, and the type of the body.
func inputText(r openapi.Route) string {
	var parts []string
	separator := "?"
	for _, p := range r.Parameters {
		switch p.In {
		case "query":
			parts = append(parts, separator+p.Name)
			separator = "&"
		case "header", "cookie":
			parts = append(parts, " "+p.Name+":")
		}
	}
	if r.Body != nil {
		parts = append(parts, " "+typeName(r.Body))
	}
	return cmp.Or(strings.TrimSpace(strings.Join(parts, "")), "-")
}

func outputText(r openapi.Route) string {
	if r.Output == nil {
		return cmp.Or(r.Status, "-")
	}
	return r.Status + " " + typeName(r.Output)
}

// writeRouteTypes prints the summaries, the parameters, and the named types.
func writeRouteTypes(s *term.IO, doc *openapi.Document) {
	p := s.OutPalette()
	var d micro.Description
	for _, r := range doc.Routes {
		var lines []string
		for _, parameter := range r.Parameters {
			optional := "?"
			if parameter.Required {
				optional = ""
			}
			lines = append(lines, fmt.Sprintf("  %s %s%s: %s", parameter.In, parameter.Name, optional, typeName(parameter.Schema)))
		}
		if r.Summary != "" || len(lines) > 0 {
			fmt.Fprint(s.Out, strings.TrimRight(fmt.Sprintf("\n%s  %s", p.Accent(r.Method+" "+r.Path), r.Summary), " "))
		}
		for _, line := range lines {
			fmt.Fprint(s.Out, "\n"+line)
		}
		d.Handlers = append(d.Handlers, micro.HandlerInfo{Data: r.Body, Reply: r.Output})
	}
	writeTypes(s, d)
}

// printRoutes prints each route as a JSON object.
func printRoutes(s *term.IO, doc *openapi.Document) error {
	type access struct {
		Public bool                   `json:"public"`
		AnyOf  [][]openapi.Credential `json:"anyOf,omitempty"`
	}
	type route struct {
		Method      string              `json:"method"`
		Path        string              `json:"path"`
		OperationID string              `json:"operationId,omitempty"`
		Summary     string              `json:"summary,omitempty"`
		Tags        []string            `json:"tags,omitempty"`
		Deprecated  bool                `json:"deprecated,omitempty"`
		Access      *access             `json:"access,omitempty"`
		Parameters  []openapi.Parameter `json:"parameters,omitempty"`
		Body        *micro.Schema       `json:"body,omitempty"`
		Status      string              `json:"status,omitempty"`
		Output      *micro.Schema       `json:"output,omitempty"`
		Statuses    []string            `json:"statuses,omitempty"`
	}
	for _, r := range doc.Routes {
		line := route{
			Method: r.Method, Path: r.Path, OperationID: r.OperationID, Summary: r.Summary, Tags: r.Tags, Deprecated: r.Deprecated,
			Parameters: r.Parameters, Body: r.Body, Status: r.Status, Output: r.Output, Statuses: r.Statuses,
		}
		if r.Access.Stated {
			line.Access = &access{r.Access.Public, r.Access.AnyOf}
		}
		text, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("print the routes: %w", err)
		}
		if err := s.PrintJSON(term.JSONLine, text); err != nil {
			return err
		}
	}
	return nil
}
