package gateway

import (
	"bytes"
	"compress/gzip"
	"embed"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/msctl/msctl/runtime/gateway/internal/openapi"
)

// ui is Swagger UI 5.35.0 by SmartBear Software, under the Apache License 2.0
// (ui/LICENSE and ui/NOTICE; ui/swagger-ui-bundle.js.LICENSE.txt for the parts
// it is made of). Its two large files are compressed.
//
//go:embed ui
var ui embed.FS

const docsPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.}} API</title>
<link rel="icon" href="api/favicon.png">
<link rel="stylesheet" href="api/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="api/swagger-ui-bundle.js"></script>
<script src="api/start.js"></script>
</body>
</html>
`

const docsScript = `window.ui = SwaggerUIBundle({
  url: "api-json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
  displayRequestDuration: true, tryItOutEnabled: true, defaultModelsExpandDepth: 0,
});
`

// addDocs adds the OpenAPI document and the page that shows it. Everything comes
// from the binary; the page's policy keeps it from loading anything else.
func (g *Gateway) addDocs() {
	var page bytes.Buffer
	if err := template.Must(template.New("docs").Parse(docsPage)).Execute(&page, g.name); err != nil {
		panic("gateway: " + err.Error()) // a constant template into memory
	}
	policy := g.docsPolicy()
	document := sync.OnceValues(func() ([]byte, error) { return openapi.JSON(g.api.OpenAPI()) })
	for _, target := range []string{"GET /api-json", "GET /openapi.json"} {
		g.quiet(target, func(w http.ResponseWriter, req *http.Request) {
			body, err := document()
			if err != nil {
				exchangeOf(req.Context()).fail(w, internalProblem(err))
				return
			}
			writeJSON(w, http.StatusOK, body)
		})
	}
	yaml := sync.OnceValues(func() ([]byte, error) {
		text, err := document()
		if err != nil {
			return nil, err
		}
		return openapi.YAML(text)
	})
	g.quiet("GET /api-yaml", func(w http.ResponseWriter, req *http.Request) {
		body, err := yaml()
		if err != nil {
			exchangeOf(req.Context()).fail(w, internalProblem(err))
			return
		}
		writeAs(w, "text/yaml; charset=utf-8", body)
	})
	g.quiet("GET /api", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		writeAs(w, "text/html; charset=utf-8", page.Bytes())
	})
	g.quiet("GET /api/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "../api")
		w.WriteHeader(http.StatusMovedPermanently)
	})
	g.quiet("GET /api/start.js", func(w http.ResponseWriter, _ *http.Request) {
		writeAs(w, "text/javascript; charset=utf-8", []byte(docsScript))
	})
	for _, name := range []string{"favicon.png", "swagger-ui.css", "swagger-ui-bundle.js", "LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} {
		g.quiet("GET /api/"+name, asset(name))
	}
}

// docsPolicy is the page's Content-Security-Policy. Try it out sends requests to the servers of the
// document, which are on the page's own host without WithServers.
func (g *Gateway) docsPolicy() string {
	connect := "'self'"
	for _, server := range g.servers {
		if u, err := url.Parse(server); err == nil && u.Host != "" {
			connect += " " + u.Scheme + "://" + u.Host
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src " + connect +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// asset serves one file of ui, compressed if the client accepts it.
func asset(name string) http.HandlerFunc {
	kinds := map[string]string{".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
	kind := kinds[path.Ext(name)]
	if kind == "" {
		kind = "text/plain"
	}
	body, err := ui.ReadFile("ui/" + name + ".gz")
	packed := err == nil
	if !packed {
		if body, err = ui.ReadFile("ui/" + name); err != nil {
			panic("gateway: " + err.Error()) // the list in addDocs is of what is embedded
		}
	}
	return func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		switch {
		case !packed:
			writeAs(w, kind, body)
		case strings.Contains(req.Header.Get("Accept-Encoding"), "gzip"):
			w.Header().Set("Vary", "Accept-Encoding")
			w.Header().Set("Content-Encoding", "gzip")
			writeAs(w, kind, body)
		default:
			w.Header().Set("Vary", "Accept-Encoding")
			w.Header().Set("Content-Type", kind)
			unpack(w, body)
		}
	}
}

func unpack(w io.Writer, packed []byte) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic("gateway: an embedded file is damaged: " + err.Error())
	}
	_, _ = io.Copy(w, r) // an error means that the client is gone
}

func writeAs(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may be gone
}

// quiet adds a handler whose requests are logged at debug level only.
func (g *Gateway) quiet(target string, handler http.HandlerFunc) {
	g.own = append(g.own, target)
	_, path, _ := strings.Cut(target, " ")
	g.paths = append(g.paths, path)
	g.mux.HandleFunc(target, func(w http.ResponseWriter, req *http.Request) {
		x := exchangeOf(req.Context())
		x.route, x.quiet = target, true
		handler(w, req)
	})
}
