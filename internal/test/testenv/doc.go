// Package testenv starts the real peers of tests: the NestJS programs of testdata/nest and the brokers RabbitMQ, Redis,
// and NATS. Each listens on a free port of the loopback address and is stopped when the test ends. No process and no
// directory of a broker outlives its test, even if the test binary is killed.
//
// A test whose peer is not installed is skipped with the reason. It fails instead if MSCTL_TEST_NEST or
// MSCTL_TEST_BROKERS is "required", which `make test` sets for peers that it has installed.
package testenv
