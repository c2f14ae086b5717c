// Package testenv gives tests their real peers: the NestJS programs of testdata/nest, started on a free port and stopped
// when the test ends.
//
// A test that needs a peer which is not installed is skipped with the reason, unless MSCTL_TEST_NEST is "required", as
// `make test` sets it: then it fails.
package testenv
