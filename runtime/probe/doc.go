// Package probe serves the private port of a program: HTTP probes for Kubernetes, for container
// engines, and for load balancers, which a service over a message transport does not have by
// itself. It requires only the standard library.
//
//	port, err := probe.Listen(ctx, os.Getenv("PRIVATE_ADDRESS"), probe.WithReady(server))
//	if err != nil { … }
//	defer port.Close()
//	err = server.Serve(ctx, microtcp.Listen(":3002"))
//
// An image without a shell and without curl checks itself: its program calls [Check] when it is
// run with an argument such as "health", and exits with 0 or 1.
//
// Package telemetry serves the same probes with metrics and profiles.
package probe
