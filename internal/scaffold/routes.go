package scaffold

import (
	"fmt"
	"go/ast"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/msctl/msctl/runtime/gateway"
)

var routePattern = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) /([A-Za-z0-9._~-]+|\{[a-z][A-Za-z0-9]*\}|/)*$`)

// checkRoute verifies that the gateway accepts a new route next to its own routes and those
// in the files of its package.
func checkRoute(target string, files []goFile) error {
	if !routePattern.MatchString(target) {
		return fmt.Errorf("invalid route %q: must look like 'POST /items/archive' or 'GET /items/{id}/history'", target)
	}
	mux := http.NewServeMux()
	for _, own := range gateway.OwnTargets() {
		_ = addRoute(mux, own)
	}
	known := map[string]string{} // the file of each route
	for _, f := range files {
		for _, other := range routesIn(f.tree) {
			known[other] = f.name
			_ = addRoute(mux, other) // the gateway reports conflicts between existing routes
		}
	}
	if known[target] != "" {
		return fmt.Errorf("%s already has a route %s", known[target], target)
	}
	return addRoute(mux, target)
}

// addRoute adds a route to a mux. The error is that of the mux, which panics if a route is
// invalid, or conflicts with another one: if one request can match both, and neither is
// more specific.
func addRoute(mux *http.ServeMux, target string) (err error) {
	defer func() {
		reason := recover()
		if reason == nil {
			return
		}
		err = fmt.Errorf("invalid route %q: %v", target, reason)
		// The conflict follows the places of both routes, which are in this file.
		if _, conflict, ok := strings.Cut(fmt.Sprint(reason), "):\n"); ok {
			conflict, _, _ = strings.Cut(conflict, ".\nBut neither")
			err = fmt.Errorf("route %q conflicts with another one: %s", target, conflict)
		}
	}()
	mux.Handle(target, http.NotFoundHandler())
	return nil
}

// routesIn returns the targets in calls of gateway.Route, Stream, and Event that are string
// literals.
func routesIn(f *ast.File) (targets []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 4 || !slices.Contains([]string{"Route", "Stream", "Event"}, typeName(call.Fun)) {
			return true
		}
		if target, ok := stringOf(call.Args[1]); ok {
			targets = append(targets, target)
		}
		return true
	})
	return targets
}
