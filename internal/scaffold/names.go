package scaffold

import (
	"errors"
	"fmt"
	"go/token"
	"regexp"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// Service is one service of a new workspace.
type Service struct {
	// Name is its name in msctl.yaml, which is also its folder and its host.
	Name string
	// Transport is its transport. Empty means TCP.
	Transport workspace.Transport
	// Port is its TCP port, and 0 with a broker.
	Port int
}

// takenNames are names that a service cannot have, because the workspace or Go uses
// them.
func takenNames() []string {
	return []string{"gateway", "main", "config", "services", "doc", "test", "vendor", "internal", "testdata", "contracts", "gw",
		"transport", "tcp", "rabbitmq", "redis", "nats"}
}

// CheckService returns an error if the name, the transport, or the port of a service is
// invalid.
func CheckService(s Service) error {
	if err := workspace.CheckName(s.Name); err != nil {
		return err
	}
	switch {
	case slices.Contains(takenNames(), s.Name), token.IsKeyword(s.Name):
		return fmt.Errorf("invalid service name %q: the workspace or Go uses this name", s.Name)
	case strings.HasSuffix(s.Name, "-") || strings.Contains(s.Name, "--"):
		return fmt.Errorf("invalid service name %q: a hyphen must be between two letters or digits", s.Name)
	case !slices.Contains(append(workspace.Brokers(), "", workspace.TCP), s.Transport):
		return fmt.Errorf("service %s: unknown transport %q: use tcp, rabbitmq, redis, or nats", s.Name, s.Transport)
	case s.OnBroker() && s.Port != 0:
		return fmt.Errorf("service %s uses %s and has no port: remove %d", s.Name, s.Transport.Title(), s.Port)
	case !s.OnBroker() && (s.Port < 1 || s.Port > 65535):
		return fmt.Errorf("service %s requires a port between 1 and 65535", s.Name)
	}
	return nil
}

// Ident returns the name in Go: mailOut for mail-out.
func (s Service) Ident() string {
	title := s.Title()
	return strings.ToLower(title[:1]) + title[1:]
}

// Title returns the exported name in Go: MailOut for mail-out.
func (s Service) Title() string {
	var b strings.Builder
	for word := range strings.SplitSeq(s.Name, "-") {
		b.WriteString(upperFirst(word))
	}
	return b.String()
}

// File returns the name of its Go files without the extension: mailout for mail-out. It has
// no underscore, because Go builds a file such as mail_linux.go only for Linux.
func (s Service) File() string { return strings.ReplaceAll(s.Name, "-", "") }

// Variable returns the environment variable with the service's address, or with its
// broker's.
func (s Service) Variable() string {
	if s.OnBroker() {
		return s.Transport.Variable()
	}
	return strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_URL"
}

// Pad returns the spaces that align the README's text after the name.
func (s Service) Pad() string { return strings.Repeat(" ", max(1, 13-len(s.Name))) }

func upperFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

var modulePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// CheckModule returns an error if a module path is invalid.
func CheckModule(path string) error {
	if !modulePattern.MatchString(path) || strings.HasSuffix(path, ".") {
		return fmt.Errorf("module %q must look like github.com/you/shop", path)
	}
	first, _, _ := strings.Cut(path, "/")
	if slices.Contains(standardRoots(), first) {
		return fmt.Errorf("module %q could be a package of the standard library: use, for example, example.com/%s", path, path)
	}
	if path == runtimeModule || strings.HasPrefix(path, runtimeModule+"/") {
		return errors.New("the module cannot have the runtime's path")
	}
	return nil
}

// DefaultModule returns the default module path for a workspace with that name.
func DefaultModule(name string) string {
	if CheckModule(name) != nil {
		return "example.com/" + name
	}
	return name
}

// standardRoots are the first elements of the standard library's import paths, and words
// that the go command reserves.
func standardRoots() []string {
	return strings.Fields(`all archive bufio builtin bytes cmd cmp compress container context crypto database debug
		embed encoding errors expvar flag fmt go hash html image index internal io iter log main maps math mime net os
		path plugin reflect regexp runtime slices sort std strconv strings structs sync syscall testing text time tool
		unicode unique unsafe vendor weak work`)
}
