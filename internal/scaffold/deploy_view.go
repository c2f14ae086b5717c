package scaffold

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// deployment reads what the manifests depend on: the services of msctl.yaml, and what their
// code needs.
func (d *Dir) deployment() (deployment, error) {
	name := deployedName(d.Workspace)
	v := deployment{Name: name, Namespace: name}
	for _, s := range d.Workspace.Services {
		if s.Path == "" && !d.isWeb(s) {
			continue
		}
		if err := checkDeployable(s); err != nil {
			return v, err
		}
		describe := d.program
		if d.isWeb(s) {
			describe = d.web
		}
		p, err := describe(s)
		if err != nil {
			return v, err
		}
		v.Programs = append(v.Programs, p)
	}
	if len(v.Programs) == 0 {
		return v, errNothingToDeploy
	}
	v.setHosts()
	v.connect()
	development, err := SecretsIn(d.Root)
	if err != nil {
		return v, err
	}
	v.collectSecrets(development)
	return v, nil
}

// program describes one Go program.
func (d *Dir) program(s *workspace.Service) (*program, error) {
	needs, err := d.needsOf(path.Clean(s.Path))
	if err != nil {
		return nil, err
	}
	p := &program{
		Name: s.Name, Image: imageOf(d.Workspace, s.Name), Workspace: deployedName(d.Workspace),
		Gateway: s.Kind == workspace.KindGateway, Port: s.Port,
		Private: d.exists("internal/program"),
	}
	if err := d.store(p, needs); err != nil {
		return nil, err
	}
	switch {
	case p.SQLite:
		p.Single = "its data is in a file, which one program writes"
	case needs.memory && !needs.imports[d.Module+"/internal/database"]:
		p.Single = "its data is in memory, so a second replica would have other data"
	case s.Transport == workspace.Redis:
		p.Single = "on Redis, every replica handles every message"
	}
	d.addresses(p, s, needs)
	if needs.calls["Principals"] {
		p.Secrets = append(p.Secrets, secretRef{Name: "principal", Variable: "PRINCIPAL_SECRET", Example: `"$(openssl rand -hex 32)"`})
	}
	if needs.calls["Mail"] {
		p.Secrets = append(p.Secrets, secretRef{Name: "mail", Variable: "SMTP_URL", Value: "log:", Example: "'smtp://user:password@mail.example:587'"})
		p.Outside = append(p.Outside, outside{"the mail server", []int{465, 587}})
	}
	if p.Gateway {
		p.Secrets = append(p.Secrets, secretRef{Name: "auth", Variable: "AUTH_SECRET", Optional: "without it, tokens are verified with the keys that the issuer publishes"})
		p.Outside = append(p.Outside, outside{"the issuer of tokens", []int{443}})
	}
	return p, nil
}

// isWeb reports whether a service is the web client, with a Dockerfile.
func (d *Dir) isWeb(s *workspace.Service) bool {
	return s.Path == "" && path.Clean(filepath.ToSlash(s.Dir)) == WebDir && d.exists(WebDir+"/Dockerfile")
}

// web describes the web client, which calls the gateway and has no secrets.
func (d *Dir) web(s *workspace.Service) (*program, error) {
	p := &program{Name: s.Name, Image: imageOf(d.Workspace, s.Name), Workspace: deployedName(d.Workspace), Web: true, Port: s.Port}
	if gateway := d.gateway(); gateway != nil {
		p.Settings = []setting{{"GATEWAY_URL", "http://" + gateway.Name}} // the port of its Service is 80
		p.Calls = []callee{{gateway.Name, gateway.Port}}
	}
	return p, nil
}

// addresses sets the addresses that a program needs: those of the services that it depends on
// or names in its code, and of their brokers.
func (d *Dir) addresses(p *program, s *workspace.Service, needs needs) {
	for _, other := range d.Workspace.Services {
		target := Service{Name: other.Name, Transport: other.Transport, Port: other.Port}
		if other == s || other.Kind == workspace.KindGateway || target.OnBroker() {
			continue
		}
		if needs.texts[target.Variable()] || slices.Contains(s.DependsOn, other.Name) {
			p.Settings = append(p.Settings, setting{target.Variable(), target.Inside()})
			p.Calls = append(p.Calls, callee{other.Name, other.Port})
		}
	}
	for _, b := range brokersOf(workspace.Brokers()...) {
		needed := s.Transport == b.Transport || needs.texts[b.Variable()]
		for _, name := range s.DependsOn {
			needed = needed || d.Workspace.Service(name).Transport == b.Transport
		}
		if needed {
			p.Secrets = append(p.Secrets, brokerSecret(b))
			p.Outside = append(p.Outside, outside{b.Title(), b.ports()})
		}
	}
}

// ports returns the broker's ports, without and with TLS.
func (b brokerView) ports() []int {
	switch b.Transport {
	case workspace.RabbitMQ:
		return []int{5671, 5672}
	case workspace.Redis:
		return []int{6379, 6380}
	}
	return []int{4222}
}

func brokerSecret(b brokerView) secretRef {
	scheme, address, _ := strings.Cut(b.Preset(), "://")
	_, port, _ := strings.Cut(address, ":")
	return secretRef{
		Name: b.Name(), Variable: b.Variable(),
		Value:   fmt.Sprintf("%s://%s.brokers:%s", scheme, b.Name(), port),
		Example: fmt.Sprintf("'%s://user:password@%s.example:%d'", b.Secure(), b.Name(), b.ports()[0]),
	}
}

// store sets where a program stores its data.
func (d *Dir) store(p *program, needs needs) error {
	if !needs.imports[d.Module+"/internal/database"] {
		return nil
	}
	database, err := d.needsOf("internal/database")
	if err != nil {
		return err
	}
	if database.imports["modernc.org/sqlite"] {
		p.SQLite = true
		return nil
	}
	p.Secrets = append(p.Secrets, secretRef{Name: "database", Variable: "DATABASE_URL",
		Value: "postgres://postgres@postgres.databases:5432/postgres", Example: "'postgres://user:password@postgres.example:5432/shop?sslmode=verify-full'"})
	p.Outside = append(p.Outside, outside{"Postgres", []int{5432}})
	return nil
}

// setHosts names the hosts of the gateways after the workspace, and of several also after each.
// That of the web client begins with www.
func (v *deployment) setHosts() {
	for _, p := range v.Programs {
		if p.Web {
			p.Host, p.LocalHost = "www."+v.Name+".example", "www."+v.Name+".localhost"
		}
	}
	gateways := v.Gateways()
	for _, p := range gateways {
		host := v.Name
		if len(gateways) > 1 {
			host = p.Name + "." + host
		}
		p.Host, p.LocalHost = host+".example", host+".localhost"
	}
}

// connect lists the callers of each program.
func (v *deployment) connect() {
	for _, p := range v.Programs {
		for _, other := range v.Programs {
			if slices.ContainsFunc(other.Calls, func(c callee) bool { return c.Name == p.Name }) {
				p.Callers = append(p.Callers, other.Name)
			}
		}
	}
}

// collectSecrets lists the Secrets of all programs, each once.
func (v *deployment) collectSecrets(development Secrets) {
	for _, p := range v.Programs {
		for _, s := range p.Secrets {
			switch s.Variable {
			case "PRINCIPAL_SECRET":
				s.Value = cmp.Or(development.Principals, "development-only-without-a-secret-in-msctl.yaml")
			case "AUTH_SECRET":
				s.Value = development.Tokens
			}
			known := func(other secretRef) bool { return other.Name == s.Name }
			if s.Value != "" && !slices.ContainsFunc(v.DevelopmentSecrets, known) {
				v.DevelopmentSecrets = append(v.DevelopmentSecrets, s)
			}
			if s.Optional == "" && !slices.ContainsFunc(v.Secrets, known) {
				v.Secrets = append(v.Secrets, s)
			}
		}
	}
}

// needs is what the code of a package shows about its needs.
type needs struct {
	imports map[string]bool
	texts   map[string]bool // its string literals
	calls   map[string]bool // the names of the functions and methods that it calls
	memory  bool            // whether it stores data in memory
}

// needsOf reads the Go files of a folder, without tests.
func (d *Dir) needsOf(dir string) (needs, error) {
	n := needs{map[string]bool{}, map[string]bool{}, map[string]bool{}, false}
	files, err := d.goFiles(dir, noTests)
	if err != nil {
		return n, err
	}
	for _, f := range files {
		for _, spec := range f.tree.Imports {
			if name, err := strconv.Unquote(spec.Path.Value); err == nil {
				n.imports[name] = true
			}
		}
		ast.Inspect(f.tree, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.BasicLit:
				if text, err := strconv.Unquote(node.Value); err == nil && node.Kind == token.STRING {
					n.texts[text] = true
				}
			case *ast.CallExpr:
				n.calls[typeName(node.Fun)] = true
			}
			return true
		})
	}
	// The samples' own stores, which a second replica does not see.
	n.memory = n.calls["newMemoryStore"] || n.calls["newMemoryJournal"]
	return n, nil
}
