// Package operate has the commands that run a workspace and show what its services do: `msctl run`
// with its screen, `msctl ps`, `msctl logs`, `msctl stop`, `msctl tap`, `msctl health`, and
// `msctl doctor`.
package operate
