package scaffold

import (
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/mod/module"

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
	// Plain makes it a service without a sample, whatever its name: `msctl new service`
	// added it.
	Plain bool
}

// takenNames are names that a service cannot have, with the reasons.
func takenNames() map[string]string {
	return map[string]string{
		"gateway":   "it is the name of the gateway",
		"rabbitmq":  "it is the host of the broker in compose.yaml",
		"redis":     "it is the host of the broker in compose.yaml",
		"postgres":  "it is the host of the database in compose.yaml",
		"nats":      "it is the host of the broker in compose.yaml",
		"smtp":      "SMTP_URL is the address of the mail server",
		"localhost": "it is the name of this machine",
		"testdata":  "the go command ignores folders with this name",
		"vendor":    "the go command ignores folders with this name",
	}
}

// CheckService returns an error if the name, the transport, or the port of a service is
// invalid.
func CheckService(s Service) error {
	if err := workspace.CheckName(s.Name); err != nil {
		return err
	}
	switch {
	case takenNames()[s.Name] != "":
		return fmt.Errorf("invalid service name %q: %s", s.Name, takenNames()[s.Name])
	case strings.HasSuffix(s.Name, "-") || strings.Contains(s.Name, "--"):
		return fmt.Errorf("invalid service name %q: a hyphen must be between two letters or digits", s.Name)
	case module.CheckImportPath("apps/"+s.Name) != nil:
		return fmt.Errorf("invalid service name %q: Windows reserves this name, so the go command rejects it", s.Name)
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

// File returns the name at the beginning of its Go files: mailout for mail-out.
func (s Service) File() string { return strings.ReplaceAll(s.Name, "-", "") }

// Contracts returns the name of the Go package with its messages: mailout for mail-out. If
// that name means something else in generated code, it gets a suffix: logapi for log.
func (s Service) Contracts() string {
	name := s.File()
	reserved := name == "init" || name == "internal" || token.IsKeyword(name) // for a package
	if reserved || types.Universe.Lookup(name) != nil || slices.Contains(usedNames(), name) {
		name += "api"
	}
	return name
}

// usedNames are the names that generated code uses in the files that import a package of
// messages, and the names that the packages of these files declare. A test compares the
// list with the templates.
func usedNames() []string {
	return strings.Fields(`answer bytes callers client clients context ctx dial err errors exchange gateway got gw h hello http in iter listen log logged
		main micro microtest money name nats principal queue rabbitmq received redis register remote request run s serve server service
		services settings slog status strings t tcp testing transport valid validate value yield`)
}

// Variable returns the environment variable with the service's address, or with its
// broker's.
func (s Service) Variable() string {
	if s.OnBroker() {
		return s.Transport.Variable()
	}
	return strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_URL"
}

// sameInGo reports whether two services have the same name for something in Go.
func sameInGo(a, b Service) bool { return a.File() == b.File() || a.Contracts() == b.Contracts() }

// Worker reports whether the service handles events only: a request should not wait in a
// queue.
func (s Service) Worker() bool { return s.Transport == workspace.RabbitMQ }

// Pad returns the spaces that align the README's text after the name.
func (s Service) Pad() string { return strings.Repeat(" ", max(1, 13-len(s.Name))) }

func upperFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// lowerCamel converts words of any spelling to a Go name: createItem for create-item,
// Create_Item, or "create item". It returns "" if that is not a name.
func lowerCamel(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i, word := range words {
		if len(words) > 1 && word == strings.ToUpper(word) {
			word = strings.ToLower(word)
		}
		if words[i] = upperFirst(word); i == 0 {
			words[i] = strings.ToLower(word[:1]) + word[1:]
		}
	}
	if name := strings.Join(words, ""); handlerName.MatchString(name) {
		return name
	}
	return ""
}

// CheckModule returns an error if a module path is invalid.
func CheckModule(path string) error {
	if module.CheckImportPath(path) != nil {
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
