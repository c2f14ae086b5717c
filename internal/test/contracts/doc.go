// Package contracts tests that wrong types do not compile.
package contracts
