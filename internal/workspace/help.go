package workspace

// Help is the description of msctl.yaml.
const Help = `msctl.yaml describes the programs of a workspace. It is in the folder of the workspace;
msctl finds it from any folder below. ` + "`msctl run`" + ` builds, starts, and supervises the
programs, and every command finds a service by its name.

  name: shop
  env:                           # for all programs
    LOG_LEVEL: debug
  services:
    items:                       # a Go program: msctl builds it
      path: ./apps/items
      port: 3002
    users:                       # any other program, such as a NestJS service
      command: npm run start:dev
      dir: ../nest/users
      port: 3010
      env: {MS_PORT: 3010}
    mail:                        # a service on a broker has no port
      command: npm run start:dev
      dir: ../nest/mail
      transport: rabbitmq
      queue: mail_queue
    gateway:
      kind: gateway              # serves HTTP
      path: ./apps/gateway
      port: 3001
      depends_on: [items, users, mail]

The file
  name          the workspace: lower-case letters, digits, and hyphens; required
  services      the programs, by name; required
  env           environment variables of all programs
  brokers       rabbitmq, redis, nats: addresses of brokers that are not at the default
                port of this machine; RABBITMQ_URL, REDIS_URL, and NATS_URL take precedence

A service
  path          the folder of a Go program in the workspace; or
  command       any other program, as a line or a list of words; not run in a shell
  dir           the folder in which the command runs (default: the workspace)
  kind          service (default), or gateway: serves HTTP, has no transport
  transport     tcp (default), rabbitmq, redis, or nats
  port          required for tcp and gateways; each port can be used once
  host          for other services (default localhost)
  queue         the RabbitMQ queue or NATS queue group (default: the name)
  depends_on    services that must be ready first
  env           environment variables of the program
  watch         globs of files whose changes restart it, such as src/**/*.ts
                (default: the Go files of the program; none for a command)
  ready         when it counts as ready: message (it answers a message), http (GET
                /health), process (it has run for two seconds), or {pattern: …}, a message
                without side effects
  tap           whether msctl tap shows its messages (default: true)

The environment in which msctl runs takes precedence over .env.local, .env (both next to
msctl.yaml), and env, in this order. In env, host, port, brokers, and these files,
${NAME} and ${NAME:-default} stand for variables. A missing variable is an error.

Strings, numbers, and booleans are values; anchors, aliases, and tags are not supported.
An error names the line and column, and the key that was probably meant.

The JSON Schema for editors is docs/msctl.schema.json in msctl's repository, and
third_party/msctl/msctl.schema.json in each workspace. docs/msctl-yaml.md has more
examples.`
