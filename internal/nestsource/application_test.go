package nestsource

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestApplication checks that the calls that start an application, and its clients, are
// found in the functions and the modules that it uses, with the arguments of the calls.
func TestApplication(t *testing.T) {
	p := parse(t, map[string]string{
		"libs/boot.ts": `import { NestFactory } from '@nestjs/core';
import { ClientsModule, Transport } from '@nestjs/microservices';
import { Module, forwardRef } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
export async function start(module: any, port = 4000, { http }: { http?: number } = {}) {
  const app = await NestFactory.create(module);
  app.connectMicroservice({ transport: Transport.TCP, options: { port } });
  await app.startAllMicroservices();
  if (http) await app.listen(http);
}
@Module({})
export class QueueModule {
  static register(name: string) {
    return { module: QueueModule, imports: [ClientsModule.registerAsync([{ name, useFactory: async (settings: ConfigService) => {
      const url = settings.getOrThrow<string>('BROKER');
      return { transport: Transport.RMQ, options: { urls: [url], queue: settings.get(` + "`${name}_QUEUE`" + `) } };
    } }])] };
  }
}
`,
		"app/main.ts": `import { start } from '../libs/boot';
import { AppModule } from './app.module';
const run = () => start(AppModule, Number(process.env.TCP_PORT ?? 4001));
run();
`,
		"app/app.module.ts": `import { Module, forwardRef } from '@nestjs/common';
import { Client, ClientProxyFactory, Transport } from '@nestjs/microservices';
import { QueueModule } from '../libs/boot';
@Module({ imports: [QueueModule.register('MAIL'), forwardRef(() => OtherModule)] })
export class AppModule {}
@Module({ providers: [{ provide: 'X', useFactory: (port: number) => ClientProxyFactory.create({ transport: Transport.TCP, options: { port: 4002 } }) }] })
export class OtherModule { @Client({ transport: Transport.NATS }) private readonly nats; }
`,
		"other/main.ts": "import { NestFactory } from '@nestjs/core';\nNestFactory.createApplicationContext(class {});\n",
	})
	env := map[string]string{"TCP_PORT": "4100", "MAIL_QUEUE": "mail"}
	part := p.Part(func(name string) (string, bool) { v, ok := env[name]; return v, ok }, "app")
	app := part.Application("app/main.ts")
	var got []string
	for _, list := range [][]Call{app.Creates, app.Connects, app.Listens} {
		for _, c := range list {
			line := fmt.Sprintf("%s:%d %s", c.File, c.Line, c.Callee)
			for _, arg := range c.Args {
				name, _ := arg.Class()
				line += " " + name + arg.JSON()
			}
			got = append(got, line)
		}
	}
	for _, c := range app.Clients {
		line := fmt.Sprintf("%s:%d %s %s", c.File, c.Line, c.Name, c.Options.JSON())
		for _, u := range c.Options.Parts() {
			line += " " + u.Path + "=" + u.Env
		}
		got = append(got, line)
	}
	want := []string{
		"libs/boot.ts:6 NestFactory.create AppModulenull",
		`libs/boot.ts:7 app.connectMicroservice {"transport":0,"options":{"port":4100}}`,
		`app/app.module.ts:6 X {"transport":0,"options":{"port":4002}}`,
		`app/app.module.ts:7  {"transport":2}`,
		`libs/boot.ts:14 MAIL {"transport":5,"options":{"urls":[null],"queue":"mail"}} options.urls[0]=BROKER options.queue=MAIL_QUEUE`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("application (-want +got):\n%s", diff)
	}
}

// TestVariables checks which variables a part of a project reads, and the defaults of
// schemas.
func TestVariables(t *testing.T) {
	p := parse(t, map[string]string{
		"a/env.ts": `import * as joi from 'joi';
import { z } from 'zod';
const { FIRST, second } = process.env;
const schema = joi.object({ SECOND: joi.number().default(3000), NESTED: joi.string() });
const { value } = schema.validate({ ...process.env, LIST: process.env.LIST?.split(',') });
export const parsed = z.object({ THIRD: z.string().default('x').optional() }).parse(process.env);
export const all = [value.FOURTH, parsed.FIFTH, process.env['SIXTH'], other.SEVENTH, config.get('EIGHTH', 1), config.get('a.b')];
`,
		"b/env.ts": "export const x = process.env.ELSEWHERE;\n",
	})
	part := p.Part(nil, "a")
	names := part.Variables()
	slices.Sort(names)
	if diff := cmp.Diff("EIGHTH FIFTH FIRST FOURTH LIST NESTED SECOND SIXTH THIRD", strings.Join(names, " ")); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	var defaults []string
	part.SchemaDefaults(func(name, value, file string, line int) {
		defaults = append(defaults, fmt.Sprintf("%s=%s %s:%d", name, value, file, line))
	})
	if diff := cmp.Diff([]string{"SECOND=3000 a/env.ts:4", "THIRD=x a/env.ts:6"}, defaults); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

// TestApplicationWithManyCalls checks that functions that call each other many times do not
// make reading an application endless.
func TestApplicationWithManyCalls(t *testing.T) {
	source := "import { NestFactory } from '@nestjs/core';\n"
	for i := range 30 {
		source += fmt.Sprintf("function f%d() { f%[2]d(); f%[2]d(); f%[2]d(); }\n", i, i+1)
	}
	source += "function f30() {}\nNestFactory.create(class {});\nf0();\n"
	p := parse(t, map[string]string{"main.ts": source})
	if app := p.Application("main.ts"); len(app.Creates) != 1 {
		t.Errorf("%d calls of create", len(app.Creates))
	}
}
