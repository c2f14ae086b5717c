// Package tui draws msctl's full screens: what happens in a load test while it
// goes on. It is drawn on stderr from snapshots that others make; it measures
// nothing and owns no data.
//
// A screen is made only where a person watches one (term.IO.CanDraw): everywhere
// else bubbletea would write escape codes before it found out.
package tui
