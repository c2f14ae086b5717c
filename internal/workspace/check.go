package workspace

import (
	"encoding/json"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/msctl/msctl/internal/nearest"
)

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	envPattern  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	hostPattern = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+)$`)
)

// CheckName says what is wrong with a workspace's or service's name, or nil.
func CheckName(name string) error {
	if namePattern.MatchString(name) {
		return nil
	}
	return &nameError{name}
}

type nameError struct{ name string }

func (e *nameError) Error() string {
	return "name " + strconv.Quote(e.name) + " must be a lower-case letter and then lower-case letters, digits or hyphens, 63 at most"
}

// workspace checks a whole file. What it returns is of use only when nothing
// was complained about.
func (c *checker) workspace(text []byte) *Workspace {
	root := c.parse(text)
	if root == nil {
		return nil
	}
	w := &Workspace{}
	services := false
	for _, m := range c.members(root, "the file") {
		if !c.known(m, []string{"name", "env", "brokers", "services"}) {
			continue
		}
		switch m.name {
		case "name":
			w.Name = c.nameOf(m)
		case "env":
			w.Env = c.env(m)
		case "brokers":
			w.Brokers = c.brokers(m)
		case "services":
			services = true
			for _, entry := range c.members(m.value, "services") {
				w.Services = append(w.Services, c.service(entry))
			}
		}
	}
	if w.Name == "" && len(c.problems) == 0 {
		c.failAt(nil, "`name:` is missing: give the workspace a name")
	}
	if !services && len(c.problems) == 0 {
		c.failAt(nil, "`services:` is missing")
	}
	c.relations(w)
	return w
}

func (c *checker) nameOf(m member) string {
	name, ok := c.text(m)
	if !ok {
		return ""
	}
	if err := CheckName(name); err != nil {
		c.fail(m.value, "%v", err)
	}
	return name
}

func (c *checker) service(entry member) *Service {
	s := &Service{Name: entry.name, Host: "localhost", Kind: KindService}
	if pos := position(entry.key); pos != nil {
		s.Line, s.Column = max(pos.Line, 1), max(pos.Column, 1)
	}
	if err := CheckName(entry.name); err != nil {
		c.fail(entry.key, "%v", err)
	}
	seen := map[string]member{}
	for _, m := range c.members(entry.value, "service "+entry.name) {
		if c.known(m, serviceKeys()) {
			seen[m.name] = m
			c.serviceKey(s, m)
		}
	}
	c.program(s, entry, seen)
	c.address(s, entry, seen)
	return s
}

func serviceKeys() []string {
	return []string{"kind", "path", "command", "dir", "transport", "queue", "host", "port", "depends_on", "env", "watch", "ready"}
}

func (c *checker) serviceKey(s *Service, m member) {
	switch m.name {
	case "kind":
		s.Kind = Kind(c.oneOf(m, string(KindService), string(KindGateway)))
	case "transport":
		s.Transport = Transport(c.oneOf(m, string(TCP), string(RabbitMQ), string(Redis), string(NATS)))
	case "queue":
		s.Queue = c.queue(m)
	case "ready":
		s.Ready, s.ReadyPattern = c.ready(m)
	case "path":
		s.Path = c.packagePath(m)
	case "command":
		s.Command = c.command(m)
	case "dir":
		s.Dir, _ = c.text(m)
	case "host":
		s.Host = c.host(m)
	case "port":
		s.Port = c.port(m)
		c.remember(s, m.name, m.value)
	case "depends_on":
		s.DependsOn = c.dependencies(s, m)
	case "env":
		s.Env = c.env(m)
	case "watch":
		s.Watch = c.globs(m)
	}
}

// program checks that there is exactly one way to start the service.
func (c *checker) program(s *Service, entry member, seen map[string]member) {
	_, hasPath := seen["path"]
	command, hasCommand := seen["command"]
	switch {
	case hasPath && hasCommand:
		c.fail(command.key, "service %s has both a path and a command: keep one", s.Name)
	case !hasPath && !hasCommand:
		c.fail(entry.key, "service %s needs `path:` (a Go package) or `command:` (any program)", s.Name)
	}
	if dir, ok := seen["dir"]; ok && !hasCommand {
		c.fail(dir.key, "dir goes with command; a Go package has its path")
	}
}

// address fills in the defaults of transport and ready, and checks what goes
// with them.
func (c *checker) address(s *Service, entry member, seen map[string]member) {
	if s.Kind == KindGateway {
		c.gateway(s, seen)
	} else {
		s.Transport = orDefault(s.Transport, TCP)
		c.queueGoesWith(s, seen)
	}
	_, hasPort := seen["port"]
	switch {
	case hasPort == s.needsPort():
	case !hasPort && s.Transport.Broker():
		c.fail(seen["ready"].value, "ready: http needs a port to ask at")
	case !hasPort:
		c.fail(entry.key, "service %s needs a port", s.Name)
	default:
		c.fail(seen["port"].key, "service %s is reached through %s and has no port of its own: leave it out", s.Name, s.Transport.Title())
	}
	s.Ready = orDefault(s.Ready, defaultReady(s))
}

func (c *checker) gateway(s *Service, seen map[string]member) {
	if transport, ok := seen["transport"]; ok {
		c.fail(transport.key, "a gateway has no transport of its own: it answers HTTP")
	}
	if queue, ok := seen["queue"]; ok {
		c.fail(queue.key, "a gateway has no queue: it answers HTTP")
	}
	if ready, ok := seen["ready"]; ok && s.Ready == ReadyMessage {
		c.fail(ready.value, "a gateway answers no messages: use http, or leave ready out")
	}
	s.Transport, s.ReadyPattern = "", ""
}

func (c *checker) queueGoesWith(s *Service, seen map[string]member) {
	queue, ok := seen["queue"]
	switch {
	case !ok:
	case s.Transport != RabbitMQ && s.Transport != NATS:
		c.fail(queue.key, "queue goes with rabbitmq (its queue) and nats (its queue group), not with %s", s.Transport)
	case s.Transport == RabbitMQ && strings.HasPrefix(s.Queue, "amq."):
		c.fail(queue.value, "queue %q: names with amq. are RabbitMQ's own", s.Queue)
	}
}

// needsPort reports whether there must be a port; otherwise there must be none.
func (s *Service) needsPort() bool {
	return s.Kind == KindGateway || !s.Transport.Broker() || s.Ready == ReadyHTTP
}

// defaultReady is how a service is asked when `ready` is left out.
func defaultReady(s *Service) Ready {
	switch {
	case s.Kind == KindGateway:
		return ReadyHTTP
	case len(s.Command) > 0 && (s.Transport == Redis || s.Transport == NATS):
		return ReadyProcess
	}
	return ReadyMessage
}

func orDefault[T ~string](value, preset T) T {
	if value == "" {
		return preset
	}
	return value
}

func (c *checker) oneOf(m member, allowed ...string) string {
	text, ok := c.text(m)
	if !ok {
		return ""
	}
	if slices.Contains(allowed, text) {
		return text
	}
	if near := nearest.Word(text, allowed); near != "" {
		c.fail(m.value, "unknown %s %q: did you mean %q?", m.name, text, near)
	} else {
		c.fail(m.value, "unknown %s %q: use %s", m.name, text, strings.Join(allowed, ", "))
	}
	return ""
}

func (c *checker) packagePath(m member) string {
	text, ok := c.text(m)
	if !ok {
		return ""
	}
	if !filepath.IsLocal(filepath.FromSlash(text)) || strings.Contains(text, `\`) || path.IsAbs(text) {
		c.fail(m.value, "path %q must be a folder inside the workspace, such as ./apps/items", text)
	}
	return text
}

func (c *checker) host(m member) string {
	text, ok := c.text(m)
	if ok && !hostPattern.MatchString(text) {
		c.fail(m.value, "host %q must be a host name or an IP address, without a scheme or a port", text)
	}
	return text
}

func (c *checker) port(m member) int {
	text, ok := c.text(m)
	if !ok {
		return 0
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		c.fail(m.value, "port %q must be a number from 1 to 65535", text)
	}
	return port
}

func (c *checker) dependencies(s *Service, m member) []string {
	var out []string
	for _, item := range c.list(m, "services") {
		if slices.Contains(out, item.name) {
			c.fail(item.key, "%s is there twice", item.name)
			continue
		}
		out = append(out, item.name)
		c.remember(s, "on "+item.name, item.key)
	}
	return out
}

func (c *checker) globs(m member) []string {
	var out []string
	for _, item := range c.list(m, "globs") {
		if _, err := path.Match(item.name, ""); err != nil || item.name == "" {
			c.fail(item.key, "glob %q is malformed", item.name)
		}
		out = append(out, item.name)
	}
	return out
}

func (c *checker) env(m member) map[string]string {
	out := map[string]string{}
	for _, entry := range c.members(m.value, "env") {
		if !envPattern.MatchString(entry.name) {
			c.fail(entry.key, "environment variable %q must be letters, digits and underscores, and not start with a digit", entry.name)
			continue
		}
		if _, null := entry.value.(*ast.NullNode); null || entry.value == nil {
			out[entry.name] = ""
			continue
		}
		text, ok := c.text(entry)
		if ok && strings.ContainsRune(text, 0) {
			c.fail(entry.value, "%s contains a zero byte", entry.name)
		}
		out[entry.name] = text
	}
	return out
}

func (c *checker) command(m member) []string {
	if _, isList := m.value.(*ast.SequenceNode); isList {
		var words []string
		for _, item := range c.list(m, "words") {
			words = append(words, item.name)
		}
		if len(words) == 0 || words[0] == "" {
			c.fail(m.value, "command is empty")
		}
		return words
	}
	text, ok := c.text(m)
	if !ok {
		return nil
	}
	words, err := splitWords(text)
	if err != nil {
		c.fail(m.value, "command: %v", err)
	} else if len(words) == 0 || words[0] == "" {
		c.fail(m.value, "command is empty")
	}
	return words
}

func (c *checker) brokers(m member) map[Transport]string {
	out := map[Transport]string{}
	for _, entry := range c.members(m.value, "brokers") {
		if !c.known(entry, []string{string(RabbitMQ), string(Redis), string(NATS)}) {
			continue
		}
		text, ok := c.text(entry)
		if !ok {
			continue
		}
		if err := CheckBrokerURL(Transport(entry.name), text); err != nil {
			c.fail(entry.value, "%s: %v", entry.name, err)
		}
		out[Transport(entry.name)] = text
	}
	return out
}

// queue checks what RabbitMQ and NATS both want of a name.
func (c *checker) queue(m member) string {
	text, ok := c.text(m)
	if ok && (text == "" || len(text) > 255 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f })) {
		c.fail(m.value, "queue %q must be 1 to 255 bytes without spaces", text)
	}
	return text
}

// ready reads one of the words, or the mapping {pattern: …}, whose pattern
// comes as JSON text.
func (c *checker) ready(m member) (Ready, string) {
	switch m.value.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		return Ready(c.oneOf(m, string(ReadyMessage), string(ReadyHTTP), string(ReadyProcess))), ""
	}
	var pattern string
	for _, entry := range c.members(m.value, "ready") {
		if c.known(entry, []string{"pattern"}) {
			pattern = c.json(entry)
		}
	}
	if pattern == "" && len(c.problems) == 0 {
		c.fail(m.key, "ready needs a pattern to ask for, such as {pattern: {cmd: status}}")
	}
	return ReadyMessage, pattern
}

// json gives a pattern as JSON text: an object of words, numbers, booleans and
// objects, or one of them by itself; "" after a complaint.
func (c *checker) json(m member) string {
	switch n := m.value.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		var parts []string
		for _, entry := range c.members(n, m.name) {
			value := c.json(entry)
			if value == "" {
				return ""
			}
			parts = append(parts, jsonString(entry.name)+":"+value)
		}
		return "{" + strings.Join(parts, ",") + "}"
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		if text := n.GetToken().Value; json.Valid([]byte(text)) {
			return text
		}
	}
	text, ok := c.text(m)
	if !ok {
		return ""
	}
	return jsonString(text)
}

func jsonString(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return "" // cannot be: it is a string
	}
	return strings.TrimSuffix(b.String(), "\n")
}
