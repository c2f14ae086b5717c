package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoad(t *testing.T) {
	w, err := Load(filepath.Join("testdata", FileName))
	if err != nil {
		t.Fatal(err)
	}
	want := &Workspace{
		Path: w.Path, Dir: w.Dir, Name: "shop",
		Env:     map[string]string{"LOG_LEVEL": "debug", "PORT_BASE": "3000"},
		Brokers: map[Transport]string{RabbitMQ: "amqp://guest:guest@localhost:5672", NATS: "nats://10.0.0.1:4222,nats://10.0.0.2:4222"},
		Services: []*Service{
			{Name: "items", Kind: KindService, Path: "./apps/items", Transport: TCP, Host: "localhost", Port: 3002,
				Ready: ReadyMessage, Watch: []string{"apps/items/**/*.go", "contracts/*.go"}, Line: 14, Column: 3},
			{Name: "mail", Kind: KindService, Command: []string{"npm", "run", "start:dev", "--", "--name", "the mail"}, Dir: "../mail",
				Transport: TCP, Host: "127.0.0.1", Port: 3010, Ready: ReadyMessage,
				Env: map[string]string{"MAIL_FROM": "shop@example.com", "RETRIES": "3", "EMPTY": ""}, Line: 21, Column: 3},
			{Name: "orders", Kind: KindService, Path: "./apps/orders", Transport: TCP, Host: "localhost", Port: 3003, Ready: ReadyMessage,
				DependsOn: []string{"items"}, Env: map[string]string{"ITEMS_URL": "tcp://localhost:3002"}, Line: 32, Column: 3},
			{Name: "reports", Kind: KindService, Path: "./apps/reports", Transport: RabbitMQ, Queue: "reports.v1", Host: "localhost",
				Ready: ReadyMessage, Line: 40, Column: 3},
			{Name: "audit", Kind: KindService, Command: []string{"npm", "run", "start"}, Dir: "../audit", Transport: NATS, Host: "localhost",
				Ready: ReadyMessage, ReadyPattern: `{"cmd":"status","v":2}`, Line: 45, Column: 3},
			{Name: "cache", Kind: KindService, Command: []string{"npm", "start"}, Transport: Redis, Host: "localhost", Port: 3020,
				Ready: ReadyHTTP, Line: 51, Column: 3},
			{Name: "gateway", Kind: KindGateway, Path: "./apps/gateway", Host: "localhost", Port: 3001, Ready: ReadyHTTP,
				DependsOn: []string{"items", "orders"}, Line: 57, Column: 3},
		},
	}
	if diff := cmp.Diff(want, w); diff != "" {
		t.Errorf("workspace (-want +got):\n%s", diff)
	}
	if !filepath.IsAbs(w.Dir) || w.Path != filepath.Join(w.Dir, FileName) {
		t.Errorf("path %q, dir %q", w.Path, w.Dir)
	}
	if got, want := w.WorkDir(w.Service("mail")), filepath.Join(filepath.Dir(w.Dir), "mail"); got != want {
		t.Errorf("mail runs in %q, want %q", got, want)
	}
	if got := w.WorkDir(w.Service("items")); got != w.Dir {
		t.Errorf("items runs in %q, want %q", got, w.Dir)
	}
	if got := w.Service("mail").URL() + " " + w.Service("gateway").URL(); got != "tcp://127.0.0.1:3010 http://localhost:3001" {
		t.Errorf("URLs %s", got)
	}
	if w.Service("unknown") != nil {
		t.Error("Service returned an unknown service")
	}
}

func TestErrorPositions(t *testing.T) {
	service := func(lines string) string {
		return "name: shop\nservices:\n  items:\n" + lines
	}
	tests := []struct{ name, text, want string }{
		{"empty", "", "msctl.yaml:1:1: the file is empty: `name:` and `services:` are required"},
		{"only a comment", "# soon\n", "msctl.yaml:1:1: the file is empty: `name:` and `services:` are required"},
		{"a list", "- a\n", "msctl.yaml:1:1: the file must be a mapping (`key: value` lines), not a list"},
		{"no name", "services: {}\n", "msctl.yaml:1:1: `name:` is missing"},
		{"no services", "name: a\n", "msctl.yaml:1:1: `services:` is missing"},
		{"unknown key", "name: a\nservcies:\n", `msctl.yaml:2:1: unknown key "servcies": did you mean "services"?`},
		{"a key far from all", "name: a\nservices: {}\nqq: 1\n", `msctl.yaml:3:1: unknown key "qq": use one of name, env, brokers, services`},
		{"bad name", "name: Shop\nservices: {}\n",
			`msctl.yaml:1:7: invalid name "Shop": must be a lower-case letter followed by at most 62 lower-case letters, digits, and hyphens (did you mean "shop"?)`},
		{"two documents", "name: a\nservices: {}\n---\nname: b\n", "msctl.yaml:4:5: unexpected second YAML document"},
		{"unknown key of a service", service("    path: ./a\n    prt: 1\n"),
			"msctl.yaml:3:3: service items requires a port\n" + `msctl.yaml:5:5: unknown key "prt": did you mean "port"?`},
		{"bad port", service("    path: ./a\n    port: 70000\n"), `msctl.yaml:5:11: invalid port "70000": must be between 1 and 65535`},
		{"port is a word", service("    path: ./a\n    port: http\n"), `msctl.yaml:5:11: invalid port "http": must be between 1 and 65535`},
		{"nothing to run", service("    port: 1\n"), "msctl.yaml:3:3: service items requires `path:` (a Go package) or `command:` (any program)"},
		{"too much to run", service("    port: 1\n    path: ./a\n    command: x\n"),
			"msctl.yaml:6:5: service items has both a path and a command: remove one"},
		{"dir without command", service("    port: 1\n    path: ./a\n    dir: x\n"),
			"msctl.yaml:6:5: dir requires command: a Go package has a path instead"},
		{"path outside", service("    port: 1\n    path: ../a\n"),
			`msctl.yaml:5:11: invalid path "../a": must be a folder in the workspace, such as ./apps/items`},
		{"unknown transport", service("    port: 1\n    path: ./a\n    transport: tpc\n"),
			`msctl.yaml:6:16: unknown transport "tpc": did you mean "tcp"?`},
		{"unknown kind", service("    port: 1\n    path: ./a\n    kind: x\n"),
			`msctl.yaml:6:11: unknown kind "x": use service, gateway`},
		{"tap that is not a boolean", service("    port: 1\n    path: ./a\n    tap: off\n"),
			`msctl.yaml:6:10: invalid tap "off": must be true or false`},
		{"gateway with transport", service("    port: 1\n    path: ./a\n    kind: gateway\n    transport: tcp\n    ready: message\n"),
			"msctl.yaml:7:5: a gateway has no transport: it serves HTTP\n" +
				"msctl.yaml:8:12: a gateway handles no messages: use http, or remove ready"},
		{"a port with a broker", service("    path: ./a\n    transport: nats\n    port: 1\n"),
			"msctl.yaml:6:5: service items uses NATS and has no port: remove it"},
		{"a broker's service asked over HTTP", service("    path: ./a\n    transport: redis\n    ready: http\n"),
			"msctl.yaml:6:12: ready: http requires a port"},
		{"queue without one", service("    path: ./a\n    port: 1\n    queue: a\n"),
			"msctl.yaml:6:5: queue requires rabbitmq (the queue) or nats (the queue group), not tcp"},
		{"queue of Redis", service("    path: ./a\n    transport: redis\n    queue: a\n"),
			"msctl.yaml:6:5: queue requires rabbitmq (the queue) or nats (the queue group), not redis"},
		{"queue of a gateway", service("    path: ./a\n    port: 1\n    kind: gateway\n    queue: a\n"),
			"msctl.yaml:7:5: a gateway has no queue: it serves HTTP"},
		{"bad queue", service("    path: ./a\n    transport: rabbitmq\n    queue: a b\n"),
			`msctl.yaml:6:12: invalid queue "a b": must be 1 to 255 bytes without spaces`},
		{"the broker's own queue", service("    path: ./a\n    transport: rabbitmq\n    queue: amq.gen\n"),
			`msctl.yaml:6:12: invalid queue "amq.gen": RabbitMQ reserves names that start with amq.`},
		{"unknown broker", "name: a\nbrokers: {rabbit: x}\nservices: {}\n", `msctl.yaml:2:11: unknown key "rabbit": did you mean "rabbitmq"?`},
		{"a broker nowhere", "name: a\nbrokers:\n  nats:\nservices: {}\n", "msctl.yaml:3:3: nats has no value"},
		{"another broker's address", "name: a\nbrokers:\n  nats: amqp://u:secret@h\nservices: {}\n",
			"msctl.yaml:3:9: nats: amqp://u:***@h is not a NATS address: must be like nats://localhost:4222"},
		{"ready otherwise", service("    path: ./a\n    port: 1\n    ready: {patern: a}\n"),
			`msctl.yaml:6:13: unknown key "patern": did you mean "pattern"?`},
		{"ready without a pattern", service("    path: ./a\n    port: 1\n    ready: {}\n"),
			"msctl.yaml:6:5: ready requires a pattern, such as {pattern: {cmd: status}}"},
		{"a gateway asked by message", service("    path: ./a\n    port: 1\n    kind: gateway\n    ready: {pattern: a}\n"),
			"msctl.yaml:7:12: a gateway handles no messages: use http, or remove ready"},
		{"a list in a pattern", service("    path: ./a\n    port: 1\n    ready: {pattern: [a]}\n"),
			"msctl.yaml:6:22: pattern must be a single value, not a list"},
		{"bad host", service("    port: 1\n    path: ./a\n    host: tcp://x\n"),
			`msctl.yaml:6:11: invalid host "tcp://x": must be a host name or an IP address, without a scheme or a port`},
		{"unbalanced command", service("    port: 1\n    command: npm 'x\n"), "msctl.yaml:5:14: command: unclosed quote"},
		{"empty command", service("    port: 1\n    command: []\n"), "msctl.yaml:5:14: command is empty"},
		{"bad variable", service("    port: 1\n    path: ./a\n    env: {1A: x}\n"),
			`msctl.yaml:6:11: invalid environment variable "1A": must be letters, digits, and underscores, and not start with a digit`},
		{"list where a word should be", service("    port: [1]\n    path: ./a\n"), "msctl.yaml:4:11: port must be a single value, not a list"},
		{"word where a list should be", service("    port: 1\n    path: ./a\n    depends_on: b\n"),
			"msctl.yaml:6:17: depends_on must be a list of services, such as [a, b]"},
		{"no value", service("    port:\n    path: ./a\n"), "msctl.yaml:4:5: port has no value"},
		{"bad glob", service("    port: 1\n    path: ./a\n    watch: ['[']\n"), `msctl.yaml:6:13: invalid glob "["`},
		{"anchor", service("    port: &p 1\n    path: ./a\n"),
			"msctl.yaml:4:11: anchors, aliases, and tags (&, *, !) are not supported: write out the value"},
		{"same port", service("    port: 1\n    path: ./a\n  b:\n    port: 1\n    path: ./b\n"),
			"msctl.yaml:7:11: services items and b have the same port 1"},
		{"unknown dependency", service("    port: 1\n    path: ./a\n    depends_on: [itms]\n"),
			`msctl.yaml:6:18: service items depends on an unknown service "itms": did you mean "items"?`},
		{"dependency twice", service("    port: 1\n    path: ./a\n  b:\n    port: 2\n    path: ./b\n    depends_on: [items, items]\n"),
			"msctl.yaml:9:25: duplicate service items"},
		{"itself", service("    port: 1\n    path: ./a\n    depends_on: [items]\n"),
			"msctl.yaml:6:18: cyclic dependency: items -> items"},
		{"cycle", "name: a\nservices:\n" +
			"  x: {path: x, port: 1, depends_on: [a]}\n" +
			"  a: {path: a, port: 2, depends_on: [b]}\n" +
			"  b: {path: b, port: 3, depends_on: [c]}\n" +
			"  c: {path: c, port: 4, depends_on: [a]}\n",
			"msctl.yaml:4:38: cyclic dependency: a -> b -> c -> a"},
		{"all at once", "name: A\nservices:\n  B: {path: x, port: 0}\n",
			`msctl.yaml:1:7: invalid name "A": must be a lower-case letter followed by at most 62 lower-case letters, digits, and hyphens (did you mean "a"?)` + "\n" +
				`msctl.yaml:3:3: invalid name "B": must be a lower-case letter followed by at most 62 lower-case letters, digits, and hyphens (did you mean "b"?)` + "\n" +
				`msctl.yaml:3:22: invalid port "0": must be between 1 and 65535`},
		{"brackets", "name: a\nenv: " + strings.Repeat("[", 100_000), "msctl.yaml:2:506: the file is nested more than 500 levels deep"},
		{"lists", "name: a\n" + strings.Repeat("- ", 100_000), "msctl.yaml:2:1001: the file is nested more than 500 levels deep"},
		{"too large", "name: a\n" + strings.Repeat("#\n", 1<<19), "msctl.yaml:1:1: the file is larger than 1 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(FileName, []byte(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			var at *Error
			if !errors.As(err, &at) || at.Line < 1 || at.Column < 1 {
				t.Errorf("no *Error with a place in %#v", err)
			}
		})
	}
}

func TestBrokenYAMLHasItsPlace(t *testing.T) {
	for text, place := range map[string]string{
		"name: a\n  b: c\n":                         "msctl.yaml:1:7: ",
		"name: [a\n":                                "msctl.yaml:1:7: ",
		"name: a\nname: b\nservices: {}\n":          "msctl.yaml:2:1: ",
		"name: \"a\nservices: {}\n":                 "msctl.yaml:1:7: ",
		"name: a\nservices:\n\titems:\n\t\tport: 1": "msctl.yaml:3:1: ",
	} {
		_, err := Parse(FileName, []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), place) {
			t.Errorf("%q: error %v, want it at %s", text, err, place)
		}
	}
}

func TestOrder(t *testing.T) {
	w, err := Parse(FileName, []byte("name: a\nservices:\n"+
		"  gateway: {kind: gateway, path: g, port: 1, depends_on: [orders, items]}\n"+
		"  orders: {path: o, port: 2, depends_on: [items]}\n"+
		"  mail: {path: m, port: 3}\n"+
		"  items: {path: i, port: 4}\n"))
	if err != nil {
		t.Fatal(err)
	}
	names := func(services []*Service) string {
		var out []string
		for _, s := range services {
			out = append(out, s.Name)
		}
		return strings.Join(out, " ")
	}
	for asked, want := range map[string]string{
		"": "items orders gateway mail", "orders": "items orders", "mail": "mail", "gateway mail": "items orders gateway mail", "unknown": "",
	} {
		if got := names(w.Order(strings.Fields(asked)...)); got != want {
			t.Errorf("Order(%s) = %q, want %q", asked, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "apps", "items", FileName) // a folder of that name is no workspace
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(deep); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
	file := filepath.Join(root, FileName)
	if err := os.WriteFile(file, []byte("name: a\nservices: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Find(deep)
	if err != nil || got != file {
		t.Errorf("Find = %q, %v; want %q", got, err, file)
	}
	if _, err := Load(got); err != nil {
		t.Error(err)
	}
	if _, err := Load(filepath.Join(root, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of no file: %v", err)
	}
}

func TestSplitWords(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{`npm run start:dev`, []string{"npm", "run", "start:dev"}},
		{` a  'b c' "d 'e'" f\ g `, []string{"a", "b c", "d 'e'", "f g"}},
		{`C:\bin\node.exe "x \"y\""`, []string{`C:\bin\node.exe`, `x "y"`}},
		{`a '' b`, []string{"a", "", "b"}},
		{``, nil},
	}
	for _, tt := range tests {
		got, err := SplitWords(tt.line)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("SplitWords(%q): %v (-want +got):\n%s", tt.line, err, diff)
		}
	}
}
