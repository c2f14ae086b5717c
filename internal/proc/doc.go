// Package proc builds, starts, watches, swaps and stops the services of a
// workspace. It knows no screen: everything that happens is an [Event].
//
// # Who owns what
//
// [Supervisor.Run] makes a run. One goroutine owns each service (service.go):
// it alone starts and ends the service's processes, and everything else talks
// to it over channels: the builder (build.go), the readiness check (ready.go),
// the watcher (watch.go) and the waiter of each process (child.go). All of them
// are waited for before Run returns.
//
// # Sockets
//
// A Go service never opens its port. The supervisor does, once, and hands the
// listening socket to every process of the service (socket.go, and
// micro.InheritEnv on the other side). So the port stays open while a crashed
// service starts again, and two processes can serve it at once: a swap starts
// the new one beside the old, waits until the new one has answered a message,
// and only then sends SIGTERM to the old, which drains. Which process answers on
// a shared port is chance, so each start gets one more private socket, the
// probe, that only readiness is asked on.
//
// A service that is any other program (`command:`) opens its port itself: it is
// ready when something there answers, and a restart is a stop and a start.
//
// # Pauses
//
// A process that serves can be stopped where it is for a while, with its group,
// to see what its callers do (pause.go). The owner of the service lets it go on
// when the time is over, and before anything ends or replaces it, and as soon as
// the run is to end; nobody outside has to remember it.
//
// # No orphans
//
// Each process leads a process group of its own. When it has ended, however it
// ended, the whole group gets SIGKILL. Should msctl itself die, the guard does
// the same: a small process in its own session that knows the groups and sees
// its pipe from msctl end (guard.go). On Linux the kernel also kills the leaders
// (child_linux.go). On Windows a job object does all of this; that part
// compiles, and has not been tried on a Windows machine.
package proc
