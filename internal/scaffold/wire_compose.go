package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

const composeFile = "compose.yaml"

// wireCompose adds the service to the compose file, if it recognizes the file.
func (d *Dir) wireCompose(r *Result, s Service) error {
	before, err := d.read(composeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	after, ok, err := addToCompose(string(before), s, d.gatewayName())
	if err != nil {
		return err
	}
	if !ok || !extends(before, []byte(after), s) {
		needed := "service " + s.Name
		if s.OnBroker() {
			needed += " and " + s.Transport.Title()
		}
		r.byHand("%s has an unknown structure: add %s by hand, and %s=%s to the gateway's environment", composeFile, needed, s.Variable(), s.Inside())
		return nil
	}
	r.edit(composeFile, before, []byte(after))
	return nil
}

func (d *Dir) gatewayName() string {
	if g := d.gateway(); g != nil {
		return g.Name
	}
	return ""
}

// extends verifies that after equals before, except for one more service, its broker
// unless it existed, and the gateway's setting for it.
func extends(before, after []byte, s Service) bool {
	var a, b map[string]any
	if yaml.Unmarshal(before, &a) != nil || yaml.Unmarshal(after, &b) != nil {
		return false
	}
	added := []string{s.Name}
	if s.OnBroker() {
		added = append(added, string(s.Transport))
	}
	fresh := section(a, "services")[s.Name] == nil && section(b, "services")[s.Name] != nil
	return fresh && grown(a, b, "services", "gateway", added...) && grown(a, b, "volumes", "", added...) && grown(a, b, "secrets", "", added...) && reflect.DeepEqual(a, b)
}

// grown removes a section from both files and reports whether the second has all entries
// of the first, except for the one that may change, and only the added ones in
// addition.
func grown(a, b map[string]any, name, mayChange string, added ...string) bool {
	was, is := section(a, name), section(b, name)
	for entry, old := range was {
		now, there := is[entry]
		if !there || entry != mayChange && !reflect.DeepEqual(old, now) {
			return false
		}
	}
	for entry := range is {
		if _, there := was[entry]; !there && !slices.Contains(added, entry) {
			return false
		}
	}
	delete(a, name)
	delete(b, name)
	return true
}

func section(file map[string]any, name string) map[string]any {
	entries, _ := file[name].(map[string]any)
	return entries
}

// addToCompose inserts lines. ok is false if the text has an unknown structure.
func addToCompose(text string, s Service, gateway string) (out string, ok bool, err error) {
	if strings.Contains(text, "\t") || strings.Contains(text, "\r") {
		return "", false, nil
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if s.OnBroker() {
		if lines, ok = declareSecret(lines, brokerView{s.Transport}); !ok {
			return "", false, nil
		}
	}
	services := slices.Index(lines, "services:")
	if services < 0 {
		return "", false, nil
	}
	block := composeService(s, text)
	missing := s.OnBroker() && indexIn(lines, services, "  "+string(s.Transport)+":") < 0
	if missing {
		broker, err := brokerView{s.Transport}.Compose()
		if err != nil {
			return "", false, err
		}
		block = slices.Concat(brokerLines(broker, text), []string{""}, block)
		if lines, ok = addVolume(lines, brokerView{s.Transport}); !ok {
			return "", false, nil
		}
		services = slices.Index(lines, "services:")
	}
	at := blockEnd(lines, services)
	if gateway != "" {
		if lines, at, ok = addToGateway(lines, indexIn(lines, services, "  "+gateway+":"), s); !ok {
			return "", false, nil
		}
	}
	if at == blockEnd(lines, services) {
		block = append([]string{""}, block...)
	} else {
		block = append(block, "")
	}
	return strings.Join(slices.Insert(lines, at, block...), "\n") + "\n", true, nil
}

// addToGateway adds the service's address and a dependency on it to the gateway, whose
// block begins at index g. The service's own block is inserted before it.
func addToGateway(lines []string, g int, s Service) (out []string, at int, ok bool) {
	if g < 0 {
		return nil, 0, false
	}
	if !mentions(lines, g, s.Variable()) {
		for _, added := range settings([]Service{s}) {
			if lines, ok = addToBlock(lines, g, "environment", added.Variable+": "+added.Inside, added.Variable+"="+added.Inside); !ok {
				return nil, 0, false
			}
		}
	}
	if s.OnBroker() {
		if lines, ok = addSecret(lines, g, string(s.Transport)); !ok {
			return nil, 0, false
		}
	}
	condition := "service_started"
	if slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, healthTest) }) {
		condition = "service_healthy"
	}
	lines, ok = addToBlock(lines, g, "depends_on", s.Name+":\n  condition: "+condition, s.Name)
	return lines, g, ok
}

// mentions reports whether the block at start sets an environment variable.
func mentions(lines []string, start int, variable string) bool {
	return slices.ContainsFunc(lines[start:blockEnd(lines, start)], func(line string) bool {
		line = strings.TrimLeft(line, " -")
		return strings.HasPrefix(line, variable+":") || strings.HasPrefix(line, variable+"=")
	})
}

// addVolume declares the volume of a broker that stores data.
func addVolume(lines []string, b brokerView) ([]string, bool) {
	if !b.Volume() {
		return lines, true
	}
	entry := "  " + b.Name() + ":"
	volumes := slices.Index(lines, "volumes:")
	switch {
	case volumes >= 0 && indexIn(lines, volumes, entry) >= 0:
		return lines, true
	case volumes >= 0:
		return slices.Insert(lines, blockEnd(lines, volumes), entry), true
	case slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "volumes:") }):
		return lines, false
	}
	return append(lines, "", "volumes:", entry), true
}

// declareSecret adds the password of a broker to the secrets.
func declareSecret(lines []string, b brokerView) ([]string, bool) {
	secrets := slices.Index(lines, "secrets:")
	switch {
	case secrets >= 0 && (declares(lines, secrets, b.Name())):
		return lines, true
	case secrets >= 0:
		return slices.Insert(lines, blockEnd(lines, secrets), strings.Split(b.server().Declaration(), "\n")...), true
	case slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "secrets:") }):
		return lines, false
	}
	return append(append(lines, "", "secrets:"), strings.Split(b.server().Declaration(), "\n")...), true
}

// declares reports whether the block at start has a key, which may have a comment.
func declares(lines []string, start int, key string) bool {
	return slices.ContainsFunc(lines[start:blockEnd(lines, start)], func(line string) bool {
		return strings.HasPrefix(line+" ", "  "+key+": ")
	})
}

// addSecret gives the service whose block begins at index start one more secret.
func addSecret(lines []string, start int, name string) ([]string, bool) {
	const key = "    secrets:"
	for i := start + 1; i < blockEnd(lines, start); i++ {
		switch inline, isInline := strings.CutPrefix(lines[i], key+" ["); {
		case isInline:
			inner, closed := strings.CutSuffix(inline, "]")
			if !closed {
				return lines, false
			}
			if names := strings.Split(inner, ", "); !slices.Contains(names, name) {
				lines[i] = key + " [" + strings.Join(append(names, name), ", ") + "]"
			}
			return lines, true
		case lines[i] == key:
			if indexIn(lines, i, "      - "+name) >= 0 {
				return lines, true
			}
			return addToBlock(lines, start, "secrets", "", name)
		case strings.HasPrefix(lines[i], key):
			return lines, false
		}
	}
	environment := indexIn(lines, start, "    environment:")
	if environment < 0 || slices.Contains(lines, sharedSecrets) {
		return lines, false
	}
	return slices.Insert(lines, environment, key, "      - "+name), true
}

// composeDevFile publishes the ports of brokers and databases on this machine.
const composeDevFile = "compose.dev.yaml"

// wirePorts adds the port of the service's broker to [composeDevFile].
func (d *Dir) wirePorts(r *Result, s Service) error {
	if !s.OnBroker() || !d.exists(composeFile) {
		return nil
	}
	added := brokerView{s.Transport}.server()
	before, err := d.read(composeDevFile)
	if errors.Is(err, fs.ErrNotExist) {
		f, err := render("compose_dev/"+composeDevFile+".tmpl", composeDevFile, struct{ Servers []server }{[]server{added}})
		r.Files = append(r.Files, f)
		return err
	}
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimRight(string(before), "\n"), "\n")
	services := slices.Index(lines, "services:")
	switch {
	case services < 0:
		r.byHand("%s has an unknown structure: add the port %s of %s by hand", composeDevFile, added.Port, added.Title)
	case indexIn(lines, services, "  "+added.Name+":") < 0:
		lines = slices.Insert(lines, blockEnd(lines, services), append([]string{""}, strings.Split(added.Published(), "\n")...)...)
		r.edit(composeDevFile, before, []byte(strings.Join(lines, "\n")+"\n"))
	}
	return nil
}

// healthTest is the health check of our programs, which older workspaces do not have.
const healthTest = `["CMD", "/service", "health"]`

// The settings of a compose file in which secrets are files and networks are separate. In
// older workspaces, a secret is a variable, and there is one network.
const (
	secretFile     = "PRINCIPAL_SECRET_FILE: /run/secrets/principal"
	secretVariable = "PRINCIPAL_SECRET: ${PRINCIPAL_SECRET:?set it in .env}"
	ownNetworks    = "    networks: [inside]"
	// sharedSecrets is the list of all programs in older workspaces.
	sharedSecrets = "  secrets: [principal]"
)

// brokerLines returns a broker's entry for a compose file, which may have no networks.
func brokerLines(broker, text string) []string {
	lines := strings.Split(broker, "\n")
	if hasNetworks(text) {
		return lines
	}
	return slices.DeleteFunc(lines, func(line string) bool { return line == ownNetworks })
}

func hasNetworks(text string) bool {
	return strings.Contains(text, "\n  inside:\n") && strings.Contains(text, "\n  outside:\n")
}

// composeService returns the entry of a service for a compose file.
func composeService(s Service, text string) []string {
	block := []string{"  " + s.Name + ":"}
	if strings.Contains(text, "&program") {
		block = append(block, "    <<: *program")
	}
	principal := secretVariable
	if strings.Contains(text, secretFile) {
		principal = secretFile
	}
	block = append(block,
		"    build:",
		"      context: .",
		"      args:",
		"        SERVICE: "+s.Name,
	)
	if hasNetworks(text) {
		block = append(block, ownNetworks)
	}
	var secrets []string
	if principal == secretFile && !strings.Contains(text, "\n"+sharedSecrets+"\n") {
		secrets = append(secrets, "principal")
	}
	if s.OnBroker() {
		secrets = append(secrets, string(s.Transport))
	}
	if len(secrets) > 0 {
		block = append(block, "    secrets: ["+strings.Join(secrets, ", ")+"]")
	}
	block = append(block,
		"    environment:",
		"      APP_ENV: production",
		"      "+principal,
	)
	if !s.OnBroker() {
		return append(block, fmt.Sprintf("      MS_PORT: %q", fmt.Sprint(s.Port)))
	}
	for _, added := range settings([]Service{s}) {
		block = append(block, "      "+added.Variable+": "+added.Inside)
	}
	return append(block,
		"    depends_on:",
		"      "+string(s.Transport)+":",
		"        condition: service_healthy",
		"        required: false",
	)
}

// addToBlock adds to a mapping (member, of one or several lines) or a list (item) under a key of
// the block at index start.
func addToBlock(lines []string, start int, key, member, item string) ([]string, bool) {
	k := indexIn(lines, start, "    "+key+":")
	if k < 0 || k+1 >= len(lines) {
		return lines, false
	}
	end := blockEnd(lines, k)
	first := strings.TrimLeft(lines[k+1], " ")
	indent := lines[k+1][:len(lines[k+1])-len(first)]
	switch {
	case end == k+1:
		return lines, false
	case strings.HasPrefix(first, "- "):
		return slices.Insert(lines, end, indent+"- "+item), true
	}
	var added []string
	for line := range strings.SplitSeq(member, "\n") {
		added = append(added, indent+line)
	}
	return slices.Insert(lines, end, added...), true
}

// indexIn returns the index of a line in the block that begins at index start.
func indexIn(lines []string, start int, line string) int {
	end := blockEnd(lines, start)
	for i := start + 1; i < end; i++ {
		if strings.TrimRight(lines[i], " ") == line {
			return i
		}
	}
	return -1
}

// blockEnd returns the index after the last line that is indented deeper than the line at
// start, without blank lines and comments at the end.
func blockEnd(lines []string, start int) int {
	depth := func(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
	end := start + 1
	for i := start + 1; i < len(lines); i++ {
		if strings.TrimSpace(lines[i]) == "" {
			continue
		}
		if depth(lines[i]) <= depth(lines[start]) {
			break
		}
		end = i + 1
	}
	return end
}
