package create

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// tokenSettings are those of a gateway, with which it verifies tokens.
type tokenSettings struct {
	issuer, audience, rolesClaim string
	secret                       string
}

// settings returns the settings of the gateway of the workspace, with those of the flags.
func (o *tokenOptions) settings(s *term.IO) (tokenSettings, error) {
	var settings tokenSettings
	w, err := workspace.Current()
	if err != nil {
		return settings, err
	}
	if w == nil && o.secretFile == "" {
		_, err := command.RequireWorkspace()
		return settings, exit.WithHint(err, "outside of a workspace, use --secret-file, --issuer, and --audience")
	}
	var g gatewayEnv
	if w != nil {
		if g, err = findGateway(w, o.gateway); err != nil && (o.secretFile == "" || o.gateway != "") {
			return settings, err
		}
	}
	settings.issuer = cmp.Or(o.issuer, g.get("AUTH_ISSUER"))
	settings.audience = cmp.Or(o.audience, g.get("AUTH_AUDIENCE"))
	settings.rolesClaim = g.get("AUTH_ROLES_CLAIM")
	if !o.isPrincipal {
		for flag, value := range map[string]string{"issuer": settings.issuer, "audience": settings.audience} {
			if value == "" && o.secretFile != "" {
				return settings, exit.Usagef("--secret-file requires --%s", flag)
			}
		}
	}
	if o.secretFile != "" {
		settings.secret, err = readSecret(s, o.secretFile)
	} else {
		settings.secret, err = g.secretFor(o.isPrincipal)
	}
	s.Secrets().Add(settings.secret)
	return settings, err
}

// gatewayEnv is the environment of a gateway. The zero value has no variables.
type gatewayEnv struct {
	w *workspace.Workspace
	s *workspace.Service
}

func (g gatewayEnv) get(name string) string {
	if g.s == nil {
		return ""
	}
	value, _ := proc.Lookup(g.w, g.s, name)
	return value
}

// secretFor returns the secret for tokens, or for principals. It fails if the gateway has
// none, or one that is not for development.
func (g gatewayEnv) secretFor(isPrincipal bool) (string, error) {
	name := "AUTH_SECRET"
	if isPrincipal {
		name = "PRINCIPAL_SECRET"
	}
	if keys := g.get("AUTH_KEYS"); keys != "" && !isPrincipal {
		return "", g.foreign("verifies tokens with the keys of AUTH_KEYS")
	}
	text, err := g.secret(name)
	switch {
	case err != nil:
		return "", err
	case text == "" && isPrincipal:
		return "", exit.WithHint(fmt.Errorf("%s has no PRINCIPAL_SECRET", g.s.Name), "`msctl help token` explains the settings")
	case text == "" && strings.Contains(g.get("AUTH_ISSUER"), "://"):
		return "", g.foreign("verifies tokens with the keys that " + g.get("AUTH_ISSUER") + " publishes")
	case text == "":
		return "", exit.WithHint(fmt.Errorf("%s has no AUTH_SECRET, so msctl cannot sign tokens for it", g.s.Name),
			"set AUTH_ISSUER, AUTH_AUDIENCE, and AUTH_SECRET in `env` of %s in %s, or name the secret: --secret-file FILE", g.s.Name, workspace.FileName)
	case !strings.HasPrefix(text, secret.DevelopmentPrefix):
		return "", exit.WithHint(fmt.Errorf("%s of %s is not for development: it does not begin with %s", name, g.s.Name, secret.DevelopmentPrefix),
			"to sign with it nevertheless, name a file that contains it: --secret-file FILE")
	}
	return text, nil
}

// foreign reports that only the issuer can make tokens for the gateway.
func (g gatewayEnv) foreign(why string) error {
	return exit.WithHint(fmt.Errorf("%s %s, so msctl cannot sign any", g.s.Name, why),
		"get a token from the issuer; or, for development, set AUTH_SECRET instead, for example in .env.local")
}

// secret returns a secret, from a variable or from the file that NAME_FILE names.
func (g gatewayEnv) secret(name string) (string, error) {
	text, file := g.get(name), g.get(name+"_FILE")
	switch {
	case file == "":
		return text, nil
	case text != "":
		return "", fmt.Errorf("%s of %s cannot be combined with %s_FILE: set one of them to nothing", name, g.s.Name, name)
	case !filepath.IsAbs(file):
		file = filepath.Join(g.w.WorkDir(g.s), file)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read %s_FILE of %s: %w", name, g.s.Name, err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}

// gatewaysOf returns the gateways of a workspace.
func gatewaysOf(w *workspace.Workspace) (list []*workspace.Service) {
	for _, s := range w.Services {
		if s.Kind == workspace.KindGateway {
			list = append(list, s)
		}
	}
	return list
}

// inner returns the gateways that do not depend on another one, as a web client does.
func inner(gateways []*workspace.Service) []*workspace.Service {
	return slices.DeleteFunc(slices.Clone(gateways), func(s *workspace.Service) bool {
		return slices.ContainsFunc(gateways, func(other *workspace.Service) bool { return slices.Contains(s.DependsOn, other.Name) })
	})
}

// findGateway returns the gateway with a name. If the name is empty, it returns the only one
// that does not depend on another one.
func findGateway(w *workspace.Workspace, name string) (gatewayEnv, error) {
	list := gatewaysOf(w)
	if name == "" {
		list = inner(list)
	}
	var names []string
	for _, g := range list {
		if g.Name == name || name == "" && len(list) == 1 {
			return gatewayEnv{w, g}, nil
		}
		names = append(names, g.Name)
	}
	switch {
	case len(list) == 0:
		return gatewayEnv{}, exit.Usagef("%s has no gateway (kind: gateway)", workspace.FileName)
	case name == "":
		return gatewayEnv{}, exit.WithHint(exit.Usagef("the workspace has several gateways: %s", strings.Join(names, ", ")), "--gateway selects one")
	}
	err := exit.Usagef("unknown gateway %s: the gateways are %s", name, strings.Join(names, ", "))
	if near := nearest.Word(name, names); near != "" {
		return gatewayEnv{}, exit.WithHint(err, "did you mean %s?", near)
	}
	return gatewayEnv{}, err
}

// readSecret reads the secret of --secret-file.
func readSecret(s *term.IO, file string) (string, error) {
	var content []byte
	var err error
	if file == "-" {
		content, err = io.ReadAll(s.In)
	} else {
		content, err = os.ReadFile(file)
	}
	if err != nil {
		return "", exit.Usagef("--secret-file: %w", err)
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" {
		return "", errors.New("--secret-file: the secret is empty")
	}
	return text, nil
}
