// Package testenv gives tests their real peers: the NestJS programs of testdata/nest and the brokers RabbitMQ, Redis and
// NATS, started on a free port of the loopback address and stopped when the test ends. Nothing of a broker outlives its
// test, neither a process nor a directory, even when the test binary is killed.
//
// A test that needs a peer which is not installed is skipped with the reason, unless MSCTL_TEST_NEST or
// MSCTL_TEST_BROKERS is "required", as `make test` sets them: then it fails.
package testenv
