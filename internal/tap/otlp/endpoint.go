package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/msctl/msctl/internal/secret"
)

// Endpoint is where spans are sent, and how.
type Endpoint struct {
	url    url.URL // without the login
	header http.Header
	tls    *tls.Config
}

// tracesPath is the path of a collector that receives spans.
const tracesPath = "/v1/traces"

// Parse parses the URL of a collector, such as http://localhost:4318. Its path is completed. The login in the URL, the
// headers in OTEL_EXPORTER_OTLP_HEADERS, and the certificates in the file OTEL_EXPORTER_OTLP_CERTIFICATE are used; for
// the variables, those with TRACES in their names take precedence. Credentials are added to secrets, and are not part of
// errors.
func Parse(text string, secrets *secret.Set) (*Endpoint, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("invalid URL %q: use one such as http://localhost:4318", secret.URL(text))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Hostname() == "":
		return nil, fmt.Errorf("invalid URL %q: use the address of a collector for OTLP over HTTP, such as http://localhost:4318", secret.URL(text))
	}
	e := &Endpoint{header: http.Header{}}
	if u.User != nil {
		password, ok := u.User.Password()
		if secrets.Add(password); !ok {
			secrets.Add(u.User.Username()) // a token
		}
		login := http.Request{Header: e.header}
		login.SetBasicAuth(u.User.Username(), password)
	}
	e.url = *u
	e.url.User, e.url.Fragment = nil, ""
	if path := strings.TrimSuffix(u.Path, "/"); !strings.HasSuffix(path, tracesPath) {
		e.url = *e.url.JoinPath(tracesPath)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			secrets.Add(v)
		}
	}
	if err := e.readHeaders(secrets); err != nil {
		return nil, err
	}
	return e, e.readCertificates()
}

// String returns the URL without a login and a query, which may be credentials.
func (e *Endpoint) String() string {
	shown := e.url
	shown.RawQuery, shown.ForceQuery = "", false
	return shown.String()
}

// variable returns the value of a variable of OpenTelemetry for traces or, if it has none, for all signals, and its name.
func variable(suffix string) (name, value string) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_" + suffix, "OTEL_EXPORTER_OTLP_" + suffix} {
		if value := os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// readHeaders parses NAME=VALUE,… with percent-encoded values.
func (e *Endpoint) readHeaders(secrets *secret.Set) error {
	variable, text := variable("HEADERS")
	for i, pair := range strings.Split(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		plain, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || err != nil || !isToken(name) || strings.ContainsFunc(plain, isControl) {
			return fmt.Errorf("%s: header %d is not NAME=VALUE, with a percent-encoded value", variable, i+1)
		}
		secrets.Add(plain)
		if _, credential, ok := strings.Cut(plain, " "); ok { // such as Bearer …
			secrets.Add(credential)
		}
		e.header.Set(name, plain) // also in place of the login of the URL
	}
	return nil
}

// isToken reports whether a text can be the name of a header.
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// readCertificates reads the certificates that are trusted, unless they are those of the system.
func (e *Endpoint) readCertificates() error {
	name, file := variable("CERTIFICATE")
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return errors.New(name + ": " + file + " contains no certificate (PEM)")
	}
	e.tls = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return nil
}
