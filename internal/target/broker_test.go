package target

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/workspace"
)

func TestParseBrokerTarget(t *testing.T) {
	t.Chdir(t.TempDir()) // no workspace
	tests := []struct {
		text  string
		shown string
		dials string
	}{
		{"amqp://localhost/items", "amqp://localhost:5672/items", "amqp://localhost:5672"},
		{"amqps://rabbit.example/items", "amqps://rabbit.example:5671/items", "amqps://rabbit.example:5671"},
		{"amqp://h:1/shop/items", "amqp://h:1/shop/items", "amqp://h:1/shop"},
		{"amqp://h/%2F/items", "amqp://h:5672/items", "amqp://h:5672"},
		{"amqp://h/a%2Fb/c%2Fd%20e", "amqp://h:5672/a%2Fb/c%2Fd%20e", "amqp://h:5672/a%2Fb"},
		{"amqp://a,b:2/items", "amqp://a:5672,b:2/items", "amqp://a:5672,amqp://b:2"},
		{"amqp://a/items,amqp://b/items", "amqp://a:5672,b:5672/items", "amqp://a:5672,amqp://b:5672"},
		{"amqp://app:s3cret@h/items", "amqp://app@h:5672/items", "amqp://app:s3cret@h:5672"},
		{"amqp://app:s3cret%40%3A%2F%25@h/items", "amqp://app@h:5672/items", "amqp://app:s3cret%40%3A%2F%25@h:5672"},
		{"amqp://app:s3cret@a,app:s3cret@b/items", "amqp://app@a:5672,b:5672/items", "amqp://app:s3cret@a:5672,amqp://app:s3cret@b:5672"},
		{"amqp://app:s3cret@a,b/items", "amqp://app@a:5672,b:5672/items", "amqp://app:s3cret@a:5672,amqp://app:s3cret@b:5672"},
		{"amqp://h/items?durable=false&x-queue-type=quorum", "amqp://h:5672/items?durable=false&x-queue-type=quorum", "amqp://h:5672"},
		{"amqp://h/?exchange=logs&exchangeType=fanout", "amqp://h:5672/?exchange=logs&exchangeType=fanout", "amqp://h:5672"},
		{"amqp://[::1]/items", "amqp://[::1]:5672/items", "amqp://[::1]:5672"},
		{"amqp://[::1]:9/items", "amqp://[::1]:9/items", "amqp://[::1]:9"},
		{"redis://localhost", "redis://localhost:6379", "redis://localhost:6379"},
		{"redis://localhost/", "redis://localhost:6379", "redis://localhost:6379"},
		{"redis://:s3cret@h/2", "redis://@h:6379/2", "redis://:s3cret@h:6379/2"},
		{"rediss://app:s3cret@h:1", "rediss://app@h:1", "rediss://app:s3cret@h:1"},
		{"redis://app@h", "redis://app@h:6379", "redis://app@h:6379"},
		{"nats://localhost", "nats://localhost:4222", "nats://localhost:4222"},
		{"nats://a,b", "nats://a:4222,b:4222", "nats://a:4222,nats://b:4222"},
		{"nats://a:1, nats://b:2", "nats://a:1,b:2", "nats://a:1,nats://b:2"},
		{"nats://s3cret@h", "nats://@h:4222", "nats://s3cret@h:4222"},
		{"nats://app:s3cret@h/", "nats://app@h:4222", "nats://app:s3cret@h:4222"},
		{"nats+tls://app:s3cret@h", "nats+tls://app@h:4222", "tls://app:s3cret@h:4222"},
		{"nats://h?inboxPrefix=_APP", "nats://h:4222?inboxPrefix=_APP", "nats://h:4222"},
		{"http://app:s3cret@h/x?y=1", "http://app@h/x?y=1", "http://app:s3cret@h/"},
	}
	for _, tt := range tests {
		got, err := new(Flags).Parse(t.Context(), tt.text)
		if err != nil {
			t.Errorf("parseTarget(%q): %v", tt.text, err)
			continue
		}
		dials := "http://" + got.Login.reveal(false) + "h/"
		if got.Broker != nil {
			dials = got.dialURLs()
		}
		if got.String() != tt.shown || dials != tt.dials {
			t.Errorf("parseTarget(%q) = %s, dials %s; want %s, %s", tt.text, got, dials, tt.shown, tt.dials)
		}
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if text := fmt.Sprintf(format, got); strings.Contains(text, "s3cret") {
				t.Errorf("%s of the target of %q prints the password: %s", format, tt.text, text)
			}
		}
	}
}

func TestPasswordFromTheEnvironment(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(PasswordVariable, "p@ss:/%")
	tests := []struct{ text, shown, dials string }{
		{"amqp://app@h/items", "amqp://app@h:5672/items", "amqp://app:p%40ss%3A%2F%25@h:5672"},
		{"amqp://app:own@h/items", "amqp://app@h:5672/items", "amqp://app:own@h:5672"},
		{"amqp://h/items", "amqp://h:5672/items", "amqp://h:5672"},
		{"redis://@h", "redis://@h:6379", "redis://:p%40ss%3A%2F%25@h:6379"},
		{"redis://app@h", "redis://app@h:6379", "redis://app:p%40ss%3A%2F%25@h:6379"},
		{"nats://@h", "nats://@h:4222", "nats://p%40ss%3A%2F%25@h:4222"},
		{"nats://app@h", "nats://app@h:4222", "nats://app:p%40ss%3A%2F%25@h:4222"},
		{"http://app@h/", "http://app@h/", "http://app:p%40ss%3A%2F%25@h/"},
	}
	for _, tt := range tests {
		got, err := new(Flags).Parse(t.Context(), tt.text)
		if err != nil {
			t.Fatal(err)
		}
		dials := "http://" + got.Login.reveal(false) + "h/"
		if got.Broker != nil {
			dials = got.dialURLs()
		}
		if got.String() != tt.shown || dials != tt.dials {
			t.Errorf("parseTarget(%q) = %s, dials %s; want %s, %s", tt.text, got, dials, tt.shown, tt.dials)
		}
		for one := range strings.SplitSeq(dials, ",") {
			u, err := url.Parse(one)
			if err != nil {
				t.Errorf("%q: %v", one, err)
			} else if password, _ := u.User.Password(); u.User != nil && !strings.Contains(tt.text, ":own") && password+u.User.Username() != "p@ss:/%" && password != "p@ss:/%" {
				t.Errorf("%q: the password is %q", one, password)
			}
		}
	}
}

// TestBrokerTargetErrors checks that each error is a usage error with a hint, and that it
// never contains the password.
func TestBrokerTargetErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	tests := []struct{ text, want, hint string }{
		{"amqp://h", `target "amqp://h": the queue is missing`, "add it after the host: amqp://h:5672/QUEUE or /VHOST/QUEUE"},
		{"amqp://h/", `target "amqp://h/": the queue is missing`, "add it after the host"},
		{"amqp://h/vhost/", `the queue is missing`, ""},
		{"amqp://h//q", `the vhost is empty`, "for the default vhost, write /QUEUE"},
		{"amqp://h/a/b/c", `the path must be /QUEUE or /VHOST/QUEUE`, "write a / in a name as %2F"},
		{"amqp://h/a%zz", `invalid percent-encoding in "a%zz"`, "write a % in a name as %25, a space as %20"},
		{"amqp://h/" + strings.Repeat("q", 256), "the queue name is 256 bytes long: RabbitMQ allows at most 255", ""},
		{"amqp:///q", "the host is missing", "for example, amqp://host/queue"},
		{"amqp://h:0/q", `invalid port "0": must be between 1 and 65535`, ""},
		{"amqp://h:70000/q", `invalid port "70000": must be between 1 and 65535`, ""},
		{"amqp://::1/q", `invalid address "::1": must be host or host:port (an IPv6 address requires brackets: [::1])`, ""},
		{"amqp://a b/q", `invalid address "a b": must be host or host:port`, ""},
		{"amqp://h/q#x", `unexpected # (write a # in a name as %23)`, ""},
		{"amqp://a,a/q", "duplicate address a:5672", ""},
		{"amqp://a/q,amqp://b/r", "all servers must have the same path", ""},
		{"amqp://app@h/q", `target "amqp://…@h/q": the password is missing`, "write user:password@host, or set the password in MSCTL_PASSWORD"},
		{"amqp://:s3cret@h/q", "the user is missing", "RabbitMQ requires user:password@"},
		{"amqp://app:s3cret@a,other:s3cret@b/q", "all servers must have the same user and password", ""},
		{"amqp://app:s3cret@h:x/q", `target "amqp://…@h:x/q": invalid port "x": must be between 1 and 65535`, ""},
		{"amqp://app:s3cret@h", `target "amqp://…@h": the queue is missing`, "amqp://h:5672/QUEUE"},
		{"amqp://app:s3cret/2@h/q", "cannot read the user and password before the @", "(@ as %40, : as %3A, / as %2F), or set the password in MSCTL_PASSWORD"},
		{"amqp://app:s3cret?2@h/q", "cannot read the user and password before the @", ""},
		{"amqp://app:s3cret#2@h/q", "cannot read the user and password before the @", ""},
		{"amqp://app:s3cret,2@h/q", "cannot read the user and password before the @", ""},
		{"amqp://app:s3cret%2@h/q", "cannot read the user and password before the @", ""},
		{"amqp://app:s3cret 2@h/q", "cannot read the user and password before the @", ""},
		{"amqp://h/q?durabel=false", `unknown RabbitMQ option "durabel"`, "did you mean durable?"},
		{"amqp://h/q?durable=no", "invalid option durable=no: must be true or false", ""},
		{"amqp://h/q?maxLength=-1", "invalid option maxLength=-1: must be an integer of 0 or more", ""},
		{"amqp://h/q?durable=true&durable=false", "duplicate option durable", ""},
		{"amqp://h/q?exchangeType=topic", "option exchangeType requires exchange", ""},
		{"amqp://h/q?exchange=x&exchangeType=topc", `unknown exchangeType "topc"`, "use topic, direct, fanout, or headers"},
		{"amqp://h/q?durable=true&noAssert=true", "option durable cannot be combined with noAssert", ""},
		{"amqp://h/q?exchange=", "option exchange requires a value", ""},
		{"amqp://h/q?%zz", "invalid options after the ?", ""},
		{"redis://h/x", `invalid database "x": must be a number`, ""},
		{"redis://a,b", "a Redis target has only one server", ""},
		{"redis://@h", "the password is missing", ""},
		{"redis://h?queue=x", `unknown Redis option "queue"`, "the options are wildcards"},
		{"nats://h/q", "unexpected path /q: a NATS address has no path", ""},
		{"nats://", "the host is missing", ""},
		{"nats://h?que=x", `unknown NATS option "que"`, "did you mean queue?"},
		{"amqb://h/q", `unknown scheme "amqb"`, "did you mean amqp://host/queue?"},
		{"rabbitmq://app:s3cret@h/q", `target "rabbitmq://…@h/q": unknown scheme "rabbitmq"`, "did you mean amqp://host/queue?"},
		{"mqtt://app:s3cret@h", `target "mqtt://…@h": unknown scheme "mqtt"`, "use the name of a service in msctl.yaml, or an address that begins with tcp://, "},
		{"tcp://app:s3cret@h:1", "TCP has no login: remove what precedes the @", ""},
		{"app:s3cret@h:1", "TCP has no login: remove what precedes the @", ""},
		{"http://app:s3cret@h:x/", "invalid URL", ""},
		{"http://app:s3cret@h:0/", `invalid port "0": must be between 1 and 65535`, ""},
	}
	for _, tt := range tests {
		got, err := new(Flags).Parse(t.Context(), tt.text)
		if err == nil || exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), tt.want) || !strings.Contains(exit.Hint(err), tt.hint) {
			t.Errorf("parseTarget(%q) = %s, %v, hint %q; want %q, hint %q", tt.text, got, err, exit.Hint(err), tt.want, tt.hint)
			continue
		}
		if text := err.Error() + exit.Hint(err); strings.Contains(text, "s3cret") {
			t.Errorf("parseTarget(%q) contains the password: %s", tt.text, text)
		}
	}
}

func TestParams(t *testing.T) {
	got, err := new(Flags).Parse(t.Context(), "amqp://h/q?durable=false&noAssert=false&maxLength=7&x-queue-type=quorum&x-max-age=5&x-single=true&persistent")
	if err != nil {
		t.Fatal(err)
	}
	want := Parameters{
		"durable": false, "noAssert": false, "maxLength": 7, "x-queue-type": "quorum", "x-max-age": int64(5), "x-single": true, "persistent": true,
	}
	if diff := cmp.Diff(want, got.Broker.Parameters); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if !got.Broker.Parameters.Configures() || (Parameters{"persistent": true}).Configures() || (Parameters{"noAssert": true}).Configures() {
		t.Error("Configures must report whether the address describes how to declare the queue")
	}
}

// TestServiceBehindBroker checks the target of a service for several broker addresses of
// its workspace.
func TestServiceBehindBroker(t *testing.T) {
	tests := []struct {
		transport      workspace.Transport
		address, queue string
		want, dials    string // "" for an error
	}{
		{workspace.RabbitMQ, "amqp://localhost", "", "amqp://localhost:5672/mail", "amqp://localhost:5672"},
		{workspace.RabbitMQ, "amqp://localhost:1/", "", "amqp://localhost:1/mail", "amqp://localhost:1"},
		{workspace.RabbitMQ, "amqps://app:s3cret@a,b/shop", "a/b", "amqps://app@a:5671,b:5671/shop/a%2Fb", "amqps://app:s3cret@a:5671/shop,amqps://app:s3cret@b:5671/shop"},
		{workspace.RabbitMQ, "amqp://a/%2F?heartbeat=5&durable=false", "", "amqp://a:5672/mail?durable=false", "amqp://a:5672"},
		{workspace.RabbitMQ, "amqp://a/b/c", "", "", ""},
		{workspace.RabbitMQ, "redis://a", "", "", ""},
		{workspace.Redis, "redis://:s3cret@a/3?protocol=2", "", "redis://@a:6379/3", "redis://:s3cret@a:6379/3"},
		{workspace.NATS, "tls://s3cret@a,tls://s3cret@b", "", "nats+tls://@a:4222,b:4222", "tls://s3cret@a:4222,tls://s3cret@b:4222"},
		{workspace.NATS, "nats+tls://a", "", "nats+tls://a:4222", "tls://a:4222"},
		{workspace.NATS, "nats://s3cret@a:x", "", "", ""},
	}
	for _, tt := range tests {
		w := &workspace.Workspace{Brokers: map[workspace.Transport]string{tt.transport: tt.address}}
		s := &workspace.Service{Name: "mail", Transport: tt.transport, Queue: tt.queue}
		t.Setenv(tt.transport.Variable(), "")
		got, err := locations{w: w}.target(s)
		if tt.want == "" {
			if err == nil || exit.Code(err) != exit.Usage || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %s, %v, want a usage error", tt.address, got, err)
			}
			continue
		}
		if err != nil || got.String() != tt.want || got.dialURLs() != tt.dials || got.Service != "mail" {
			t.Errorf("%s: %s, %v; want %s, %s", tt.address, got, err, tt.want, tt.dials)
		}
		running := locations{w: w, running: Run{Brokers: map[string]string{string(tt.transport): workspace.DefaultBrokerURL(tt.transport)}}}
		if got, err := running.target(s); err != nil || got.Addresses[0] != strings.SplitAfter(workspace.DefaultBrokerURL(tt.transport), "://")[1] {
			t.Errorf("%s: while msctl run has one: %s, %v", tt.address, got, err)
		}
	}
}

func TestShownTarget(t *testing.T) {
	tests := []struct{ text, want string }{
		{"items", "items"},
		{"tcp://a:1", "tcp://a:1"},
		{"amqp://app:s3cret@h/q?durable=false", "amqp://app@h:5672/q?durable=false"},
		{"nats://s3cret@h", "nats://@h:4222"},
		{"amqp://app:s3cret@h:x/q", "amqp://…@h:x/q"},
		{"app:s3cret@h", "…@h"},
	}
	for _, tt := range tests {
		if got := Shown(tt.text); got != tt.want {
			t.Errorf("shownTarget(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

// FuzzTarget holds the TARGET syntax to: never a panic, an error is a usage error,
// what is shown is read as the same place again, and a password is shown nowhere.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{
		"amqp://app:%s@h:5672/vhost/queue?durable=false", "redis://:%s@h/1", "nats://%s@a,b:1", "nats+tls://app:%s@[::1]", "tcp://a:1,b:2",
		"http://app:%s@h/x", "amqp://a,app:%s@b/%%2F/q?x-a=1", "amqp://app:%s/@h", "amqp://%%zz:%s@h/q", "app:%s@h",
	} {
		f.Add(seed)
	}
	f.Setenv(PasswordVariable, "dGVzdA3")
	f.Fuzz(func(t *testing.T, text string) {
		const password = "zq7Xw9"
		text = strings.ReplaceAll(strings.ReplaceAll(text, password, ""), "%s", password)
		secret := strings.Count(text, password) == 1 && strings.Contains(text, ":"+password+"@") && strings.Contains(text, "://")
		got, err := new(Flags).Parse(t.Context(), text)
		if err != nil {
			if exit.Code(err) != exit.Usage {
				t.Fatalf("parseTarget(%q): %v has exit code %d", text, err, exit.Code(err))
			}
			if secret && strings.Contains(err.Error()+exit.Hint(err), password) {
				t.Fatalf("parseTarget(%q) contains the password: %v", text, err)
			}
			return
		}
		shown := got.String()
		if strings.Contains(shown, "dGVzdA3") || secret && strings.Contains(shown, password) {
			t.Fatalf("parseTarget(%q) shows the password: %s", text, shown)
		}
		again, err := new(Flags).Parse(t.Context(), shown)
		if err != nil || again.String() != shown {
			t.Fatalf("parseTarget(%q) = %s, which is read as %s, %v", text, shown, again, err)
		}
	})
}

// TestRunningAddress checks that a service is reached where the run has found it, and
// under its usual name if that is the same.
func TestRunningAddress(t *testing.T) {
	w, err := workspace.Parse("msctl.yaml", []byte("name: shop\nservices:\n  items: {path: ./items, port: 3002}\n  api: {kind: gateway, command: x, port: 3001}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for running, want := range map[string]string{
		"": "localhost:3002", "127.0.0.1:3002": "localhost:3002", "localhost:3002": "localhost:3002", "[::1]:3002": "[::1]:3002", "127.0.0.1:3102": "127.0.0.1:3102",
	} {
		l := locations{w: w, running: Run{Services: map[string]string{"items": running, "api": "[::1]:3001"}}}
		if got, err := l.target(w.Service("items")); err != nil || got.Addresses[0] != want {
			t.Errorf("running at %q: target %v, error %v, want %s", running, got.Addresses, err, want)
		}
		if got, err := l.gatewayTarget(w.Service("api"), "health", true); err != nil || got.Addresses[0] != "http://[::1]:3001/health" {
			t.Errorf("gateway: target %v, error %v", got.Addresses, err)
		}
	}
}
