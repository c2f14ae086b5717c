package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"github.com/msctl/msctl/internal/load/format"
)

//go:embed page
var pageFiles embed.FS

// HTML writes the report as one self-contained page. It needs no network, is complete
// without scripts, and its content security policy permits only its own script.
func (d *Document) HTML(to io.Writer) error {
	style, err := pageFiles.ReadFile("page/page.css")
	if err != nil {
		return fmt.Errorf("render the page: %w", err)
	}
	script, err := pageFiles.ReadFile("page/page.js")
	if err != nil {
		return fmt.Errorf("render the page: %w", err)
	}
	t, err := template.New("page.html.tmpl").Funcs(template.FuncMap{
		"duration": format.Duration, "count": format.Count, "percent": format.Percent, "rate": format.Rate,
	}).ParseFS(pageFiles, "page/*.tmpl")
	if err != nil {
		return fmt.Errorf("render the page: %w", err)
	}
	sum := sha256.Sum256(script)
	p := d.page()
	p.Style, p.Script = template.CSS(style), template.JS(script) // both are files of this package
	p.ScriptHash = base64.StdEncoding.EncodeToString(sum[:])
	if err := t.Execute(to, p); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
