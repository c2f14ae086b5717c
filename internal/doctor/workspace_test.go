package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
)

const nestPackage = `{"name":"app","dependencies":{"@nestjs/microservices":"^12.0.0"}}`

// controller returns a controller of NestJS with members.
func controller(name, members string) string {
	return `import { Controller } from '@nestjs/common';
import { ClientProxy, EventPattern, MessagePattern } from '@nestjs/microservices';
import { retry, timeout } from 'rxjs';
@Controller()
export class ` + strings.ToUpper(name[:1]) + name[1:] + `Controller {
  constructor(private readonly client: ClientProxy) {}
  ` + members + `
}
`
}

// mainOf returns a main.ts that starts a microservice.
func mainOf(options string) string {
	return `import { NestFactory } from '@nestjs/core';
import { MicroserviceOptions, Transport } from '@nestjs/microservices';
import { AppModule } from './app.module';
async function bootstrap() {
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(AppModule, { ` + options + ` });
  await app.listen();
}
bootstrap();
`
}

// workspaceAt writes a workspace, makes its folder the current one, and returns its subject.
func workspaceAt(t *testing.T, yaml string, files map[string]string) Subject {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, workspace.FileName), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, name := range []string{"RABBITMQ_URL", "REDIS_URL", "NATS_URL"} {
		t.Setenv(name, "")
	}
	w, err := workspace.Current()
	if err != nil {
		t.Fatal(err)
	}
	p := Subject{Workspace: w, Flags: &target.Flags{Gateways: true}, Timeout: replyLimit}
	for _, s := range w.Services {
		name := s.Name
		if s.Kind == workspace.KindGateway {
			name += "/"
		}
		one, err := p.Flags.Parse(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Kind == workspace.KindGateway {
			p.Gateways = append(p.Gateways, one)
		} else {
			p.Targets = append(p.Targets, one)
		}
	}
	return p
}

func skipped(r Report, check string) bool {
	return slices.ContainsFunc(r.NotChecked, func(u Unchecked) bool { return u.Check == check })
}

// codes returns the codes of all findings, in order.
func codes(r Report) (list []string) {
	for _, f := range r.Findings {
		list = append(list, f.Code)
	}
	return list
}

// chain is a workspace of two NestJS services on TCP: the handler of order calls findItem, whose handler calls stock. call and inner
// are these calls.
func chain(t *testing.T, call, inner string) Subject {
	t.Helper()
	items := testenv.Nest(t, testenv.Nest12)
	orders := testenv.Nest(t, testenv.Nest12)
	return workspaceAt(t, fmt.Sprintf(`name: shop
services:
  items:
    command: node dist/main
    dir: items
    host: 127.0.0.1
    port: %d
  orders:
    command: node dist/main
    dir: orders
    host: 127.0.0.1
    port: %d
`, items.Port, orders.Port), map[string]string{
		"items/package.json": nestPackage,
		"items/src/main.ts":  mainOf(fmt.Sprintf("transport: Transport.TCP, options: { port: %d }", items.Port)),
		"items/src/app.controller.ts": controller("items", `@MessagePattern({ cmd: 'findItem' }) find() { `+inner+` }
  begin() { return this.client.send('order', {}); }`),
		"orders/package.json": nestPackage,
		"orders/src/main.ts":  mainOf(fmt.Sprintf("transport: Transport.TCP, options: { port: %d }", orders.Port)),
		"orders/src/app.controller.ts": controller("orders", `@MessagePattern('order') order() { `+call+` }
  @MessagePattern('stock') stock() {}`),
		"orders/src/clients.ts": fmt.Sprintf(`import { ClientsModule, Transport } from '@nestjs/microservices';
export const clients = ClientsModule.register([{ name: 'ITEMS', transport: Transport.TCP, options: { port: %d } }]);
`, items.Port),
	})
}

const (
	callsItem  = `return this.client.send({ cmd: 'findItem' }, {}).pipe(timeout(5000));`
	callsStock = `return this.client.send('stock', {}).pipe(timeout(1000));`
)

func TestHealthyWorkspace(t *testing.T) {
	healthy(t, examine(t, chain(t, callsItem, callsStock)), "reachability", "ports", "loopback listeners", "frame lengths", "handlers and callers", "timeouts", "retries")
}

func TestSources(t *testing.T) {
	for _, tt := range []struct {
		name, call, inner, code string
		mentions                []string
	}{
		{"a pattern without a handler", strings.Replace(callsItem, "findItem", "fndItem", 1), callsStock, "no-handler", []string{`{"cmd":"fndItem"}`, "did you mean cmd=findItem?", "orders/src/app.controller.ts:7"}},
		{"a client that waits longer than its caller", callsItem, strings.Replace(callsStock, "1000", "8000", 1), "timeout-order", []string{"orders waits up to 5s", "waits up to 8s"}},
		{"retries at two levels", strings.Replace(callsItem, "5000)", "5000), retry(3)", 1), strings.Replace(callsStock, "1000)", "1000), retry({ count: 2, delay: 100 })", 1), "retries-multiply", []string{"up to 4 times", "up to 3 times", "up to 12"}},
		{"a handler without a caller", callsItem, "", "no-caller", []string{`"stock"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := examine(t, chain(t, tt.call, tt.inner))
			i := slices.Index(codes(r), tt.code)
			if i < 0 {
				t.Fatalf("got %+v, want %s", r, tt.code)
			}
			mentions(t, r.Findings[i], tt.mentions...)
			for _, code := range codes(r) {
				if code != tt.code && !(tt.code == "no-handler" && code == "no-caller") { // the handler that was meant has no caller
					t.Errorf("also %s: %+v", code, r.Findings)
				}
			}
		})
	}
}

// TestComputedPatterns checks that nothing is claimed about what the sources do not determine.
func TestComputedPatterns(t *testing.T) {
	r := examine(t, chain(t, `return this.client.send({ cmd: process.env.COMMAND }, {});`, ""))
	if len(r.Findings) > 0 || !skipped(r, "handlers and callers") {
		t.Errorf("got %+v", r)
	}
	r = examine(t, chain(t, "", "")) // its client may be used in a library
	if len(r.Findings) > 0 || !skipped(r, "handlers and callers") {
		t.Errorf("got %+v", r)
	}
}

func TestContainers(t *testing.T) {
	subject := func(t *testing.T, host, compose string) Subject {
		t.Helper()
		items := testenv.Nest(t, testenv.Nest12)
		return workspaceAt(t, fmt.Sprintf("name: shop\nservices:\n  items:\n    command: node dist/main\n    dir: items\n    host: 127.0.0.1\n    port: %d\n", items.Port), map[string]string{
			"items/package.json": nestPackage,
			"items/src/main.ts":  mainOf(fmt.Sprintf("transport: Transport.TCP, options: { %s port: %d }", host, items.Port)),
			"compose.yaml":       compose,
		})
	}
	const compose = "services:\n  items: {image: items}\n  gateway:\n    image: gateway\n    environment:\n      ITEMS_URL: tcp://items:3002\n"
	mentions(t, one(t, examine(t, subject(t, "", compose)), "loopback-listener"), "items/src/main.ts:5 sets no host", "compose.yaml: gateway has ITEMS_URL=tcp://items:3002", "0.0.0.0")
	mentions(t, one(t, examine(t, subject(t, "host: 'localhost',", compose)), "loopback-listener"), "listens on localhost")
	healthy(t, examine(t, subject(t, "host: '0.0.0.0',", compose)), "loopback listeners")
	healthy(t, examine(t, subject(t, "", "services:\n  items: {image: items}\n")), "loopback listeners")
}

func TestSameQueue(t *testing.T) {
	broker := testenv.RabbitMQ(t)
	queue := testenv.Unique(t, "shared")
	for range 2 {
		testenv.Nest(t, testenv.Nest12, "--transport", "rmq", "--url", broker.URL, "--queue", queue)
	}
	service := "    command: node dist/main\n    dir: %s\n    transport: rabbitmq\n    queue: " + queue + "\n"
	p := workspaceAt(t, "name: shop\nservices:\n  items:\n"+fmt.Sprintf(service, "items")+"  orders:\n"+fmt.Sprintf(service, "orders")+"brokers:\n  rabbitmq: "+broker.URL+"\n", map[string]string{
		"items/package.json":           nestPackage,
		"items/src/app.controller.ts":  controller("items", `@MessagePattern('find') find() {}`),
		"items/src/main.ts":            mainOf("transport: Transport.RMQ, options: { urls: [], queue: '" + queue + "', queueOptions: { durable: false } }"),
		"orders/package.json":          nestPackage,
		"orders/src/app.controller.ts": controller("orders", `@MessagePattern('order') order() {}`),
	})
	r := examine(t, p)
	if got := strings.Join(codes(r), " "); got != "mixed-handlers declared-differently" {
		t.Fatalf("got %+v", r)
	}
	mentions(t, r.Findings[0], "services items and orders have the same queue", "items handles find", "orders handles order")
	mentions(t, r.Findings[1], "items/src/main.ts:5", "inequivalent arg 'durable'")
}
