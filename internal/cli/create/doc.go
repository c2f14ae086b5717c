// Package create has the commands that write a workspace or add to one: `msctl new` with the
// commands below it, `msctl init`, and `msctl upgrade`; and `msctl token`, which creates tokens
// for its gateway.
package create
