package workspace

import (
	"strings"
	"testing"
)

func TestBrokerComesFromTheNearestPlace(t *testing.T) {
	w, err := Parse(FileName, []byte("name: a\nenv: {NATS_URL: nats://env}\nbrokers: {redis: redis://file, nats: nats://file}\nservices:\n"+
		"  mail: {path: m, transport: redis}\n  audit: {path: a, transport: nats, env: {NATS_URL: nats://own}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	mail, audit := w.Service("mail"), w.Service("audit")
	tests := []struct {
		name        string
		t           Transport
		s           *Service
		environment string
		want, from  string
	}{
		{"default", RabbitMQ, mail, "", "amqp://localhost:5672", ""},
		{"the file", Redis, mail, "", "redis://file", "brokers"},
		{"the workspace's variable", NATS, mail, "", "nats://env", "env"},
		{"the service's variable", NATS, audit, "", "nats://own", "env of audit"},
		{"no service", NATS, nil, "", "nats://env", "env"},
		{"the environment", NATS, audit, "nats://outside", "nats://outside", "NATS_URL"},
		{"TCP has none", TCP, mail, "x", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, from := w.Broker(tt.t, tt.s, func(string) string { return tt.environment })
			if got != tt.want || from != tt.from {
				t.Errorf("Broker = %q, %q; want %q, %q", got, from, tt.want, tt.from)
			}
		})
	}
	if got := w.BrokerURL(Redis) + " " + w.BrokerURL(RabbitMQ) + w.BrokerURL(TCP); got != "redis://file amqp://localhost:5672" {
		t.Errorf("BrokerURL: %s", got)
	}
}

func TestQueueName(t *testing.T) {
	for _, tt := range []struct {
		s    Service
		want string
	}{
		{Service{Name: "mail", Transport: RabbitMQ}, "mail"},
		{Service{Name: "mail", Transport: NATS, Queue: "post"}, "post"},
		{Service{Name: "mail", Transport: Redis}, ""},
		{Service{Name: "mail", Transport: TCP}, ""},
		{Service{Name: "gate", Kind: KindGateway}, ""},
	} {
		if got := tt.s.QueueName(); got != tt.want {
			t.Errorf("QueueName of %+v = %q, want %q", tt.s, got, tt.want)
		}
	}
}

func TestRedacted(t *testing.T) {
	for address, want := range map[string]string{
		"amqp://u:secret@h:1/v":                      "amqp://u:***@h:1/v",
		"redis://:secret@h":                          "redis://:***@h",
		"nats://secret@h:4222":                       "nats://***@h:4222",
		"tls://secret@h":                             "tls://***@h",
		"nats://u:secret@h,nats://secret@i,nats://j": "nats://u:***@h,nats://***@i,nats://j",
		"amqp://guest@h":                             "amqp://guest@h",
		"amqp://u:sec ret@h":                         "(invalid URL)",
		"u:secret@h":                                 "(invalid URL)",
		"secret":                                     "(invalid URL)",
		"nats://u:se,cret@h":                         "(invalid URL)",
		"nats://u:12,34@h":                           "(invalid URL)",
		"nats://a,b:1, c":                            "nats://a,nats://b:1,nats://c",
		"nats://h:4222":                              "nats://h:4222",
		"":                                           "(invalid URL)",
		"nats+tls://u:secret@[::1]:4222/?name=x#here": "nats+tls://u:***@[::1]:4222/?name=x#here",
	} {
		if got := Redacted(address); got != want {
			t.Errorf("Redacted(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestOnThisMachine(t *testing.T) {
	for address, want := range map[string]bool{
		"amqp://localhost": true, "amqp://LOCALHOST.:1": true, "nats://127.9.8.7:1": true, "nats://[::1]:1": true, "nats://[::ffff:127.0.0.1]": true,
		"redis://api.localhost": true, "nats://localhost,nats://127.0.0.1": true, "nats://localhost,127.0.0.1:1": true, "nats://localhost,b": false,
		"nats://localhost,nats://10.0.0.1": false, "amqp://rabbit": false, "redis://0.0.0.0": false, "amqp://localhost.example.com": false, "": false, "%": false,
	} {
		if got := OnThisMachine(address); got != want {
			t.Errorf("OnThisMachine(%q) = %v, want %v", address, got, want)
		}
	}
}

func TestCheckBrokerURL(t *testing.T) {
	for _, tt := range []struct {
		t       Transport
		address string
		want    string // part of the error; "" for none
	}{
		{RabbitMQ, "amqp://u:secret@h:1/v", ""},
		{RabbitMQ, "amqps://h,amqps://i", ""},
		{Redis, "rediss://:secret@h/3", ""},
		{NATS, "tls://a,nats://b:1", ""},
		{Redis, "redis://a,redis://b", "must have a single address"},
		{Redis, "localhost:6379", "must be like redis://localhost:6379"},
		{NATS, "nats://u:secret@", "nats://u:***@ is not a NATS address"},
		{NATS, "nats://u:sec ret@h", "invalid address"},
		{NATS, "nats://a,b:1, c", ""},
		{NATS, "nats://a,secret@b", "(invalid URL)"},
		{RabbitMQ, "amqp://a,b", "is not a RabbitMQ address"},
		{RabbitMQ, "amqp://h:70000", "invalid port"},
		{RabbitMQ, "", "is not a RabbitMQ address"},
	} {
		err := CheckBrokerURL(tt.t, tt.address)
		switch {
		case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("CheckBrokerURL(%s, %q) = %v, want %q", tt.t, tt.address, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("CheckBrokerURL(%s, %q) tells the password: %v", tt.t, tt.address, err)
		}
	}
}

func TestAddServicesOfBrokers(t *testing.T) {
	text := []byte("name: a\nbrokers: {nats: nats://x}\nservices: {}\n")
	for _, s := range []Service{
		{Name: "mail", Path: "./apps/mail", Transport: RabbitMQ},
		{Name: "audit", Path: "./apps/audit", Transport: NATS, Queue: "audit.v2"},
		{Name: "seen", Command: []string{"npm", "start"}, Transport: Redis, ReadyPattern: `{"cmd":"a: b"}`, Ready: ReadyMessage},
		{Name: "stated", Command: []string{"npm", "start"}, Transport: NATS, Ready: ReadyMessage},
		{Name: "usual", Command: []string{"npm", "start"}, Transport: NATS, Ready: ReadyProcess},
	} {
		var err error
		if text, err = AddService(text, s); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
	}
	want := `name: a
brokers: {nats: nats://x}
services:
  mail:
    path: ./apps/mail
    transport: rabbitmq
  audit:
    path: ./apps/audit
    transport: nats
    queue: audit.v2
  seen:
    command: [npm, start]
    transport: redis
    ready: {pattern: {"cmd":"a: b"}}
  stated:
    command: [npm, start]
    transport: nats
    ready: message
  usual:
    command: [npm, start]
    transport: nats
`
	if string(text) != want {
		t.Errorf("file:\n%s\nwant:\n%s", text, want)
	}
}
