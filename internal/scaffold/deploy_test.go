package scaffold

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
)

// manifests returns the manifests of the workspace in dir by path, and the manual steps.
func manifests(t *testing.T, dir string) (map[string]string, []string) {
	t.Helper()
	r, err := open(t, dir).NewKubernetes()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range r.Files {
		files[strings.TrimPrefix(f.Path, deployDir+"/")] = string(f.Data)
		if f.Removed {
			files[strings.TrimPrefix(f.Path, deployDir+"/")] = "removed"
		}
	}
	return files, r.ByHand
}

// deploy writes the manifests like the command, and returns the paths of what was kept.
func deploy(t *testing.T, dir string) []string {
	t.Helper()
	r, err := open(t, dir).NewKubernetes()
	if err != nil {
		t.Fatal(err)
	}
	steps, err := Plan(dir, r.Files)
	if err != nil {
		t.Fatal(err)
	}
	steps, kept := Kept(steps)
	if err := Write(dir, steps, true); err != nil {
		t.Fatal(err)
	}
	return kept
}

// TestWorkloads: what a program is deployed as follows from its transport and its code.
func TestWorkloads(t *testing.T) {
	dir := t.TempDir()
	makeWorkspace(t, dir, Workspace{Name: "shop", Services: []Service{
		{Name: "items", Port: 3002}, {Name: "orders", Port: 3003}, {Name: "pay", Port: 3004},
		{Name: "mail", Transport: workspace.RabbitMQ}, {Name: "cache", Transport: workspace.Redis},
	}})
	put(t, dir, "apps/items/store.go", "package main\n\nimport _ \"shop/internal/database\"\n\nfunc newMemoryStore() {}\n")
	put(t, dir, "internal/database/database.go", "package database\n\nimport _ \"modernc.org/sqlite\"\n")
	put(t, dir, "internal/program/program.go", "package program\n")
	files, byHand := manifests(t, dir)
	if byHand != nil {
		t.Errorf("manual steps %q", byHand)
	}
	for _, c := range []struct {
		file          string
		holds, misses []string
	}{
		{"items", []string{"kind: StatefulSet", "replicas: 1 # its data is in a file", "name: DATA_DIR", "volumeClaimTemplates:", "fsGroup: 65532", "path: /ready\n              port: private"},
			[]string{"HorizontalPodAutoscaler", "PodDisruptionBudget", "kind: Ingress", "strategy:"}},
		{"pay", []string{"kind: Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "topologySpreadConstraints"}, []string{"replicas: 1", "DATA_DIR", "ITEMS_URL"}},
		{"mail", []string{"name: RABBITMQ_URL", "HorizontalPodAutoscaler"}, []string{"kind: Service\n", "MS_PORT"}},
		{"cache", []string{"replicas: 1 # on Redis", "name: REDIS_URL"}, []string{"HorizontalPodAutoscaler"}},
		{"gateway", []string{"kind: Ingress", "value: tcp://items:3002", "value: tcp://pay:3004", "name: RABBITMQ_URL", "name: REDIS_URL", "key: AUTH_SECRET"}, []string{"NATS_URL", "MS_PORT"}},
	} {
		text := files["base/"+c.file+".yaml"]
		for _, part := range c.holds {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %q:\n%s", c.file, part, text)
			}
		}
		for _, part := range c.misses {
			if strings.Contains(text, part) {
				t.Errorf("%s contains %q", c.file, part)
			}
		}
	}
}

// TestPostgresProgram: its address comes from a Secret, and it has several replicas.
func TestPostgresProgram(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	put(t, dir, "apps/items/store.go", "package main\n\nimport _ \"shop/internal/database\"\n\nfunc newMemoryStore() {}\n")
	put(t, dir, "internal/database/database.go", "package database\n\nimport _ \"github.com/jackc/pgx/v5/stdlib\"\n")
	files, _ := manifests(t, dir)
	for _, part := range []string{"kind: Deployment", "key: DATABASE_URL", "HorizontalPodAutoscaler"} {
		if !strings.Contains(files["base/items.yaml"], part) {
			t.Errorf("items.yaml lacks %q", part)
		}
	}
	if want := "--from-literal=DATABASE_URL='postgres://"; !strings.Contains(files["overlays/production/kustomization.yaml"], want) {
		t.Errorf("the overlay for production lacks %q", want)
	}
}

// TestNotCovered: other programs are named, with what is to be written.
func TestNotCovered(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	change(t, dir, "msctl.yaml", "  gateway:\n", "  legacy:\n    command: npm start\n    port: 3050\n\n  gateway:\n")
	change(t, dir, "msctl.yaml", "depends_on: [items, orders]", "depends_on: [items, orders, legacy]")
	files, byHand := manifests(t, dir)
	want := []string{"legacy is not covered, because it is not a Go program of this workspace: write its Deployment with the label app.kubernetes.io/name: legacy, a NetworkPolicy, and a Service legacy with the port 3050 in an overlay"}
	if diff := cmp.Diff(want, byHand); diff != "" {
		t.Errorf("manual steps (-want +got):\n%s", diff)
	}
	if !strings.Contains(files["base/gateway.yaml"], "value: tcp://legacy:3050") {
		t.Errorf("the gateway does not know the address of legacy:\n%s", files["base/gateway.yaml"])
	}
}

// TestDeployedAgain: a second run updates what has not been changed, removes what is gone, and
// keeps the user's edits.
func TestDeployedAgain(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	if kept := deploy(t, dir); kept != nil {
		t.Fatalf("kept %q", kept)
	}
	before := tree(t, dir)
	if deploy(t, dir); cmp.Diff(before, tree(t, dir)) != "" {
		t.Errorf("a second run changes files:\n%s", cmp.Diff(before, tree(t, dir)))
	}
	const network, prod = deployDir + "/base/network.yaml", deployDir + "/overlays/production/kustomization.yaml"
	change(t, dir, network, "ingress-nginx", "traefik")
	change(t, dir, prod, "registry.example", "ghcr.io/you")
	change(t, dir, "msctl.yaml", "  orders:\n    path: ./apps/orders", "  buys:\n    path: ./apps/orders")
	change(t, dir, "msctl.yaml", "depends_on: [items, orders]", "depends_on: [items, buys]")
	if diff := cmp.Diff([]string{network, prod}, deploy(t, dir)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	after := tree(t, dir)
	if after[deployDir+"/base/orders.yaml"] != "" || !strings.Contains(after[deployDir+"/base/buys.yaml"], "image: shop-buys") {
		t.Error("orders.yaml is not replaced by buys.yaml")
	}
	if !strings.Contains(after[network], "traefik") || !strings.Contains(after[prod], "ghcr.io/you") {
		t.Error("an edit was lost")
	}
	_, byHand := manifests(t, dir)
	want := []string{"the Dockerfile builds ./apps/buys, and buys is in ./apps/orders: build the image shop-buys in another way", "add the image shop-buys to " + prod}
	if diff := cmp.Diff(want, byHand); diff != "" {
		t.Errorf("manual steps (-want +got):\n%s", diff)
	}
}

// TestNotDeployable: names and workspaces that Kubernetes cannot have.
func TestNotDeployable(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"a name that ends with a hyphen": {"  orders:\n", "  orders-:\n", "service orders- cannot be deployed to Kubernetes"},
		"no Go program":                  {"", "name: shop\nservices:\n  legacy:\n    command: npm start\n    port: 3050\n", "has no Go programs"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			makeShop(t, dir)
			if c.old == "" {
				put(t, dir, "msctl.yaml", c.new)
			} else {
				change(t, dir, "msctl.yaml", c.old, c.new)
				change(t, dir, "msctl.yaml", "depends_on: [items, orders]", "depends_on: [items]")
			}
			if _, err := open(t, dir).NewKubernetes(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got the error %v", err)
			}
		})
	}
}
