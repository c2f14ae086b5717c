package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// WebDir is the folder of the web client in a workspace.
const WebDir = "apps/web"

// web is the name of the web client in msctl.yaml.
const web = "web"

// ErrNoItems reports a workspace whose gateway does not have the routes that the web client
// calls.
var ErrNoItems = errors.New("the web client shows the items of the sample service")

// webView is the data for the templates of the web client.
type webView struct {
	Name        string // of the workspace
	Title       string // the name for readers
	Image       string
	Port        int
	GatewayName string
	GatewayPort int
}

// Gateway returns the address of the gateway in development.
func (v webView) Gateway() string { return fmt.Sprintf("http://localhost:%d", v.GatewayPort) }

// NewWeb renders the web client of the gateway, and adds it to msctl.yaml and compose.yaml. The error is
// [ErrNoItems] if the gateway lacks a route that the client calls.
func (d *Dir) NewWeb(port int) (Result, error) {
	if d.Workspace.Service(web) != nil {
		return Result{}, fmt.Errorf("%s already has a service %s", workspace.FileName, web)
	}
	gateway := d.gateway()
	if gateway == nil {
		return Result{}, fmt.Errorf("%w, and %s has no gateway", ErrNoItems, workspace.FileName)
	}
	if err := d.checkItems(gateway); err != nil {
		return Result{}, err
	}
	v := webView{
		Name: d.Workspace.Name, Title: sentence(d.Workspace.Name), Image: imageOf(d.Workspace, web),
		Port: port, GatewayName: gateway.Name, GatewayPort: gateway.Port,
	}
	files, err := renderDir(web, v, strings.NewReplacer())
	if err != nil {
		return Result{}, err
	}
	r := Result{Files: files}
	s := workspace.Service{
		Name: web, Kind: workspace.KindGateway, Command: []string{"npm", "run", "dev"}, Dir: "./" + WebDir,
		Port: port, DependsOn: []string{gateway.Name},
	}
	if gateway.Name != "gateway" { // otherwise, msctl run sets it
		s.Env = map[string]string{"GATEWAY_URL": v.Gateway()}
	}
	before, err := d.read(workspace.FileName)
	if err != nil {
		return Result{}, err
	}
	after, err := workspace.AddService(before, s)
	if err != nil {
		return Result{}, err
	}
	r.edit(workspace.FileName, before, after)
	return r, d.composeWeb(&r, v)
}

// composeWeb adds the web client to the compose file, if it recognizes the file.
func (d *Dir) composeWeb(r *Result, v webView) error {
	before, err := d.read(composeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	entry, err := render("compose/web.yaml.tmpl", web, v)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimRight(string(before), "\n"), "\n")
	services := slices.Index(lines, "services:")
	if services < 0 || !hasNetworks(string(before)) || !declares(lines, services, v.GatewayName) || declares(lines, services, web) {
		r.byHand("%s has an unknown structure: add the service web by hand, with GATEWAY_URL=http://%s:%d", composeFile, v.GatewayName, v.GatewayPort)
		return nil
	}
	block := append([]string{""}, strings.Split(strings.TrimRight(string(entry.Data), "\n"), "\n")...)
	lines = slices.Insert(lines, blockEnd(lines, services), block...)
	r.edit(composeFile, before, []byte(strings.Join(lines, "\n")+"\n"))
	return nil
}

// checkItems verifies that the gateway has the routes that the web client calls, and that
// items have the versions by which it notices conflicts.
func (d *Dir) checkItems(gateway *workspace.Service) error {
	files, err := d.goFiles(path.Clean(gateway.Path), noTests)
	if err != nil {
		return err
	}
	var routes []string
	for _, f := range files {
		routes = append(routes, routesIn(f.tree)...)
	}
	for _, needed := range []string{"GET /items", "POST /items", "GET /items/{id}", "PATCH /items/{id}", "DELETE /items/{id}"} {
		if !slices.Contains(routes, needed) {
			return fmt.Errorf("%w, and the gateway in %s does not have the route %s", ErrNoItems, path.Clean(gateway.Path), needed)
		}
	}
	contract, err := d.read("contracts/items/items.go")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && !strings.Contains(string(contract), `header:"If-Match"`) {
		return errors.New("contracts/items/items.go is that of an older msctl: its items have no version, by which the web client notices conflicts")
	}
	return nil
}

// HasPackages reports whether the packages of the web client are installed.
func (d *Dir) HasPackages() bool {
	_, err := os.Stat(filepath.Join(d.Root, filepath.FromSlash(WebDir), "node_modules"))
	return err == nil
}

// sentence returns a name as the beginning of a sentence: "Corner shop" for corner-shop.
func sentence(name string) string { return upperFirst(strings.ReplaceAll(name, "-", " ")) }
