// Package deploy checks what `msctl new` and `msctl new deploy kubernetes` write for running a workspace elsewhere:
// the manifests for Kubernetes, compose.yaml, the Dockerfile, and the workflows. It uses the libraries of the programs
// that read these files, offline, and adds what they do not check: whether the files agree with each other.
//
// Each function returns problems, in words. Its test contains a seeded mistake for each of them.
//
// It is a module of its own, because these libraries are many, and nothing else needs them.
package deploy
