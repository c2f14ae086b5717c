// Package nestinit describes NestJS applications as msctl.yaml.
//
// [Discover] finds the applications of a folder in the configuration of the Nest CLI, Nx,
// and package.json, and reads what they listen on and which services they call from their
// sources (nestsource). Nothing is executed. What the sources do not determine is guessed,
// and every guess has a comment in the file with its reason and place. What cannot be
// guessed is a commented line and a note.
package nestinit
