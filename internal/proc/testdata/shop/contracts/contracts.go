// Package contracts is a package outside the folder of items that items imports.
package contracts

// Version is edited by tests.
const Version = 1
