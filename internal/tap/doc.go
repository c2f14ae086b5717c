// Package tap joins the messages between services into call trees. A [Hub] collects what the programs
// of a run report (runtime/tap), keeps the latest, and passes them on to viewers; [Trees] joins them.
// The package contains no user interface.
package tap
