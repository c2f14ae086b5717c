package proc

import (
	"time"

	"github.com/msctl/msctl/internal/proc/child"
)

// Kind is the kind of an [Event]. The values are printed by `msctl run --log json`.
type Kind string

// The kinds of events, and the fields of Event that each kind sets.
const (
	// KindLog is a line that a service wrote: Stream, Text, Pid, Quiet.
	KindLog Kind = "log"
	// KindBuilding: a build has started.
	KindBuilding Kind = "building"
	// KindBuilt: a build has succeeded: Took.
	KindBuilt Kind = "built"
	// KindBuildFailed: a build has failed: Text is the compiler's output. The previous
	// process keeps serving.
	KindBuildFailed Kind = "build-failed"
	// KindUnchanged: a build has produced the same program as before.
	KindUnchanged Kind = "unchanged"
	// KindStarting: a process has been started: Pid.
	KindStarting Kind = "starting"
	// KindReady: the process Pid has answered, Took after its start, at URL. Text, if
	// any, is the reason why it has not been queried.
	KindReady Kind = "ready"
	// KindSwapped is KindReady for a process that replaces another one, which starts to
	// drain.
	KindSwapped Kind = "swapped"
	// KindNotReady: a process that was meant to replace another one has failed: Text is
	// the reason. The previous process keeps serving.
	KindNotReady Kind = "not-ready"
	// KindCrashed: the process Pid ended unexpectedly: Text describes how. The service
	// is restarted after Delay.
	KindCrashed Kind = "crashed"
	// KindChanged: Paths, relative to the workspace, have changed.
	KindChanged Kind = "changed"
	// KindWorkspace: Paths, the files that describe the workspace, have changed. The run does
	// not take them into account.
	KindWorkspace Kind = "workspace"
	// KindStopping: the process Pid was asked to end.
	KindStopping Kind = "stopping"
	// KindStopped: the process Pid has ended as requested: Took.
	KindStopped Kind = "stopped"
	// KindKilled: the process Pid did not end in time and was killed.
	KindKilled Kind = "killed"
	// KindHalted: the user has stopped the service, which stays stopped until the user starts
	// it. If it has a process, KindStopping follows.
	KindHalted Kind = "halted"
	// KindPaused: the process Pid and its group were paused, for Delay.
	KindPaused Kind = "paused"
	// KindContinued: the paused process Pid continues, after a pause of Took. If it is
	// about to be stopped, KindStopping follows.
	KindContinued Kind = "continued"
	// KindDebugger: a debugger can attach to the process Pid, or to one of its descendants,
	// at URL, host:port. Text names what serves it: Delve or Node.js.
	KindDebugger Kind = "debugger"
	// KindBroker: the run uses a broker: Text, URL. Service is set if the broker is
	// started for this run, under that name.
	KindBroker Kind = "broker"
	// KindNote: Text is no problem.
	KindNote Kind = "note"
	// KindWarning: Text describes a problem that does not end the run.
	KindWarning Kind = "warning"
	// KindFailed: the service could not be started: Text is the reason. It tries again
	// after Delay or, if that is 0, its process Pid keeps running and may still answer.
	KindFailed Kind = "failed"
	// KindWaiting: the service waits for the service Text, which has failed to start or
	// waits itself.
	KindWaiting Kind = "waiting"
	// KindPartlyReady: all services are ready except for those that have failed to start
	// and those that wait for them: Text lists them.
	KindPartlyReady Kind = "partly-ready"
	// KindEnding: the run was asked to end, and its services drain.
	KindEnding Kind = "ending"
	// KindKilling: the run was asked to end immediately, and all processes are killed.
	KindKilling Kind = "killing"
	// KindAllReady: every service has become ready, Took after the start of the run.
	KindAllReady Kind = "all-ready"
)

// The streams of KindLog.
const (
	StreamOut = child.Stdout
	StreamErr = child.Stderr
)

// Event is something that happened in a run. Besides Time and Service, only the fields
// of its Kind are set. Service is empty if the event concerns the whole run.
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
	// Quiet marks a line that a broker of the run logs when there is no problem, and a
	// failure that has been reported before.
	Quiet bool
}
