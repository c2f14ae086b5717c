package nestsource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCalls(t *testing.T) {
	p := parse(t, map[string]string{
		"queues.ts": "export enum Queue { Orders = 'orders_queue' }\nexport const urls = [process.env.RABBIT ?? 'amqp://localhost', 'amqp://other'];\n",
		"main.ts": `import { NestFactory as Factory } from '@nestjs/core';
import { Transport, type MicroserviceOptions } from '@nestjs/microservices';
import { AppModule } from './app.module';
import { Queue, urls } from './queues';

async function bootstrap() {
  const port = process.env.PORT ?? 3000;
  let host = 'localhost';
  if (process.env.HOST) host = process.env.HOST;
  const app = await Factory.create(AppModule, { cors: true });
  const config = app.get(ConfigService);
  app.connectMicroservice<MicroserviceOptions>({
    transport: Transport.RMQ,
    options: { urls, queue: Queue.Orders, noAck: false, queueOptions: { durable: true } },
  });
  app.connectMicroservice({ transport: Transport.TCP, options: { host, port: config.get<number>('TCP_PORT', 4000) } });
  app.connectMicroservice({ transport: Transport.REDIS, options: { port: Number(process.env.REDIS_PORT) || 6379, retry: parseInt(process.env.RETRY || '5', 10) } });
  await app.startAllMicroservices();
  await app.listen(port);
}
bootstrap().catch(console.error);
`,
		"app.module.ts": `import { Module } from '@nestjs/common';
import { ClientsModule, Transport } from '@nestjs/microservices';
import { Queue } from './queues';

const clients = [{ name: 'ORDERS', transport: Transport.RMQ, options: { queue: Queue.Orders } }];

@Module({
  imports: [
    ClientsModule.register([...clients, { name: 'USERS', transport: Transport.TCP, options: { port: 4001 } }]),
    ClientsModule.registerAsync([{ name: 'LATER', useFactory: (config: ConfigService) => ({ transport: Transport.NATS, options: { servers: [config.getOrThrow('NATS_URL')] } }) }]),
  ],
})
export class AppModule {
  private readonly pattern = 'orders.find';
  constructor(private readonly client: ClientProxy) {}
  find(id: number, kind = 'any') {
    this.client.emit({ cmd: 'seen' }, { id });
    return this.client
      .send(this.pattern, { id, kind })
      .pipe();
  }
}
`,
	})
	var got []string
	for _, c := range p.Calls("NestFactory.create", "connectMicroservice", "listen", "ClientsModule.register", "client.send", "emit") {
		got = append(got, fmt.Sprintf("%s:%d %s in %s", c.File, c.Line, c.Callee, c.In))
		for _, arg := range c.Args {
			line := "  " + arg.JSON()
			if name, file := arg.Class(); name != "" {
				line = "  class " + name + " " + file
			}
			if transport := arg.Member("transport"); !transport.Missing() {
				line += " " + transport.Transport()
			}
			for _, part := range arg.Parts() {
				line += fmt.Sprintf("\n    %s = %s env=%s default=%s: %s", part.Path, part.Text, part.Env, part.Default, part.Reason)
			}
			got = append(got, line)
		}
	}
	want := `app.module.ts:9 ClientsModule.register in AppModule
  [{"name":"ORDERS","transport":5,"options":{"queue":"orders_queue"}},{"name":"USERS","transport":0,"options":{"port":4001}}]
app.module.ts:17 this.client.emit in AppModule.find
  {"cmd":"seen"}
  {"id":null}
    id = id env= default=: it is a parameter
app.module.ts:19 this.client.send in AppModule.find
  "orders.find"
  {"id":null,"kind":"any"}
    id = id env= default=: it is a parameter
    kind = kind env= default="any": it is a parameter
main.ts:10 NestFactory.create in bootstrap
  class AppModule app.module.ts
  {"cors":true}
main.ts:12 app.connectMicroservice in bootstrap
  {"transport":5,"options":{"urls":["amqp://localhost","amqp://other"],"queue":"orders_queue","noAck":false,"queueOptions":{"durable":true}}} RMQ
    options.urls[0] = process.env.RABBIT ?? 'amqp://localhost' env=RABBIT default="amqp://localhost": it depends on the environment
main.ts:16 app.connectMicroservice in bootstrap
  {"transport":0,"options":{"host":"localhost","port":4000}} TCP
    options.host = host env= default="localhost": its value changes
    options.port = config.get<number>('TCP_PORT', 4000) env=TCP_PORT default=4000: it depends on the configuration
main.ts:17 app.connectMicroservice in bootstrap
  {"transport":1,"options":{"port":6379,"retry":5}} REDIS
    options.port = Number(process.env.REDIS_PORT) || 6379 env=REDIS_PORT default=6379: it depends on the environment
    options.retry = parseInt(process.env.RETRY || '5', 10) env=RETRY default=5: it depends on the environment
main.ts:19 app.listen in bootstrap
  3000
    process.env.PORT ?? 3000 env=PORT default=3000: it depends on the environment`
	want = strings.ReplaceAll(want, "    process.env.PORT ?? 3000 env", "     = process.env.PORT ?? 3000 env")
	if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestCallInAFunctionThatReturnsOptions checks the arguments of calls in functions that are
// values: factories of asynchronous modules.
func TestCallInAFunctionThatReturnsOptions(t *testing.T) {
	p := parse(t, map[string]string{"a.ts": `
export const factory = { useFactory: (port = 3, { host = 'h' } = {}) => connect({ port, host, all: [port, 'x'] }) };
`})
	calls := p.Calls("connect")
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	arg := calls[0].Arg(0)
	port, ok := arg.Member("port").Number()
	if !ok || port != 3 || arg.Member("port").Computed() == nil || calls[0].In != "factory" {
		t.Errorf("port %v %v in %q", port, arg.Member("port").Computed(), calls[0].In)
	}
	if host, ok := arg.Member("host").Text(); !ok || host != "h" {
		t.Errorf("host %q", host)
	}
	if items := arg.Member("all").Items(); len(items) != 2 || !arg.Member("none").Missing() || !calls[0].Arg(1).Missing() {
		t.Errorf("items %v", items)
	}
}
