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
	Name    string // of the workspace
	Title   string // the name for readers
	Gateway string // the address of the gateway in development
}

// NewWeb renders the web client of the gateway, and adds it to msctl.yaml. The error is
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
	address := fmt.Sprintf("http://localhost:%d", gateway.Port)
	files, err := renderDir(web, webView{Name: d.Workspace.Name, Title: sentence(d.Workspace.Name), Gateway: address}, strings.NewReplacer())
	if err != nil {
		return Result{}, err
	}
	r := Result{Files: files}
	s := workspace.Service{
		Name: web, Kind: workspace.KindGateway, Command: []string{"npm", "run", "dev"}, Dir: "./" + WebDir,
		Port: port, DependsOn: []string{gateway.Name},
	}
	if gateway.Name != "gateway" { // otherwise, msctl run sets it
		s.Env = map[string]string{"GATEWAY_URL": address}
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
	return r, nil
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
	if err == nil && !strings.Contains(string(contract), `json:"version"`) {
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
