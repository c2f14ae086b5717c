package workspace

import (
	"cmp"
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

// CheckName returns an error if name is not a valid name of a workspace or a service.
func CheckName(name string) error {
	if namePattern.MatchString(name) {
		return nil
	}
	return &nameError{name}
}

type nameError struct{ name string }

func (e *nameError) Error() string {
	text := "invalid name " + strconv.Quote(e.name) + ": must be a lower-case letter followed by at most 62 lower-case letters, digits, and hyphens"
	if similar := SimilarName(e.name); similar != "" {
		text += " (did you mean " + strconv.Quote(similar) + "?)"
	}
	return text
}

var (
	wordStart  = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	notInNames = regexp.MustCompile(`[^a-z0-9]+`)
)

// SimilarName returns the valid name that is most similar to text: my-shop for my_shop,
// MyShop, or "My shop". It returns "" if there is none.
func SimilarName(text string) string {
	text = strings.ToLower(wordStart.ReplaceAllString(text, "$1-$2"))
	text = strings.Trim(notInNames.ReplaceAllString(text, "-"), "-")
	if namePattern.MatchString(text) {
		return text
	}
	return ""
}

// workspace checks a complete file. The result is only valid if there are no problems.
func (c *checker) workspace(text []byte) *Workspace {
	root := c.parse(text)
	if root == nil {
		return nil
	}
	w := &Workspace{}
	services := false
	members := c.members(root, "the file")
	slices.SortStableFunc(members, func(a, b member) int { // services refer to the variables of env
		return cmp.Compare(order(a.name), order(b.name))
	})
	for _, m := range members {
		if !c.known(m, []string{"name", "env", "brokers", "services"}) {
			continue
		}
		switch m.name {
		case "name":
			w.Name = c.nameOf(m)
		case "env":
			w.Env = c.env("", m)
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
		c.failAt(nil, "`name:` is missing")
	}
	if !services && len(c.problems) == 0 {
		c.failAt(nil, "`services:` is missing")
	}
	c.relations(w)
	return w
}

// order is the order in which the keys of the file are read.
func order(key string) int {
	if key == "services" {
		return 1
	}
	return 0
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
	return []string{"kind", "path", "command", "dir", "transport", "queue", "host", "port", "depends_on", "env", "watch", "ready", "tap"}
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
		s.Env = c.env(s.Name, m)
	case "watch":
		s.Watch = c.globs(m)
	case "tap":
		s.Tap = c.flag(m)
	}
}

// program checks that there is exactly one way to start the service.
func (c *checker) program(s *Service, entry member, seen map[string]member) {
	_, hasPath := seen["path"]
	command, hasCommand := seen["command"]
	switch {
	case hasPath && hasCommand:
		c.fail(command.key, "service %s has both a path and a command: remove one", s.Name)
	case !hasPath && !hasCommand:
		c.fail(entry.key, "service %s requires `path:` (a Go package) or `command:` (any program)", s.Name)
	}
	if dir, ok := seen["dir"]; ok && !hasCommand {
		c.fail(dir.key, "dir requires command: a Go package has a path instead")
	}
}

// address sets the defaults of transport and ready, and checks the keys that depend on
// them.
func (c *checker) address(s *Service, entry member, seen map[string]member) {
	if s.Kind == KindGateway {
		c.gateway(s, seen)
	} else {
		s.Transport = orDefault(s.Transport, TCP)
		c.checkQueue(s, seen)
	}
	_, hasPort := seen["port"]
	switch {
	case hasPort == s.needsPort():
	case !hasPort && s.Transport.Broker():
		c.fail(seen["ready"].value, "ready: http requires a port")
	case !hasPort:
		c.fail(entry.key, "service %s requires a port", s.Name)
	default:
		c.fail(seen["port"].key, "service %s uses %s and has no port: remove it", s.Name, s.Transport.Title())
	}
	s.Ready = orDefault(s.Ready, defaultReady(s))
}

func (c *checker) gateway(s *Service, seen map[string]member) {
	if transport, ok := seen["transport"]; ok {
		c.fail(transport.key, "a gateway has no transport: it serves HTTP")
	}
	if queue, ok := seen["queue"]; ok {
		c.fail(queue.key, "a gateway has no queue: it serves HTTP")
	}
	if ready, ok := seen["ready"]; ok && s.Ready == ReadyMessage {
		c.fail(ready.value, "a gateway handles no messages: use http, or remove ready")
	}
	s.Transport, s.ReadyPattern = "", ""
}

func (c *checker) checkQueue(s *Service, seen map[string]member) {
	queue, ok := seen["queue"]
	switch {
	case !ok:
	case s.Transport != RabbitMQ && s.Transport != NATS:
		c.fail(queue.key, "queue requires rabbitmq (the queue) or nats (the queue group), not %s", s.Transport)
	case s.Transport == RabbitMQ && strings.HasPrefix(s.Queue, "amq."):
		c.fail(queue.value, "invalid queue %q: RabbitMQ reserves names that start with amq.", s.Queue)
	}
}

// needsPort reports whether the service must have a port. Otherwise it must not have one.
func (s *Service) needsPort() bool {
	return s.Kind == KindGateway || !s.Transport.Broker() || s.Ready == ReadyHTTP
}

// defaultReady is the value of `ready` if it is not set.
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

// flag returns the value of true or false, or nil after reporting a problem.
func (c *checker) flag(m member) *bool {
	text, ok := c.text(m)
	if !ok {
		return nil
	}
	if _, isBool := m.value.(*ast.BoolNode); !isBool {
		c.fail(m.value, "invalid %s %q: must be true or false", m.name, text)
		return nil
	}
	value := strings.EqualFold(text, "true")
	return &value
}

func (c *checker) packagePath(m member) string {
	text, ok := c.text(m)
	if !ok {
		return ""
	}
	if !filepath.IsLocal(filepath.FromSlash(text)) || strings.Contains(text, `\`) || path.IsAbs(text) {
		c.fail(m.value, "invalid path %q: must be a folder in the workspace, such as ./apps/items", text)
	}
	return text
}

func (c *checker) host(m member) string {
	text, ok := c.text(m)
	if ok {
		text, ok = c.expand(m, text)
	}
	if ok && !hostPattern.MatchString(text) {
		c.fail(m.value, "invalid host %q: must be a host name or an IP address, without a scheme or a port", text)
	}
	return text
}

func (c *checker) port(m member) int {
	text, ok := c.text(m)
	if ok {
		text, ok = c.expand(m, text)
	}
	if !ok {
		return 0
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		c.fail(m.value, "invalid port %q: must be between 1 and 65535", text)
	}
	return port
}

func (c *checker) dependencies(s *Service, m member) []string {
	var out []string
	for _, item := range c.list(m, "services") {
		if slices.Contains(out, item.name) {
			c.fail(item.key, "duplicate service %s", item.name)
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
			c.fail(item.key, "invalid glob %q", item.name)
		}
		out = append(out, item.name)
	}
	return out
}

func (c *checker) env(service string, m member) map[string]string {
	out := map[string]string{}
	if service == "" {
		c.shared = out
	}
	for _, entry := range c.members(m.value, "env") {
		if !envPattern.MatchString(entry.name) {
			c.fail(entry.key, "invalid environment variable %q: must be letters, digits, and underscores, and not start with a digit", entry.name)
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
		out[entry.name] = c.expandEnv(entry, service, text)
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
	words, err := SplitWords(text)
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
		if ok {
			text, ok = c.expand(entry, text)
		}
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

// queue checks what both RabbitMQ and NATS require of a name.
func (c *checker) queue(m member) string {
	text, ok := c.text(m)
	if ok && (text == "" || len(text) > 255 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f })) {
		c.fail(m.value, "invalid queue %q: must be 1 to 255 bytes without spaces", text)
	}
	return text
}

// ready parses one of the words, or the mapping {pattern: …}. It returns the pattern as
// JSON.
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
		c.fail(m.key, "ready requires a pattern, such as {pattern: {cmd: status}}")
	}
	return ReadyMessage, pattern
}

// json converts a pattern to JSON: an object of strings, numbers, booleans, and objects,
// or one of these by itself. It returns "" after reporting a problem.
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
		return "" // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
