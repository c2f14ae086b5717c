// Package terminal runs a program on a pseudo-terminal, for tests of screens and prompts.
package terminal
