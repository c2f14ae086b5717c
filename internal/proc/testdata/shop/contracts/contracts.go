// Package contracts is what items is built from beside its own folder.
package contracts

// Version is edited by tests.
const Version = 1
