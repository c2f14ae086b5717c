package scaffold

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
)

// change edits a file like a user.
func change(t *testing.T, dir, name, old, now string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s does not hold %q", name, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, now, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// edited returns the new content of a file.
func edited(t *testing.T, r Result, name string) string {
	t.Helper()
	for _, f := range r.Files {
		if f.Path == name {
			return string(f.Data)
		}
	}
	t.Fatalf("%s is not among the files", name)
	return ""
}

// lost returns the lines of before that after does not hold in the same order.
func lost(before, after string) []string {
	var missing []string
	lines := strings.Split(after, "\n")
	for _, line := range strings.Split(before, "\n") {
		found := -1
		for i, other := range lines {
			if other == line {
				found = i
				break
			}
		}
		if found < 0 {
			missing = append(missing, line)
			continue
		}
		lines = lines[found+1:]
	}
	return missing
}

// TestAddedToEditedFiles: files that people have changed keep every line.
func TestAddedToEditedFiles(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	change(t, dir, "apps/items/server.go", "// register connects", "// A remark of mine.\n//\n// register connects")
	change(t, dir, "apps/items/server.go", "func (s *service) register(server *micro.Server) {", "func (svc *service) register(srv *micro.Server) {\n\ts, server := svc, srv // mine")
	change(t, dir, "apps/gateway/items_routes.go", "\n}\n", "\n\n\t// the end\n}\n\nfunc mine() {}\n")
	change(t, dir, "compose.yaml", "  gateway:\n", "  # the edge\n  gateway:\n    hostname: edge\n")
	change(t, dir, "compose.yaml", "name: shop\n", "name: shop\nvolumes:\n  data: {}\n")
	change(t, dir, "msctl.yaml", "  gateway:\n", "  # the edge\n  gateway:\n")
	change(t, dir, "msctl.yaml", "port: 3002", "port: 3042")
	change(t, dir, ".env.example", "# Gateway", "MINE=1\n\n# Gateway")

	before := tree(t, dir)
	d := open(t, dir)
	h, _, err := d.NewHandler(Handler{Service: "items", Name: "archiveItem", Route: "POST /items/{id}/archive"})
	if err != nil || h.ByHand != nil {
		t.Fatal(err, h.ByHand)
	}
	s, err := d.NewService(Service{Name: "payments", Port: d.NextPort()})
	if err != nil || s.ByHand != nil {
		t.Fatal(err, s.ByHand)
	}
	for _, f := range append(h.Files, s.Files...) {
		if _, there := before[f.Path]; there && f.Path != "msctl.yaml" && f.Path != archiveFile {
			if missing := lost(before[f.Path], string(f.Data)); missing != nil && f.Path != "apps/gateway/services.go" {
				t.Errorf("%s lost %q", f.Path, missing)
			}
		}
	}
	for _, want := range []struct{ text, part string }{
		{edited(t, h, "apps/items/server.go"), "items.ArchiveItem.Handle(srv, svc.archiveItem)\n}"},
		{edited(t, h, "apps/items/archiveitem.go"), "func (svc *service) archiveItem("},
		{edited(t, s, "compose.yaml"), "      PAYMENTS_URL: tcp://payments:3043\n    depends_on:\n      items:\n        condition: service_healthy\n      orders:\n        condition: service_healthy\n      payments:\n        condition: service_healthy\n"},
		{edited(t, s, "compose.yaml"), "volumes:\n  data: {}\n"},
		{edited(t, s, "msctl.yaml"), "depends_on: [items, orders, payments]"},
		{edited(t, s, "msctl.yaml"), "  # the edge\n"},
		{edited(t, s, ".env.example"), "ORDERS_URL=tcp://localhost:3003\nPAYMENTS_URL=tcp://localhost:3043\n"},
		{edited(t, s, "apps/gateway/services.go"), `transport: tcp("PAYMENTS_URL", "tcp://localhost:3043"), routes: paymentsRoutes`},
	} {
		if !strings.Contains(want.text, want.part) {
			t.Errorf("%q is not in:\n%s", want.part, want.text)
		}
	}
	if err := write(t, dir, false, s.Files...); err != nil {
		t.Error(err)
	}
}

// TestEditedListIsLeftAlone: if the user has edited the list of services, which msctl
// generates, the change to make is printed, and everything else is written.
func TestEditedListIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	change(t, dir, "apps/gateway/services.go", "func services", "// mine\nfunc services")
	before := tree(t, dir)["apps/gateway/services.go"]
	r, err := open(t, dir).NewService(Service{Name: "payments", Port: 3004})
	if err != nil {
		t.Fatal(err)
	}
	const want = `apps/gateway/services.go has been edited: add {name: "payments", transport: tcp("PAYMENTS_URL", "tcp://localhost:3004"), routes: paymentsRoutes} to its list`
	if diff := cmp.Diff([]string{want}, r.ByHand); diff != "" {
		t.Error(diff)
	}
	if err := write(t, dir, true, r.Files...); err != nil {
		t.Fatal(err)
	}
	after := tree(t, dir)
	if after["apps/gateway/services.go"] != before || after["apps/payments/main.go"] == "" {
		t.Error("the list was changed, or the service was not written")
	}
}

// TestByHand checks that msctl does not change code that it does not recognize, and
// reports it.
func TestByHand(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	put(t, dir, "compose.yaml", "services: {gateway: {image: edge}}\n")
	d := open(t, dir)
	r, err := d.NewService(Service{Name: "payments", Port: 3004})
	if err != nil || len(r.ByHand) != 1 || !strings.Contains(r.ByHand[0], "PAYMENTS_URL=tcp://payments:3004") {
		t.Errorf("by hand %q, %v", r.ByHand, err)
	}
	change(t, dir, "apps/gateway/items_routes.go", "func itemsRoutes(", "func routesOfItems(")
	r, _, err = d.NewHandler(Handler{Service: "items", Name: "archiveItem", Route: "POST /archive"})
	if err != nil || len(r.ByHand) != 1 || !strings.Contains(r.ByHand[0], `gateway.Route(gw, "POST /archive"`) {
		t.Errorf("by hand %q, %v", r.ByHand, err)
	}
}

func TestComposeForms(t *testing.T) {
	for _, test := range []struct {
		name, text string
		ok         bool
	}{
		{"lists", "services:\n  gateway:\n    environment:\n      - A=b\n    depends_on:\n      - items\n", true},
		{"lists not indented", "services:\n  gateway:\n    environment:\n    - A=b\n    depends_on:\n    - items\n", false},
		{"conditions", "services:\n  gateway:\n    environment:\n      A: b\n    depends_on:\n      items:\n        condition: service_started\n", true},
		{"no gateway", "services:\n  edge:\n    image: x\n", false},
		{"tabs", "services:\n\tgateway:\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := Service{Name: "payments", Port: 3004}
			out, ok, err := addToCompose(test.text, s, "gateway")
			if err != nil {
				t.Fatal(err)
			}
			ok = ok && extends([]byte(test.text), []byte(out), s)
			if ok != test.ok {
				t.Errorf("ok %v, want %v:\n%s", ok, test.ok, out)
			}
			if ok && lost(test.text, out) != nil {
				t.Errorf("lost %q", lost(test.text, out))
			}
		})
	}
}

// TestComposeGrows: a broker is added once, with its volume where that belongs.
func TestComposeGrows(t *testing.T) {
	before := "services:\n  gateway:\n    environment:\n      A: b\n    depends_on:\n      - items\n\nvolumes:\n  data: {}\n\nnetworks: {}\n"
	mail := Service{Name: "mail", Transport: workspace.RabbitMQ}
	one, ok, err := addToCompose(before, mail, "gateway")
	if err != nil || !ok || !extends([]byte(before), []byte(one), mail) {
		t.Fatalf("%v, %v:\n%s", ok, err, one)
	}
	for _, part := range []string{
		"  rabbitmq:\n    image:", "        required: false\n\n  gateway:\n", "      RABBITMQ_URL: amqp://app@rabbitmq:5672\n      RABBITMQ_PASSWORD_FILE: /run/secrets/rabbitmq\n", "      - items\n      - mail\n",
		"\nvolumes:\n  data: {}\n  rabbitmq:\n\nnetworks: {}\n", "\nsecrets:\n  rabbitmq: # the password of RabbitMQ\n    file: ./secrets/rabbitmq\n",
		"  gateway:\n    secrets:\n      - rabbitmq\n    environment:\n", "        required: false\n",
	} {
		if !strings.Contains(one, part) {
			t.Errorf("%q is not in:\n%s", part, one)
		}
	}
	reports := Service{Name: "reports", Transport: workspace.RabbitMQ}
	two, ok, err := addToCompose(one, reports, "gateway")
	if err != nil || !ok || !extends([]byte(one), []byte(two), reports) {
		t.Fatalf("%v, %v:\n%s", ok, err, two)
	}
	if n := strings.Count(two, "file: ./secrets/rabbitmq"); n != 1 {
		t.Errorf("its password is declared %d times:\n%s", n, two)
	}
	if n := strings.Count(two, "image: rabbitmq"); n != 1 {
		t.Errorf("RabbitMQ is there %d times:\n%s", n, two)
	}
	if n := strings.Count(two, "RABBITMQ_URL: amqp:"); n != 3 {
		t.Errorf("%d addresses, want those of mail, reports and the gateway:\n%s", n, two)
	}
	if _, ok, _ := addToCompose(strings.Replace(before, "volumes:\n  data: {}", "volumes: {data: {}}", 1), mail, "gateway"); ok {
		t.Error("volumes in one line were taken")
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	d := open(t, dir)
	handler := func(service, name, route string) func() error {
		return func() error {
			_, _, err := d.NewHandler(Handler{Service: service, Name: name, Route: route})
			return err
		}
	}
	service := func(name string, port int) func() error {
		return func() error {
			_, err := d.NewService(Service{Name: name, Port: port})
			return err
		}
	}
	for _, test := range []struct {
		try  func() error
		want string
	}{
		{handler("itmes", "archive", ""), "unknown service itmes"},
		{handler("gateway", "archive", ""), "is a gateway"},
		{handler("items", "Archive", ""), "must be a Go name"},
		{handler("items", "func", ""), "must be a Go name"},
		{handler("items", "createItem", ""), "contracts/items/items.go already declares CreateItem"},
		{handler("items", "itemViewed", ""), "contracts/items/items.go already declares ItemViewed"},
		{handler("items", "register", ""), "apps/items/server.go already declares a field or method register"},
		{handler("items", "archive", "POST items"), "must look like"},
		{handler("items", "archive", "FETCH /items"), "must look like"},
		{handler("items", "archive", "POST /items"), "already has a route POST /items"},
		{service("items", 3004), "already has a service items"},
		{service("payments", 3002), "port 3002 is already used by service items"},
		{service("Payments", 3004), "must be a lower-case letter"},
	} {
		if err := test.try(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
	change(t, dir, "apps/items/server.go", "register(server *micro.Server)", "register(server *micro.Server, more int)")
	change(t, dir, "apps/items/server.go", "func (s *service) register", "func (s service) register")
	if err := handler("items", "archive", "")(); err == nil || !strings.Contains(err.Error(), "has no method") {
		t.Errorf("error %v", err)
	}
}

// TestInsertLeavesUnformattedFilesAlone: only the new line is added to a file
// that was not gofmt'd.
func TestInsertLeavesUnformattedFilesAlone(t *testing.T) {
	dir := t.TempDir()
	makeShop(t, dir)
	change(t, dir, "apps/items/server.go", "	s.register(server)", "  s.register( server )   ")
	before := tree(t, dir)["apps/items/server.go"]
	r, _, err := open(t, dir).NewHandler(Handler{Service: "items", Name: "archiveItem"})
	if err != nil {
		t.Fatal(err)
	}
	after := edited(t, r, "apps/items/server.go")
	if got := strings.Replace(after, "	items.ArchiveItem.Handle(server, s.archiveItem)\n", "", 1); got != before {
		t.Error(cmp.Diff(before, got))
	}
}
