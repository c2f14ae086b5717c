package nestinit

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/internal/test/testenv"
)

const (
	nestPackage = `{"name": "x", "scripts": {"start:dev": "nest start --watch"}, "dependencies": {"@nestjs/core": "12"}}`
	module      = "import { Module } from '@nestjs/common';\n@Module({})\nexport class AppModule {}\n"
	head        = "import { NestFactory } from '@nestjs/core';\nimport { Transport } from '@nestjs/microservices';\nimport { AppModule } from './app.module';\n"
)

// startOn returns a main file for a microservice.
func startOn(transport string) string {
	return head + "NestFactory.createMicroservice(AppModule, { transport: " + transport + " }).then((app) => app.listen());\n"
}

// cases are applications with what is unusual, by name.
func cases() map[string]map[string]string {
	return map[string]map[string]string{
		"conflict": {
			"a/package.json": nestPackage, "b/package.json": nestPackage, "c/package.json": nestPackage,
			"a/src/main.ts":       head + "async function bootstrap() { const app = await NestFactory.create(AppModule); await app.listen(process.env.PORT ?? 3000); }\nbootstrap();",
			"a/src/app.module.ts": "import { ClientsModule, Transport } from '@nestjs/microservices';\nimport { Module } from '@nestjs/common';\n@Module({imports: [ClientsModule.register([{ name: 'B_SERVICE', transport: Transport.TCP, options: { port: +(process.env.B_PORT || 3000), host: process.env.B_HOST } }, { name: 'C', transport: Transport.TCP, options: { port: 3005, host: 'c' } }])]})\nexport class AppModule {}",
			"b/src/main.ts":       head + "async function bootstrap() { const app = await NestFactory.createMicroservice(AppModule, { transport: Transport.TCP, options: { port: parseInt(process.env.PORT || '3000', 10) } }); await app.listen(); }\nbootstrap();",
			"b/src/app.module.ts": module,
			"c/src/main.ts":       head + "async function bootstrap() { const app = await NestFactory.create(AppModule); app.connectMicroservice({ transport: Transport.TCP, options: { port: 3005 } }); await app.startAllMicroservices(); await app.listen(process.env.PORT || 3000); }\nbootstrap();",
			"c/src/app.module.ts": module,
		},
		"literal": {
			"a/package.json": nestPackage, "b/package.json": nestPackage,
			"a/src/main.ts":       head + "NestFactory.createMicroservice(AppModule, { transport: Transport.TCP }).then(a => a.listen());",
			"a/src/app.module.ts": module,
			"b/src/main.ts":       head + "NestFactory.createMicroservice(AppModule, { options: { port: 3000 } }).then(a => a.listen());",
			"b/src/app.module.ts": module,
		},
		"kafka": {
			"a/package.json": nestPackage, "b/package.json": nestPackage, "c/package.json": nestPackage, "d/package.json": nestPackage,
			"a/src/main.ts":       head + "async function bootstrap() { const app = await NestFactory.createMicroservice(AppModule, { transport: Transport.KAFKA, options: { client: { brokers: ['x'] } } }); await app.listen(); }\nbootstrap();",
			"a/src/app.module.ts": module,
			"b/src/main.ts":       head + "async function bootstrap() { const app = await NestFactory.create(AppModule); app.connectMicroservice({ transport: Transport.KAFKA }); await app.listen(3010); }\nbootstrap();",
			"b/src/app.module.ts": module,
			"c/src/main.ts":       head + "async function bootstrap() { const app = await NestFactory.createApplicationContext(AppModule); }\nbootstrap();",
			"c/src/app.module.ts": module,
			"d/src/main.ts":       head + "async function bootstrap() { const app = await NestFactory.createMicroservice(AppModule, { strategy: new X() }); await app.listen(); }\nbootstrap();",
			"d/src/app.module.ts": module,
		},
		"helper": {
			"package.json": nestPackage, "nest-cli.json": `{"monorepo": true, "projects": {"users": {"type":"application","root":"apps/users","sourceRoot":"apps/users/src","entryFile":"main"}, "auth": {"type":"application","root":"apps/auth","sourceRoot":"apps/auth/src","entryFile":"main"}}}`,
			"tsconfig.json":                `{"compilerOptions": {"baseUrl": "./", "paths": {"@app/boot": ["libs/boot/src"]}}}`,
			"libs/boot/src/index.ts":       "import { NestFactory } from '@nestjs/core';\nimport { Transport, MicroserviceOptions } from '@nestjs/microservices';\nexport async function start(module: any, options: { name: string, port?: number, http?: number }) {\n const { name, port = 4000 } = options;\n const app = await NestFactory.create(module);\n app.connectMicroservice<MicroserviceOptions>({ transport: Transport.TCP, options: { host: '0.0.0.0', port: Number(process.env[`${name.toUpperCase()}_PORT`] ?? port) } });\n await app.startAllMicroservices();\n if (options.http) await app.listen(Number(process.env.HTTP_PORT) || options.http);\n}\n",
			"apps/users/src/main.ts":       "import { start } from '@app/boot';\nimport { AppModule } from './app.module';\nvoid start(AppModule, { name: 'users', port: 4001, http: 3001 });\n",
			"apps/users/src/app.module.ts": module,
			"apps/auth/src/main.ts":        "import { start } from '@app/boot';\nimport { AppModule } from './app.module';\nstart(AppModule, { name: 'auth' }).catch(console.error);\n",
			"apps/auth/src/app.module.ts":  "import { ClientsModule, Transport } from '@nestjs/microservices';\nimport { Module } from '@nestjs/common';\n@Module({imports: [ClientsModule.register([{ name: 'USERS', transport: Transport.TCP, options: { port: Number(process.env.USERS_PORT ?? 4001) } }])]})\nexport class AppModule {}",
		},
		"config": {
			"package.json":      nestPackage,
			".env":              "APP_PORT = 3100 # here\nRMQ_USER=app\nRMQ_PASS=s3cr3tpw\nRMQ_HOST=rabbit\nRMQ_PORT=5672\nQUEUE='mail'\n",
			"src/main.ts":       head + "import { AppConfig } from './config';\nasync function bootstrap() { const app = await NestFactory.create(AppModule); const cfg = app.get(AppConfig); app.connectMicroservice(cfg.rmq); await app.startAllMicroservices(); await app.listen(cfg.port, '0.0.0.0'); }\nbootstrap();",
			"src/config.ts":     "import { Injectable } from '@nestjs/common';\nimport { ConfigService } from '@nestjs/config';\nimport { Transport, RmqOptions } from '@nestjs/microservices';\n@Injectable()\nexport class AppConfig {\n constructor(private readonly cs: ConfigService) {}\n get port(): number { return this.cs.get<number>('APP_PORT'); }\n get rmq(): RmqOptions { return { transport: Transport.RMQ, options: { urls: [`amqp://${this.cs.get('RMQ_USER')}:${this.cs.get('RMQ_PASS')}@${this.cs.get('RMQ_HOST')}:${this.cs.get('RMQ_PORT')}`], queue: this.cs.get('QUEUE') } }; }\n}\n",
			"src/app.module.ts": module,
		},
		"load": {
			"package.json":               nestPackage,
			"src/main.ts":                head + "import { ConfigService } from '@nestjs/config';\nimport { microserviceConfig } from './microservice.config';\nasync function bootstrap() { const app = await NestFactory.create(AppModule); const config = app.get(ConfigService); app.connectMicroservice(microserviceConfig(config)); await app.listen(config.get<number>('server.port')!); }\nbootstrap();",
			"src/microservice.config.ts": "import { Transport } from '@nestjs/microservices';\nexport const microserviceConfig = (c: any) => ({ transport: Transport.REDIS, options: c.get('redis') });\n",
			"src/configuration.ts":       "export default () => ({ server: { port: parseInt(process.env.SERVER_PORT ?? '', 10) || 3200 }, redis: { host: process.env.REDIS_HOST ?? 'redis', port: 6379 } });\n",
			"src/app.module.ts":          "import { Module } from '@nestjs/common';\nimport { ConfigModule } from '@nestjs/config';\nimport configuration from './configuration';\n@Module({ imports: [ConfigModule.forRoot({ load: [configuration], isGlobal: true })] })\nexport class AppModule {}\n",
		},
		"cycle": {
			"a/package.json": nestPackage, "b/package.json": nestPackage,
			"a/src/main.ts":       head + "NestFactory.createMicroservice(AppModule, { transport: Transport.TCP, options: { port: 4001 } }).then(a => a.listen());",
			"a/src/app.module.ts": "import { ClientTCP } from '@nestjs/microservices';\nimport { Module } from '@nestjs/common';\nconst c = new ClientTCP({ port: 4002 });\n@Module({})\nexport class AppModule {}",
			"b/src/main.ts":       head + "NestFactory.createMicroservice(AppModule, { transport: Transport.TCP, options: { port: 4002 } }).then(a => a.listen());",
			"b/src/app.module.ts": "import { Client, Transport } from '@nestjs/microservices';\nimport { Module } from '@nestjs/common';\nclass S { @Client({ transport: Transport.TCP, options: { port: 4001 } }) c; }\n@Module({providers: [S]})\nexport class AppModule {}",
		},
		"zod": {
			"package.json": nestPackage, ".env.example": "TCP_PORT=4007\n",
			"src/env.ts":        "import { z } from 'zod';\nconst schema = z.object({ TCP_PORT: z.coerce.number().default(4005), NATS: z.string().default('nats://localhost:4222') });\nexport const env = schema.parse(process.env);\n",
			"src/main.ts":       head + "import { env } from './env';\nNestFactory.createMicroservice(AppModule, { transport: Transport.TCP, options: { port: env.TCP_PORT } }).then(a => a.listen());",
			"src/app.module.ts": module,
		},
		"oddnames": {
			"apps/Order_Service/package.json":      `{"name": "@x/order-api", "scripts": {"start": "node dist/main.js"}, "dependencies": {"@nestjs/core": "12"}}`,
			"apps/Order_Service/src/main.ts":       head + "async function bootstrap() { const app = await NestFactory.create(AppModule); await app.listen(config.port); }\nbootstrap();",
			"apps/Order_Service/src/app.module.ts": module,
		},
		"esm": {"package.json": `{"name":"esm","type":"module","scripts":{"dev":"node --watch --import tsx src/main.ts"},"dependencies":{"@nestjs/core":"12"}}`,
			"src/main.ts":       "import 'reflect-metadata';\nimport { NestFactory } from '@nestjs/core';\nimport { Transport } from '@nestjs/microservices';\nimport { AppModule } from './app.module.js';\nconst PORT = Number.parseInt(process.env['TCP_PORT'] ?? '4009', 10);\nconst app = await NestFactory.createMicroservice(AppModule, { transport: Transport.TCP, options: { port: PORT } });\nawait app.listen();\n",
			"src/app.module.ts": module},
		"static methods": {"package.json": nestPackage,
			"src/main.ts":       "import { NestFactory } from '@nestjs/core';\nimport { ConfigService } from '@nestjs/config';\nimport { Transport } from '@nestjs/microservices';\nimport { AppModule } from './app.module';\nconst settings = new ConfigService();\nclass Bootstrap { private static readonly port = settings.get<number>('SVC_PORT', 4011);\n static async start(): Promise<void> { const ctx = await NestFactory.createApplicationContext(AppModule); const c = ctx.get(ConfigService); const app = await NestFactory.createMicroservice(AppModule, { transport: Transport.TCP, options: { port: Bootstrap.port, host: c.get('H') } }); app.listen(); } }\nBootstrap.start();\n",
			"src/app.module.ts": module},
		"no queue": {"package.json": nestPackage, "pnpm-lock.yaml": "",
			"src/main.ts":       startOn("Transport.RMQ, options: { urls: ['amqp://localhost:5673'], queue: '', exchange: 'x', exchangeType: 'topic', wildcards: true }"),
			"src/app.module.ts": module},
		"grpc": {"package.json": nestPackage,
			"src/main.ts": startOn("Transport.GRPC, options: { url: '0.0.0.0:5000', package: 'x' }"), "src/app.module.ts": module},
		"several transports": {"package.json": nestPackage,
			"src/main.ts":       "import { NestFactory } from '@nestjs/core';\nimport { Transport } from '@nestjs/microservices';\nimport { AppModule } from './app.module';\nasync function bootstrap() { const app = await NestFactory.create(AppModule, { bufferLogs: true }); app.connectMicroservice({ transport: Transport.TCP, options: { port: 8877 } }); app.connectMicroservice({ transport: Transport.REDIS, options: { host: 'localhost', port: 6379 } }); await app.startAllMicroservices(); await app.listen(3001); }\n(async () => { await bootstrap(); })();\n",
			"src/app.module.ts": module},
		"conditions": {"package.json": nestPackage,
			"src/main.ts":       "import { NestFactory } from '@nestjs/core';\nimport { MicroserviceOptions, Transport } from '@nestjs/microservices';\nimport { AppModule } from './app.module';\nconst options: MicroserviceOptions = process.env.BROKER === 'redis' ? { transport: Transport.REDIS, options: { host: 'localhost' } } : { transport: Transport.TCP, options: { port: 4444 } };\nconst isProd = process.env.NODE_ENV === 'production';\nasync function bootstrap() { const app = await NestFactory.createMicroservice(AppModule, options); if (isProd) { app.useLogger(false); } await app.listen(); }\nbootstrap();\n",
			"src/app.module.ts": module},
		"called port": {
			"gateway/package.json": nestPackage, "users/package.json": nestPackage, "audit-service/package.json": nestPackage,
			"gateway/src/main.ts":             head + "async function bootstrap() {\n  const app = await NestFactory.create(AppModule);\n  await app.listen(3000);\n}\nbootstrap();\n",
			"gateway/src/app.module.ts":       "import { Module } from '@nestjs/common';\nimport { ClientsModule, Transport } from '@nestjs/microservices';\n@Module({ imports: [ClientsModule.register([\n  { name: 'USERS_SERVICE', transport: Transport.TCP, options: { host: 'localhost', port: 4321 } },\n  { name: 'AUDIT', transport: Transport.TCP, options: { host: process.env.AUDIT_HOST, port: Number(process.env.AUDIT_PORT) } },\n])] })\nexport class AppModule {}\n",
			"users/src/main.ts":               startOn("Transport.TCP, options: { port: Number(process.env.TCP_PORT) }"),
			"users/src/app.module.ts":         module,
			"audit-service/src/main.ts":       startOn("Transport.TCP, options: { port: Number(process.env.TCP_PORT) }"),
			"audit-service/src/app.module.ts": module,
		},
		"compose": {
			"package.json":                 `{"name": "ships", "scripts": {"start": "ts-node apps/fleet/src/main.ts"}, "dependencies": {"@nestjs/core": "12", "ts-node": "10"}}`,
			"compose.yaml":                 "services:\n  broker:\n    image: nats:2\n  fleet:\n    build:\n      context: .\n      dockerfile: apps/fleet/Dockerfile\n    environment:\n      NATS_SERVER: nats://broker:4222\n      LOG_LEVEL: warn\n      API_TOKEN: abc\n",
			"apps/fleet/src/main.ts":       startOn("Transport.NATS, options: { servers: [process.env.NATS_SERVER!], queue: process.env.LOG_LEVEL + process.env.API_TOKEN }"),
			"apps/fleet/src/app.module.ts": module,
		},
		"factory of a library": {
			"package.json":                 nestPackage,
			"nx.json":                      "{}",
			"tsconfig.base.json":           `{"compilerOptions": {"baseUrl": ".", "paths": {"@lib/sdk": ["libs/sdk/src/index.ts"]}}}`,
			"libs/sdk/src/index.ts":        "import { NestFactory } from '@nestjs/core';\nimport { ClientProxyFactory, Transport } from '@nestjs/microservices';\nexport class ApplicationFactory {\n  static async create(module: any, options: { title: string }) {\n    const app = await NestFactory.create(module);\n    return app;\n  }\n}\nexport class EnvService {\n  private readonly env: any;\n  constructor() {\n    this.env = { port: this.number('API_PORT', 3040) };\n    this.env.users = { transport: Transport.TCP, options: { host: process.env.USERS_HOST, port: process.env.USERS_PORT } };\n  }\n  get(key: string) {\n    return this.env[key];\n  }\n  number(key: string, fallback = 1) {\n    return process.env[key] !== '' && !isNaN(+process.env[key]) ? +process.env[key] : fallback;\n  }\n}\nexport const clientOf = (name: string) => ({ provide: name, inject: [EnvService], useFactory: (env: EnvService) => ClientProxyFactory.create(env.get(name)) });\n",
			"apps/api/project.json":        `{"name": "api", "projectType": "application", "sourceRoot": "apps/api/src", "targets": {"serve": {"executor": "@nx/js:node"}}}`,
			"apps/api/.env.example":        "API_PORT=3050\nUSERS_HOST=users\nUSERS_PORT=4050\nMAIL_HOST=mail\nRABBITMQ_VHOST=/\nREDIS_ADDRESS=redis://cache:6379/0\n",
			"apps/api/src/main.ts":         "import { ApplicationFactory, EnvService } from '@lib/sdk';\nimport { AppModule } from './app.module';\nasync function bootstrap() {\n  const app = await ApplicationFactory.create(AppModule, { title: 'API' });\n  await app.listen(app.get(EnvService).get('port'));\n}\nbootstrap();\n",
			"apps/api/src/app.module.ts":   "import { clientOf } from '@lib/sdk';\nimport { Module } from '@nestjs/common';\nconst others = [process.env.MAIL_HOST, process.env.RABBITMQ_VHOST, process.env.REDIS_ADDRESS];\n@Module({ providers: [clientOf('users')] })\nexport class AppModule {}\n",
			"apps/users/project.json":      `{"name": "users", "projectType": "application", "sourceRoot": "apps/users/src", "targets": {"serve": {"executor": "@nx/js:node"}}}`,
			"apps/users/src/main.ts":       startOn("Transport.TCP, options: { port: Number(process.env.TCP_PORT) || 4050 }"),
			"apps/users/src/app.module.ts": module,
			"apps/web/project.json":        `{"name": "web", "projectType": "application", "sourceRoot": "apps/web/src", "targets": {"serve": {}}}`,
			"apps/web/src/main.ts":         "import { createApp } from 'vue';\ncreateApp({}).mount('#app');\n",
		},
		"entry files": {
			"package.json":                 nestPackage,
			"nest-cli.json":                `{"monorepo": true, "sourceRoot": "./", "entryFile": "src/main", "projects": {"one": {"type": "application", "root": "apps/one", "entryFile": "src/main", "sourceRoot": "./"}}}`,
			"apps/one/src/main.ts":         startOn("Transport.TCP, options: { port: 4001 }"),
			"apps/one/src/app.module.ts":   module,
			"apps/stray/src/main.ts":       startOn("Transport.TCP, options: { port: 4002 }"),
			"apps/stray/src/app.module.ts": module,
		},
		"invalid queue": {
			"a/package.json": nestPackage, "b/package.json": nestPackage,
			"a/src/main.ts":       startOn("Transport.RMQ, options: { urls: ['amqp://localhost'], queue: 'my queue' }"),
			"a/src/app.module.ts": module,
			"b/src/main.ts":       startOn("Transport.TCP, options: { port: 3007 }"),
			"b/src/app.module.ts": "import { Module } from '@nestjs/common';\nimport { ClientsModule, Transport } from '@nestjs/microservices';\n@Module({ imports: [ClientsModule.register([{ name: 'A', transport: Transport.RMQ, options: { queue: 'my queue' } }])] })\nexport class AppModule {}\n",
		},
		"turborepo": {
			"package.json":                 `{"name": "social", "workspaces": ["apps/*", "packages/*"], "packageManager": "yarn@4.5.0", "devDependencies": {"turbo": "2"}}`,
			"turbo.json":                   `{"tasks": {"build": {"dependsOn": ["^build"]}, "dev": {"dependsOn": ["^build"], "persistent": true}}}`,
			"apps/feed/package.json":       `{"name": "@social/feed", "scripts": {"dev": "nest start --watch"}, "dependencies": {"@nestjs/core": "12"}}`,
			"apps/feed/src/main.ts":        startOn("Transport.NATS, options: { servers: ['nats://localhost:4222'], queue: 'feed' }"),
			"apps/feed/src/app.module.ts":  module,
			"apps/likes/package.json":      `{"name": "@social/likes", "scripts": {"build": "nest build", "start": "nest start"}, "dependencies": {"@nestjs/core": "12"}}`,
			"apps/likes/src/main.ts":       startOn("Transport[process.env.TRANSPORT ?? 'NATS'], options: { servers: [process.env.NATS_URL || 'nats://broker:4222'] }"),
			"apps/likes/src/app.module.ts": module,
		},
		"unknown options": {
			"package.json":      nestPackage,
			"src/main.ts":       "import { NestFactory } from '@nestjs/core';\nimport { options } from '@missing/options';\nimport { AppModule } from './app.module';\nNestFactory.createMicroservice(AppModule, options()).then((app) => app.listen());\n",
			"src/app.module.ts": module,
		},
		"unused functions": {
			"package.json":      nestPackage,
			"src/main.ts":       "import { NestFactory } from '@nestjs/core';\nimport { AppModule } from './app.module';\nexport async function bootstrap() {\n  const app = await NestFactory.create(AppModule);\n  await app.listen(process.env.PORT || 3000);\n}\n",
			"src/app.module.ts": module,
		},
	}
}

// TestCases compares what is written for unusual applications with the golden file.
func TestCases(t *testing.T) {
	var b strings.Builder
	all := cases()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		plan := discover(t, all[name])
		_, text, _ := strings.Cut(string(plan.YAML()), "Digest: ")
		_, text, _ = strings.Cut(text, "\n")
		fmt.Fprintf(&b, "=== %s\n%s", name, text)
		for _, note := range plan.Notes {
			fmt.Fprintf(&b, "note: %s\n", note)
		}
	}
	golden.Check(t, filepath.Join(testenv.Root(), "testdata", "golden", "init.txt"), b.String())
}
