// Package stores tests the databases of generated workspaces as their users depend on them:
// the programs are built, killed, and started many times, and denied their disk. Nothing that
// was acknowledged may be lost, and each event is handled once.
package stores
