module github.com/msctl/msctl/runtime/microrabbit

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/msctl/msctl/internal/test/testenv v0.1.0
	github.com/msctl/msctl/runtime v0.1.0
	github.com/rabbitmq/amqp091-go v1.16.0
	go.uber.org/goleak v1.3.0
)
