package target

// targetsHelp is all that there is to say about targets.
const Help = `A TARGET says whom messages go to. It is the name of a service in msctl.yaml, or
an address:

  tcp://host:port               NestJS' own transport, TCP; host:port is enough
  tcp://a:3002,b:3002           two instances, which share the messages
  amqp://host/queue             RabbitMQ: the queue, in the vhost /
  amqp://host/vhost/queue       the same in another vhost
  redis://host, redis://host/2  Redis; messages are the same in all databases
  nats://host, nats://a,b       NATS, or several servers of a cluster
  http://host/path              a web server, for msctl bench

Over TLS they are tls, amqps, rediss, nats+tls and https; --ca, --cert, --key and
--insecure go with them. The usual port is taken where a broker's is not given.
An IPv6 address is in brackets: nats://[::1]:4222.

Names
  Where the broker of a service is, says in this order: the msctl run of the
  workspace that is going on; RABBITMQ_URL, REDIS_URL or NATS_URL in the
  environment, in the env of the service or of the workspace; brokers in msctl.yaml;
  or it is on this machine, at its usual port.

Passwords
  amqp://user:password@host/queue holds a password, which others on this machine
  can read in the list of processes. amqp://user@host/queue takes it from the
  environment, from MSCTL_PASSWORD; so do redis://@host, for a Redis with a
  password and no users, and nats://@host, for a token. nats://token@host is a
  token while MSCTL_PASSWORD is not set. In an address, characters other than
  letters, digits and -._~ are percent-encoded: @ is %40. No password is ever
  printed: not with -v, not in errors, reports and printed code.

Options
  Behind the address, ?OPTION=VALUE&OPTION=VALUE, under NestJS' names:

  amqp  durable=false, exclusive, autoDelete, messageTtl=MS, expires=MS,
        maxLength=N, maxPriority=N, deadLetterExchange=NAME,
        deadLetterRoutingKey=KEY and x-ARGUMENT=VALUE: how the queue is declared.
        msctl uses the queue as it is, and makes none, unless one of these, or
        noAssert=false, is given. msctl mock declares it as NestJS does, unless
        noAssert is given.
        exchange=NAME, exchangeType=topic, routingKey=KEY, wildcards: messages go
        to an exchange, by their patterns with wildcards
        persistent, replyQueue=NAME: the messages survive the broker's restart;
        answers come by a queue of that name
        noAck=false, prefetchCount=N, isGlobalPrefetchCount, consumerTag=NAME:
        how msctl mock consumes
  nats  inboxPrefix=PREFIX: where answers come, for users who may not read _INBOX
        queue=GROUP: the queue group of msctl mock
  redis wildcards: the patterns of msctl mock are globs

  In msctl.yaml, and in RABBITMQ_URL and the like, they stand behind the broker's
  address, for all its services. What else stands there is for other programs, and
  left alone.`
