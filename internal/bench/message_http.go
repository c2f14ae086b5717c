package bench

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/payload"
	"github.com/msctl/msctl/internal/load/web"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
)

// IsHTTP reports whether a TARGET is a web server: a URL, or a gateway of the workspace.
func IsHTTP(to string) bool {
	return strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://") || target.IsGateway(to)
}

// verb is the method of an HTTP request.
func (m *Message) verb() string {
	switch {
	case m.Method != "":
		return strings.ToUpper(m.Method)
	case len(m.Data) > 0 || m.DataFile != "":
		return http.MethodPost
	}
	return http.MethodGet
}

// shownPath returns the path of a URL, without the query.
func shownPath(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	_, path, _ := strings.Cut(rest, "/")
	return "/" + path[:strings.IndexAny(path+"?", "?#")]
}

// origin returns the scheme, the host, and the port of a URL.
func origin(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	return scheme + "://" + rest[:strings.IndexAny(rest+"/", "/?#")]
}

// readHTTP parses what differs over HTTP: the path and the query of the URL, and the
// headers. Templates in them are evaluated for each request.
func (m *Message) readHTTP(in shorthand.Reader, to string) error {
	if err := m.readPath(in, to); err != nil {
		return m.locate("to", err)
	}
	return m.locate("header", m.readHeader(in))
}

func (m *Message) readPath(in shorthand.Reader, to string) error {
	var text payload.Text
	marked, err := text.Cut(to)
	if err != nil {
		return badTemplate("the URL", err)
	}
	if !strings.Contains(to, "://") { // GATEWAY/PATH
		_, path, _ := strings.Cut(marked, "/")
		marked = "http://gateway/" + path
	}
	u, err := url.Parse(marked)
	if err != nil {
		return nil //nolint:nilerr // the error is that of the target, which is parsed later
	}
	if text.Restore(u.Host) != u.Host {
		return exit.WithHint(exit.Usagef("--to: the host of a URL cannot be a template"), "templates can follow the host: http://host/items/{{.id}}")
	}
	path, err := in.Secrets.Expand(u.RequestURI(), escapeURL)
	if err != nil {
		return shorthand.Unset(err)
	}
	if text.Empty() {
		m.path = path
		return nil
	}
	value, err := m.payload.Line(path, text, escapeURL)
	if err != nil {
		return badTemplate("the URL", err)
	}
	m.path = "/"
	m.pairs = append(m.pairs, load.Pair{Key: web.PathKey, Value: value})
	return nil
}

// escapeURL escapes a value for the path or the query of a URL.
func escapeURL(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// readHeader parses --header.
func (m *Message) readHeader(in shorthand.Reader) error {
	m.header = http.Header{}
	for _, header := range m.Headers {
		name, value, ok := strings.Cut(header, ":")
		if !ok || !isToken(name) || strings.ContainsAny(value, "\r\n") {
			return exit.Usagef("invalid --header %q: use NAME: VALUE", secret.Malformed(header))
		}
		var text payload.Text
		marked, err := text.Cut(strings.TrimSpace(value))
		if err != nil {
			return badTemplate("--header "+name, err)
		}
		if marked, err = in.Value(marked, nil); err != nil {
			return err
		}
		if strings.ContainsAny(marked, "\r\n") {
			return exit.Usagef("invalid --header %s: the value has several lines", name)
		}
		if text.Empty() {
			m.header.Add(name, marked)
			continue
		}
		each, err := m.payload.Line(marked, text, escapeHeader)
		if err != nil {
			return badTemplate("--header "+name, err)
		}
		m.pairs = append(m.pairs, load.Pair{Key: name, Value: each})
	}
	return nil
}

// escapeHeader replaces the line ends in a value, which would end a header.
func escapeHeader(text string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(text) }

// isToken reports whether text is a token of HTTP (RFC 9110, section 5.6.2).
func isToken(text string) bool {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
	return text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0
}
