// Package bench makes load tests: from a description of what to run to the report
// document.
//
// A [Spec] describes a bench. [NewSpec] returns one with the default values, and its
// settings are changed by name, with [Spec.Set] for a flag and [Spec.ReadScenario]
// for a file. [Spec.With] returns a copy in which one setting has another value: the
// runs of a sweep, of --collapse, and of --demo are made with it.
//
// [Prepare] finds the targets and opens the output files, [Bench.Run] makes the runs
// and shows them on a [Display], and [Bench.Document] returns what was measured.
//
// The package is independent of the command line and the screen. Its errors still name
// flags and lines of scenario files, because every setting records where it was set.
package bench
