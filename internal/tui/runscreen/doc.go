// Package runscreen draws the screen of `msctl run --tui`: the services of a run, their logs, and
// the messages between them. It knows a run by its events, its status, and what can be done with a
// service; everything else is passed to it as functions.
//
// The goroutine of bubbletea draws and handles keys. Another one passes the events of the run to
// [Screen.Add]; it never waits for the screen, because services wait for it.
package runscreen
