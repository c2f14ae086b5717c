// Package replay uses the messages that `msctl tap --record` has written: a mock replies as a service
// did, and a service is checked against what it or another one replied.
package replay
