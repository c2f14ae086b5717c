package proc

import "time"

// Kind says what an [Event] tells. The values are what `msctl run --log json`
// prints.
type Kind string

// The kinds of events. All but KindLog are the supervisor's own words.
const (
	// KindLog is a line a service wrote: Stream, Text, Pid, Quiet.
	KindLog Kind = "log"
	// KindBuilding: a build has begun.
	KindBuilding Kind = "building"
	// KindBuilt: a build is done: Took.
	KindBuilt Kind = "built"
	// KindBuildFailed: Text is all that the compiler said. What served before
	// goes on serving.
	KindBuildFailed Kind = "build-failed"
	// KindUnchanged: a build made the program that runs already.
	KindUnchanged Kind = "unchanged"
	// KindStarting: a process has been started: Pid.
	KindStarting Kind = "starting"
	// KindReady: the process Pid has answered, Took after its start; where it is
	// found: URL. With a Text it has not been asked, and that says why.
	KindReady Kind = "ready"
	// KindSwapped is KindReady for a process that takes over from another,
	// which drains from now on.
	KindSwapped Kind = "swapped"
	// KindNotReady: a process that should have taken over did not: Text says
	// why. What served before goes on serving.
	KindNotReady Kind = "not-ready"
	// KindCrashed: the process Pid ended by itself: Text says how; it is
	// started again after Delay.
	KindCrashed Kind = "crashed"
	// KindChanged: Paths have changed, relative to the workspace.
	KindChanged Kind = "changed"
	// KindStopping: the process Pid was asked to end.
	KindStopping Kind = "stopping"
	// KindStopped: the process Pid has ended as asked: Took.
	KindStopped Kind = "stopped"
	// KindKilled: the process Pid did not end in time and was killed.
	KindKilled Kind = "killed"
	// KindPaused: the process Pid was stopped where it is, with its group; it
	// goes on after Delay.
	KindPaused Kind = "paused"
	// KindContinued: the process Pid, which was paused, goes on: Took is how long
	// it was. It comes before KindStopping when the process is to end.
	KindContinued Kind = "continued"
	// KindBroker: a broker is used: Text, URL. With a Service it is one that is
	// started for this run under that name.
	KindBroker Kind = "broker"
	// KindWarning: Text is something to look at.
	KindWarning Kind = "warning"
	// KindAllReady: every service has been ready once, Took after the begin.
	KindAllReady Kind = "all-ready"
)

// The streams of KindLog.
const (
	StreamOut = "stdout"
	StreamErr = "stderr"
)

// Event is one thing that happened. Only the members that its Kind names are
// set, besides Time and Service; Service is empty where the event concerns all.
type Event struct {
	Time    time.Time
	Kind    Kind
	Service string
	Stream  string
	Text    string // without a line end
	Pid     int
	Took    time.Duration
	Delay   time.Duration
	Paths   []string
	URL     string // without a password
	// Quiet says that a line is of use only to those who look for it: what a
	// broker of the run logs when nothing is wrong.
	Quiet bool
}
