// Package term is the terminal: the three streams, what is known about them,
// the palette, questions to a person, and JSON for the eye.
//
// Nothing else in msctl prompts or colours. A command gets an *IO and asks it;
// with IO of a test ([NewTest]) the same command runs without a terminal.
//
// Results go to Out, everything else to Err. Both have their own palette,
// because one may be piped while the other is a terminal.
package term
