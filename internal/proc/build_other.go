//go:build !windows

package proc

// exeSuffix ends the names of programs.
const exeSuffix = ""
