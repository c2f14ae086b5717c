// Package term is the terminal: the three streams, their properties, the palette,
// prompts, and the printing of JSON, tables, and durations.
//
// No other package of msctl prompts or uses color. A command gets an *IO. With the IO
// of a test ([NewTest]), the same command runs without a terminal.
//
// Results go to Out, everything else to Err. Each has its own palette, because one may
// be a pipe while the other is a terminal.
package term
