// Package attack attacks a running gateway over its sockets. Every attack must be rejected with the right status and without anything
// internal, while good requests continue to succeed and the memory of the gateway's process stays bounded.
package attack
