module github.com/msctl/msctl/runtime/micronats

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/msctl/msctl/internal/test/testenv v0.1.0
	github.com/msctl/msctl/runtime v0.1.0
	github.com/nats-io/nats.go v1.55.0
	github.com/nats-io/nkeys v0.4.16
	go.uber.org/goleak v1.3.0
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
