// Package rolling replaces the replicas of a service one after another, as Kubernetes does in a
// rolling update, while its callers use it.
package rolling
