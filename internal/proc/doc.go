// Package proc builds, starts, watches, swaps, and stops the services of a workspace.
// It contains no user interface: everything that happens is an [Event].
//
// # Goroutines
//
// [Supervisor.Run] runs a workspace. One goroutine owns each service (service.go): only
// that goroutine starts and ends the service's processes. The builder (build.go), the
// readiness check (ready.go), the watcher (package watch), and the goroutine that waits
// for a process (package child) communicate with it over channels. Run waits for all of
// them before it returns.
//
// # Sockets
//
// A Go service does not open its port. The supervisor does, once, and passes the
// listening socket to every process of the service (package socket, and
// micro.InheritEnv in the service). The port therefore stays open while a crashed
// service restarts, and two processes can serve it at the same time: for a swap, the
// supervisor starts the new process alongside the old one, waits until the new one has
// answered a message, and only then sends SIGTERM to the old one, which drains. Which
// process accepts a connection on the shared port is up to the kernel, so each process
// also gets a private socket, the probe, which only the readiness check uses.
//
// Any other program (`command:`) opens its port itself. It is ready when a process
// answers there, and it is stopped before it is started again.
//
// # Pauses
//
// The process group of a service can be paused, to observe how its callers react
// (pause.go). The owner of the service resumes it when the time is up, before it ends or
// replaces the process, and when the run is about to end.
//
// # No orphaned processes
//
// Nothing outlives a run, even if msctl is killed. See package child.
package proc
