package target

// AddressSyntax explains TARGET in the help of a command.
const AddressSyntax = `TARGET is the name of a service in msctl.yaml, or an address:
  tcp://host:port            NestJS's TCP transport; tcp://a:3002,b:3002 spreads the
                             messages over two instances
  amqp://host/queue          RabbitMQ
  redis://host               Redis
  nats://host                NATS
With TLS, use tls://, amqps://, rediss://, or nats+tls://. Set the password in
MSCTL_PASSWORD and put the user before the host: user@host. For all options, see
` + "`msctl help targets`" + `.`

// Syntax explains TARGET and its default.
const Syntax = AddressSyntax + `

Without a TARGET, messages are sent to the service in the workspace that handles the
pattern, or to ` + Default + ` outside of a workspace.`

// Help is the complete description of TARGET.
const Help = `A TARGET is the destination of messages. It is the name of a service in msctl.yaml,
or an address:

  tcp://host:port               NestJS's TCP transport; host:port is enough
  tcp://a:3002,b:3002           two instances that share the messages
  unix:///run/items.sock        a service that listens on a Unix socket
  amqp://host/queue             RabbitMQ: a queue in the vhost /
  amqp://host/vhost/queue       a queue in another vhost
  redis://host, redis://host/2  Redis; channels are the same in all databases
  redis+unix:///run/redis.sock  Redis on a Unix socket
  redis+sentinel://a,b/master   Redis with Sentinel: the Sentinels, and the name of a master
  nats://host, nats://a,b       NATS: one server, or several servers of a cluster
  http://host/path              a web server (only for msctl bench)

The schemes with TLS are tls, unix+tls, amqps, rediss, rediss+sentinel, nats+tls, and
https. They accept --ca, --cert, --key, and --insecure. The address of a broker may omit the default port.
An IPv6 address requires brackets: nats://[::1]:4222.

Names
  The address of a service's broker comes from the first of these that has one:
  the running msctl run of the workspace; RABBITMQ_URL, REDIS_URL, or NATS_URL in the
  environment, in the env of the service, or in the env of the workspace; brokers in
  msctl.yaml; the default port on this machine.

Passwords
  Other users of this machine can read a password on the command line, as in
  amqp://user:password@host/queue, in the list of processes. Without a password,
  amqp://user@host/queue takes it from MSCTL_PASSWORD. So do redis://@host, for a
  Redis password without a user, and nats://@host, for a token. While MSCTL_PASSWORD
  is not set, nats://token@host is a token. In the user and the password, percent-encode
  all characters except letters, digits, and -._~ (@ is %40). msctl never prints a
  password: not with -v, and not in errors, reports, or printed code.

Options
  Add options to a broker's address as ?OPTION=VALUE&OPTION=VALUE. They have NestJS's
  names:

  amqp  exchange=NAME, exchangeType=topic, routingKey=KEY, wildcards
            send to an exchange, with the pattern as the routing key
        durable=false, exclusive, autoDelete, messageTtl=MS, expires=MS,
        maxLength=N, maxPriority=N, deadLetterExchange=NAME,
        deadLetterRoutingKey=KEY, overflow=BEHAVIOR, queueMode=lazy, noAssert
            how msctl mock declares the queue. Other commands declare nothing: the
            queue or exchange must exist.
        x-NAME=VALUE, exchangeArguments.NAME=VALUE
            further arguments of the queue and the exchange. JSON has its type: 5, true,
            [1,2]. Everything else is a string, and so is "5". arguments={JSON} and
            exchangeArguments={JSON} set several.
        persistent
            messages survive a restart of the broker
        replyQueue=NAME
            receive replies in a named queue
        noAck=false, prefetchCount=N, isGlobalPrefetchCount, consumerTag=NAME
            how msctl mock consumes
  nats  creds=FILE, nkey=FILE
            log in with a .creds file, or with the seed of an nkey in a file
        inboxPrefix=PREFIX
            the subjects of replies, for users without access to _INBOX
        queue=GROUP
            the queue group of msctl mock
  redis wildcards
            patterns of msctl mock are globs

  In msctl.yaml and in RABBITMQ_URL, REDIS_URL, and NATS_URL, the options after the
  address apply to all services. The options of other programs in the addresses of
  hosting providers, such as heartbeat, frameMax, and family, are ignored everywhere.`
